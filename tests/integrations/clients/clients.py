"""The clients, and what of the table each one has none of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

ROWS = (
    "call",
    "stream",
    "async",
    "tools",
    "structured output",
    "embeddings",
    "error",
    "retry",
    "cut stream",
    "replay",
)


@dataclass(frozen=True)
class Client:
    """`script` is its module in `scripts/`. `lacks` names rows that it has none of, each with the reason."""

    script: str
    lacks: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[str, ...]:
        """What is run."""
        return tuple(row for row in ROWS if row not in self.lacks)


_NO_EMBEDDINGS = {"embeddings": "the client has none"}
CLIENTS = {
    "openai 2": Client("openai_sdk"),
    "openai 3": Client("openai_sdk"),
    "anthropic": Client("anthropic_sdk", _NO_EMBEDDINGS),
    "google-genai": Client("google_sdk"),
    "mistralai": Client("mistral_sdk"),
    "groq": Client("groq_sdk", {"embeddings": "Groq has no such models"}),
    "ollama": Client("ollama_sdk", {"retry": "the client makes no second attempt"}),
    "cohere": Client("cohere_sdk"),
    "LiteLLM": Client("litellm_chat"),
    "LlamaIndex": Client("llama_index_chat"),
    "DSPy": Client("dspy_program"),
    "pydantic-ai": Client("pydantic_ai_agent"),
    "instructor": Client("instructor_client", _NO_EMBEDDINGS),
    "smolagents": Client("smolagents_agent", {"async": "its models have no async calls", **_NO_EMBEDDINGS}),
    "openai-agents": Client("openai_agents", _NO_EMBEDDINGS),
}


def mark(client: str, row: str) -> str:
    """What the questions of a cell begin with: each request says whose it is."""
    return f"[{client}: {row}]"


def clients_of(openai: str) -> Iterator[str]:
    """The names of those that run beside this release of openai: its third major version is in an environment of its own."""
    for name in CLIENTS:
        if (name == "openai 3") == openai.startswith("3."):
            yield name
