"""Placeholders for API keys in the environment. In `replay` nothing is sent, but clients can't be made without a key."""

import os

STAND_IN = "none-needed-in-replay"
# The variables that LangChain's clients and the SDKs read.
_NAMES = (
    *("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "MISTRAL_API_KEY", "GROQ_API_KEY", "COHERE_API_KEY"),
    *("DEEPSEEK_API_KEY", "TOGETHER_API_KEY", "FIREWORKS_API_KEY", "XAI_API_KEY", "AZURE_OPENAI_API_KEY"),
)


def stand_in(*, wanted: bool) -> None:
    """Set a placeholder for each missing key; or, if it is not `wanted`, remove the placeholders."""
    for name in _NAMES:
        if wanted:
            os.environ.setdefault(name, STAND_IN)
        elif os.environ.get(name) == STAND_IN:
            del os.environ[name]
