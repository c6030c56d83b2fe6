"""LangChain's clients of model providers: classes whose answers say how they ended."""

import functools

# Packages whose chat models tell each answer's finish reason, and stream to an end that can be seen.
PACKAGES = frozenset(
    {
        *("langchain_anthropic", "langchain_aws", "langchain_azure_ai", "langchain_cerebras", "langchain_cohere"),
        *("langchain_deepseek", "langchain_fireworks", "langchain_google_genai", "langchain_google_vertexai"),
        *("langchain_groq", "langchain_ibm", "langchain_litellm", "langchain_mistralai"),
        *("langchain_nvidia_ai_endpoints", "langchain_ollama", "langchain_openai", "langchain_openrouter"),
        *("langchain_perplexity", "langchain_sambanova", "langchain_together", "langchain_upstage", "langchain_xai"),
    }
)
# Their models stream even where an answer is asked for whole.
_ALWAYS_STREAM = frozenset({"langchain_ollama"})


@functools.lru_cache(maxsize=256)
def is_client(cls: type) -> bool:
    """Whether `cls` is a provider's client, or derived from one."""
    return any(is_clients_own(base) for base in cls.__mro__)


def is_clients_own(cls: type) -> bool:
    """Whether `cls` itself is written in a provider's package."""
    return _package(cls) in PACKAGES


@functools.lru_cache(maxsize=256)
def always_streams(cls: type) -> bool:
    """Whether models of `cls` stream each answer, out of sight."""
    return any(_package(base) in _ALWAYS_STREAM for base in cls.__mro__)


def _package(cls: type) -> str:
    return cls.__module__.partition(".")[0]
