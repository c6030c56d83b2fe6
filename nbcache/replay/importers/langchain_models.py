"""The calls of well-known chat models, from nothing but the `llm_string` in which LangChain wrote all their settings.

The text is untrusted: a model is made of one of the classes listed here, and of no setting that has it reach out.
"""

import ast
import json
import os
import re
from functools import lru_cache
from typing import Any

from langchain_core.language_models import BaseChatModel

from nbcache.errors import NbcacheError
from nbcache.keys.ignored.langchain_parameters import CLIENTS, IGNORED_FIELDS, is_ignored
from nbcache.keys.llm_string import parse
from nbcache.keys.provider_requests.rebuilt_models import rebuilt
from nbcache.keys.request import Request

# What LangChain calls them, and the packages in which they are now.
_PACKAGES = {
    "langchain.chat_models.anthropic.ChatAnthropic": "langchain_anthropic",
    "langchain.chat_models.azure_openai.AzureChatOpenAI": "langchain_openai",
    "langchain.chat_models.mistralai.ChatMistralAI": "langchain_mistralai",
    "langchain.chat_models.openai.ChatOpenAI": "langchain_openai",
    "langchain_google_genai.chat_models.ChatGoogleGenerativeAI": "langchain_google_genai",
    "langchain_groq.chat_models.ChatGroq": "langchain_groq",
}
# With these Google's class looks for credentials on the network, or opens files, before anybody has called it.
_REACHING_OUT = {"vertexai", "credentials", "project", "location", "client_args"}
# Variables in which the clients look for where to send a request, and on whose behalf, by package.
_OWNERS = {
    "langchain_anthropic": "ANTHROPIC",
    "langchain_google_genai": "GOOGLE|GEMINI",
    "langchain_groq": "GROQ",
    "langchain_mistralai": "MISTRAL",
    "langchain_openai": "OPENAI|AZURE_OPENAI",
}
_ENDPOINT = "(?:{})_.*(?:BASE|URL|ENDPOINT|PROXY|ORG|ORG_ID|ORGANIZATION|USE_VERTEXAI)"


class EndpointNamedError(NbcacheError):
    """The environment names an endpoint: whether it did when the call was made, nobody knows."""


class KnownModels:
    """Models made anew, each once: that takes tens of milliseconds."""

    def __init__(self) -> None:
        self._model = lru_cache(maxsize=64)(_model)

    def call(self, llm_string: str) -> Request | None:
        """The call that an `llm_string` describes. None if it leaves something out. Wrong JSON raises what `json` raises."""
        if not parse(llm_string).serialised:
            return None  # these leave out where the call went, and its options (langchain#40403)
        _, end = json.JSONDecoder().raw_decode(llm_string)
        try:  # not those of `parse`: an option that is None may count
            options = dict(ast.literal_eval(llm_string[end + len("---") :]))
        except (SyntaxError, ValueError, TypeError):
            return None
        model = self._model(llm_string[:end])
        return None if model is None else Request(model, options.pop("stop", None), options)


def _model(serialised: str) -> BaseChatModel | None:
    """A model from its JSON, if it is a well-known one, is installed here, and takes these settings."""
    written = json.loads(serialised)
    package = _PACKAGES.get(".".join(map(str, written["id"])))
    given = {name: value for name, value in written["kwargs"].items() if value is not None}
    if package is None or given.keys() & (CLIENTS | _REACHING_OUT):
        return None
    _refuse_endpoints(package)
    secrets = {name for name, value in given.items() if isinstance(value, dict) and value.get("type") == "secret"}
    counted = {name for name in given.keys() - secrets - IGNORED_FIELDS if not is_ignored(name)}
    settings: dict[str, Any] = {name: _as_written(given[name]) for name in sorted(counted)}
    try:
        if '"lc": ' in json.dumps(settings):
            return None  # an object, of which no more than a name was written
        model = rebuilt(package, written["id"][-1], settings, dict.fromkeys(secrets, "not-a-secret"))
        return model if isinstance(model, BaseChatModel) else None
    except Exception:  # noqa: BLE001 - the class's own code, for which this may be anything
        return None


def _refuse_endpoints(package: str) -> None:
    """Raise EndpointNamedError where the environment says where such a model's calls go now.

    Where a call went is told, or is the class's default; and the environment is every thread's, so it stays as it is.
    """
    pattern = re.compile(_ENDPOINT.format(_OWNERS[package]))
    if named := sorted(filter(pattern.fullmatch, os.environ)):
        raise EndpointNamedError(
            f"the file doesn't tell whether {', '.join(named)} was set when it was asked; unset it to import"
        )


def _as_written(value: Any) -> Any:
    """A setting in the order in which people write it, which counts: LangChain has sorted what is in it."""
    return {"type": value["type"], **value} if isinstance(value, dict) and "type" in value else value
