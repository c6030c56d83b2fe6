"""What a key is made of: the request that a caller makes, and the identity of the model that it goes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models.base import BaseLanguageModel
from langchain_core.messages import BaseMessage

from nbcache.keys.provider_requests.request_parts import Settings


@dataclass(frozen=True, slots=True)
class Identity:
    """A model and its settings. `document` is canonical JSON, without the endpoint.

    `part` is what counts of the prompt, where that isn't the whole. `sent` is what of the request is known here,
    where the model's class can build it.
    """

    document: bytes
    endpoint: str
    model: str
    limits_tokens: bool
    part: str | None = None
    sent: Settings | None = field(default=None, compare=False, repr=False)


@dataclass(slots=True, eq=False)
class Request:
    """What a caller asks of a model.

    Attributes:
        model: the model, where it is one of LangChain's; else `identity` says what is called.
        stop: the stop words; `options` are all other options of the call.
        is_chat: whether the model is a chat model.
        messages: those of a chat model's call, where they are at hand.
        is_async: whether the answer is awaited: a model may have another client for that.
    """

    model: BaseLanguageModel[Any] | None = None
    stop: Sequence[str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    is_chat: bool = True
    identity: Identity | None = None
    messages: Sequence[BaseMessage] | None = None
    is_async: bool = False

    def asked_model(self) -> BaseLanguageModel[Any]:
        """The model, of a call that is one of LangChain's."""
        assert self.model is not None
        return self.model
