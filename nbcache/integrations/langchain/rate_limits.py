"""A model's rate limiter: only for a call that is made, so that a hit never waits for it.

For a stream, LangChain asks the limiter before it asks for the first chunk, and only then it turns out whether a request is
sent.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel

from nbcache.cache.call import Call, current_call
from nbcache.integrations.patching import Wrapping


def wrap_limiter(wrapping: Wrapping, model: Any) -> None:
    """Wrap how calls of a chat model wait, once for each class of limiters.

    LangChain asks no limiter for a completion model: its class may use the field's name for something else.
    """
    limiter = _limiter_of(model)
    if limiter is not None:
        wrapping.wrap_first(type(limiter), {"acquire": _acquire, "aacquire": _aacquire})


def wait(call: Call | None, model: Any) -> None:
    """Wait for the limiter as LangChain would have: a request is going to be sent."""
    if (owed := _owed(call, model)) is not None:
        model.rate_limiter.acquire(*owed[0], **owed[1])


async def await_(call: Call | None, model: Any) -> None:
    """As `wait`."""
    if (owed := _owed(call, model)) is not None:
        await model.rate_limiter.aacquire(*owed[0], **owed[1])


def _owed(call: Call | None, model: Any) -> tuple[tuple[Any, ...], Mapping[str, Any]] | None:
    if call is None or call.model is not model:
        return None
    call.sends = True
    owed, call.owed = call.owed, None
    return owed


def _limiter_of(model: Any) -> Any:
    return model.__dict__.get("rate_limiter") if isinstance(model, BaseChatModel) else None


def _defers(wrapping: Wrapping, limiter: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether it isn't certain yet that a request is sent. If so, the limiter's arguments are kept for `wait`."""
    call = current_call.get()
    if call is None or call.sends or not wrapping.active or not (call.is_stream or call.replay is not None):
        return False
    if _limiter_of(call.model) is not limiter:
        return False
    call.owed = args, kwargs
    return True


def _acquire(wrapping: Wrapping, original: Callable[..., bool]) -> Callable[..., bool]:
    @functools.wraps(original)
    def wrapper(limiter: Any, /, *args: Any, **kwargs: Any) -> bool:
        return _defers(wrapping, limiter, args, kwargs) or original(limiter, *args, **kwargs)

    return wrapper


def _aacquire(wrapping: Wrapping, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def wrapper(limiter: Any, /, *args: Any, **kwargs: Any) -> bool:
        return _defers(wrapping, limiter, args, kwargs) or await original(limiter, *args, **kwargs)

    return wrapper
