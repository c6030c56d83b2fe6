"""The endpoints of providers' APIs whose calls are cached."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from langchain_core.outputs import Generation

from nbcache.integrations.sdk import body_to_generations, sse

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dialect:
    """One endpoint of a provider's API.

    Attributes:
        system, prompt: the fields of the body that are the prompt.
        fits: whether a body is a call's: other APIs may have such a path, too.
        ends: the events with which a stream is complete.
        join: makes the body of a whole answer from the events of a stream.
        read: makes generations from the body of a whole answer.
    """

    sdk: str
    path: str
    system: str
    prompt: str
    fits: Callable[[Body], bool]
    ends: frozenset[str]
    join: sse.Join
    read: Callable[[Body], list[Generation] | None]


def _has(*names: str) -> Callable[[Body], bool]:
    return lambda body: all(name in body for name in names)


def _is_response(body: Body) -> bool:
    return "input" in body or "prompt" in body  # the latter is a stored template's name and values


DIALECTS = (
    Dialect(
        *("openai", "/chat/completions", "", "messages", _has("messages")),
        *(sse.OPENAI_ENDS, sse.join_chat, body_to_generations.chat),
    ),
    Dialect(
        *("openai", "/completions", "", "prompt", _has("prompt")),
        *(sse.OPENAI_ENDS, sse.join_completion, body_to_generations.completion),
    ),
    Dialect(
        *("openai", "/responses", "instructions", "input", _is_response),
        *(sse.RESPONSES_ENDS, sse.join_response, body_to_generations.response),
    ),
    Dialect(
        *("anthropic", "/v1/messages", "system", "messages", _has("model", "max_tokens", "messages")),
        *(sse.MESSAGES_ENDS, sse.join_message, body_to_generations.message),
    ),
)
