"""The endpoints of providers' APIs whose calls are cached."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from langchain_core.outputs import Generation

from nbcache.integrations.sdk import response_bodies, sse

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dialect:
    """One endpoint of a provider's API.

    Attributes:
        system, prompt: the fields of the body that are the prompt.
        ends: the events with which a stream is complete.
        join: makes the body of a whole answer from the events of a stream.
        read: makes generations from the body of a whole answer.
    """

    sdk: str
    path: str
    system: str
    prompt: str
    ends: frozenset[str]
    join: sse.Join
    read: Callable[[Body], list[Generation] | None]


DIALECTS = (
    Dialect("openai", "/chat/completions", "", "messages", sse.OPENAI_ENDS, sse.join_chat, response_bodies.chat),
    Dialect("openai", "/completions", "", "prompt", sse.OPENAI_ENDS, sse.join_completion, response_bodies.completion),
    Dialect(
        *("openai", "/responses", "instructions", "input"),
        sse.RESPONSES_ENDS,
        sse.join_response,
        response_bodies.response,
    ),
    Dialect(
        "anthropic", "/v1/messages", "system", "messages", sse.MESSAGES_ENDS, sse.join_message, response_bodies.message
    ),
)
