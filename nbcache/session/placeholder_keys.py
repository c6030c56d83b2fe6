"""API keys in the environment, which clients demand before they are made, where nothing is ever sent."""

import os

STAND_IN = "none-needed-in-replay"
# As LangChain's clients and the SDKs read them.
_NAMES = (
    *("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "MISTRAL_API_KEY", "GROQ_API_KEY", "COHERE_API_KEY"),
    *("DEEPSEEK_API_KEY", "TOGETHER_API_KEY", "FIREWORKS_API_KEY", "XAI_API_KEY", "AZURE_OPENAI_API_KEY"),
)


def stand_in(*, wanted: bool) -> None:
    """Put something in place of each key that is missing; or take that out again."""
    for name in _NAMES:
        if wanted:
            os.environ.setdefault(name, STAND_IN)
        elif os.environ.get(name) == STAND_IN:
            del os.environ[name]
