"""The status of an answer that has just come: by what it says itself, and by whether its stream came to its end."""

from collections.abc import Sequence

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation

from nbcache.entry.langchain_clients import always_streams, is_client
from nbcache.entry.status import UNFINISHED, shows_end, status_of, tells_reason, unknown_reason
from nbcache.errors import warn_once
from nbcache.keys.request import Request


def status_now(answer: Sequence[Generation], request: Request | None, model: str, *, ended: bool | None) -> str:
    """The status of the answer to `request` of the model named `model`.

    `ended` is whether the streams of the provider's client came to their end, and None if there were none. If it isn't
    known how the answer ended, a warning says so once.
    """
    cls = None if request is None or request.model is None else type(request.model)
    by_client = is_client(cls) if cls is not None else request is not None and request.identity is not None
    if ended is None:
        ended = _is_whole(answer, cls, is_seen=request is not None)
    status = status_of(answer, by_client=by_client, ended=ended)
    if status == UNFINISHED:
        _say(model, unknown_reason(answer) if ended else None, ended=ended)
    return status


def _is_whole(answer: Sequence[Generation], cls: type | None, *, is_seen: bool) -> bool:
    """Whether an answer is whole, if no stream of a provider's client was seen.

    An answer whose call we did not see counts as whole, unless it looks cut off.
    """
    if not is_seen:
        return not any(map(_looks_cut, answer))
    return cls is None or not always_streams(cls) or all(map(shows_end, answer))


def _looks_cut(generation: Generation) -> bool:
    """Whether a provider's client made this from a stream that broke off.

    A whole answer of a client has a place for its finish reason (even if that is None), or usage.
    """
    if not isinstance(generation, ChatGeneration) or not isinstance(generation.message, AIMessage):
        return False
    message = generation.message
    is_clients = "model_provider" in message.response_metadata
    return is_clients and not tells_reason(generation) and message.usage_metadata is None


def _say(model: str, reason: str | None, *, ended: bool) -> None:
    beginning = f"nbcache: an answer of {model} is kept as a recording and is no hit, so the call is made again"
    if not ended:
        text = (
            f"{beginning}: its stream stopped without a sign that it was whole (a finish reason, usage, or the mark of an "
            "end). Where this server never sends one, ask it for whole answers (`disable_streaming=True`)"
        )
        warn_once(f"unfinished {model}", text)
    elif reason is not None:
        text = (
            f"{beginning}: it ended with {reason!r}, and nbcache doesn't know whether that is a good end. Where it is, "
            f"`%config NBCache.finish_reasons = [{reason!r}]` says so"
        )
        warn_once(f"finish reason {reason}", text)
