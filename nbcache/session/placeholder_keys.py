"""Placeholders for API keys in the environment. In `replay` nothing is sent, but clients can't be made without a key.

Anthropic's clients for AWS need a region, too.
"""

import os
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from nbcache.cache.modes import PLACEHOLDER

# The variables that LangChain's clients and the SDKs read.
_NAMES = (
    *("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "MISTRAL_API_KEY", "GROQ_API_KEY", "COHERE_API_KEY"),
    *("DEEPSEEK_API_KEY", "TOGETHER_API_KEY", "FIREWORKS_API_KEY", "XAI_API_KEY", "AZURE_OPENAI_API_KEY"),
)
# Anthropic's clients for AWS need one of these. botocore, and so other services of AWS, reads only the second.
_REGION, _DEFAULT_REGION = "AWS_REGION", "AWS_DEFAULT_REGION"
_OPENAI = ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "AZURE_OPENAI_API_KEY")
_ANTHROPIC = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
_GOOGLE = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
# Packages whose clients can't be used without a key, and the variables of which each reads one.
_KEYS_OF_PACKAGES = {
    "openai": _OPENAI,
    "anthropic": _ANTHROPIC,
    "google.genai": _GOOGLE,
    "groq": ("GROQ_API_KEY",),
    "langchain_openai": _OPENAI,
    "langchain_anthropic": _ANTHROPIC,
    "langchain_google_genai": _GOOGLE,
}


def missing_keys(names: Mapping[str, Any]) -> list[str]:
    """The variables with the keys of clients that a notebook has imported, by its `names`, where none is set."""
    modules = {f"{module}." for value in list(names.values()) if (module := _module(value))}
    missing = {
        variables[0]: None  # each once, in the order of the table
        for package, variables in _KEYS_OF_PACKAGES.items()
        if any(module.startswith(f"{package}.") for module in modules) and not any(map(os.environ.get, variables))
    }
    return list(missing)


def _module(value: Any) -> Any:
    """The name of a module, or of a class's module. None for other values: a client that was made has its key."""
    kind = type(value)  # isinstance would run a proxy's own code
    names = (ModuleType, "__name__"), (type, "__module__")
    return next((getattr(value, name, None) for cls, name in names if issubclass(kind, cls)), None)


def stand_in(*, wanted: bool) -> None:
    """Set a placeholder for each missing key and a region; or, if it is not `wanted`, remove the placeholders."""
    for name in (*_NAMES, _REGION):
        if wanted and not (name == _REGION and os.environ.get(_DEFAULT_REGION)):
            os.environ.setdefault(name, PLACEHOLDER)
        elif os.environ.get(name) == PLACEHOLDER:
            del os.environ[name]
