"""The endpoints of providers' APIs whose calls are cached."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from langchain_core.outputs import Generation

from nbcache.integrations.http.apis import event_streams, generations

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of a provider's API.

    Attributes:
        api: the name of the API, as the setting `clients` takes it. `path` is the end of the endpoint's path.
        system, prompt: the fields of the body that are the prompt.
        fits: whether a body is a call's: other APIs may have such a path, too.
        ends: the events with which a stream is complete.
        join: makes the body of a whole answer from the events of a stream.
        read: makes generations from the body of a whole answer.
    """

    api: str
    path: str
    system: str
    prompt: str
    fits: Callable[[Body], bool]
    ends: frozenset[str]
    join: event_streams.Join
    read: Callable[[Body], list[Generation] | None]


def _has(*names: str) -> Callable[[Body], bool]:
    return lambda body: all(name in body for name in names)


def _is_response(body: Body) -> bool:
    return "input" in body or "prompt" in body  # the latter is a stored template's name and values


ENDPOINTS = (
    Endpoint(
        *("openai", "/chat/completions", "", "messages", _has("messages")),
        *(event_streams.OPENAI_ENDS, event_streams.join_chat, generations.chat),
    ),
    Endpoint(
        *("openai", "/completions", "", "prompt", _has("prompt")),
        *(event_streams.OPENAI_ENDS, event_streams.join_completion, generations.completion),
    ),
    Endpoint(
        *("openai", "/responses", "instructions", "input", _is_response),
        *(event_streams.RESPONSES_ENDS, event_streams.join_response, generations.response),
    ),
    Endpoint(
        *("anthropic", "/v1/messages", "system", "messages", _has("model", "max_tokens", "messages")),
        *(event_streams.MESSAGES_ENDS, event_streams.join_message, generations.message),
    ),
)
