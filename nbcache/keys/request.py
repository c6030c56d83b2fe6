"""What a key is made of: the caller's request, and the identity of the model that it goes to."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from langchain_core.language_models.base import BaseLanguageModel
from langchain_core.messages import BaseMessage

from nbcache.keys.json_text import parsed
from nbcache.keys.provider_requests.request_parts import RequestSettings

# Arguments of a model's entry points that are LangChain's own; all others are options of the call.
_NOT_OPTIONS = frozenset(
    {
        *("stop", "callbacks", "tags", "metadata", "run_name", "run_id", "run_manager", "config", "stream"),
        *("ls_structured_output_format", "structured_output_format"),
    }
)
_NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Identity:
    """A model and its settings.

    Attributes:
        document: all that counts, in canonical JSON, without the endpoint.
        limits_tokens: whether the call limits the tokens of its answer.
        counted_prompt: the part of the prompt that counts, if not all of it does.
        request_settings: what the model's class would send besides the messages, if it can build a request.
    """

    document: bytes
    endpoint: str
    model: str
    limits_tokens: bool
    counted_prompt: str | None = None
    request_settings: RequestSettings | None = field(default=None, compare=False, repr=False)


@functools.lru_cache(maxsize=256)
def document(identity: str | bytes) -> Mapping[str, Any]:
    """The document of an identity, parsed. Do not change it: it is shared."""
    values = parsed(identity)
    return values if isinstance(values, dict) else {}


@dataclass(slots=True, eq=False)
class Request:
    """What a caller asks of a model.

    Attributes:
        model: the model, if it is one of LangChain's; otherwise `identity` says what is called.
        stop: the stop words; `options` are all other options of the call.
        is_chat: whether the model is a chat model.
        messages: the messages of a chat model's call, if they are known.
        is_async: whether the answer is awaited. A model may have a client of its own for that.
    """

    model: BaseLanguageModel[Any] | None = None
    stop: Sequence[str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    is_chat: bool = True
    identity: Identity | None = None
    messages: Sequence[BaseMessage] | None = None
    is_async: bool = False

    def langchain_model(self) -> BaseLanguageModel[Any]:
        """The model, of a call that is one of LangChain's."""
        assert self.model is not None
        return self.model


def options_of(kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options of a call, among the arguments of an entry point of LangChain's models."""
    if kwargs.keys() <= _NOT_OPTIONS:
        return _NO_OPTIONS
    return {name: value for name, value in kwargs.items() if name not in _NOT_OPTIONS}
