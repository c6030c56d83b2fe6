"""`with_retry`: an answer that a parser has rejected is not handed out again. The retry gets the call's next sample."""

import functools
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from langchain_core.runnables.base import RunnableBindingBase

from nbcache.cache.samples import Attempt, current_attempt
from nbcache.concurrency.context_blocks import Block
from nbcache.integrations.patching import Wrapping

_MODULE, _CLASS = "langchain_core.runnables.retry", "RunnableRetry"

# Packages whose errors say that a request failed.
_CLIENTS = {
    *("openai", "anthropic", "groq", "mistralai", "ollama", "google", "botocore", "cohere"),
    *("httpx", "httpcore", "requests", "aiohttp", "urllib3", "grpc"),
}


def watch_retries(wrapping: Wrapping) -> None:
    """Wrap the methods of `RunnableRetry`, now or when LangChain makes the class: at the first `with_retry`."""
    wrap = functools.partial(_wrap, wrapping)
    if (made := getattr(sys.modules.get(_MODULE), _CLASS, None)) is not None:
        wrap(made)
    else:
        wrapping.watch(RunnableBindingBase, wrap)


def _wrap(wrapping: Wrapping, cls: type) -> None:
    """Wrap the methods of `cls` if it is `RunnableRetry`. If a release of LangChain has no `_patch_config`, nothing is done."""
    if (cls.__module__, cls.__name__) != (_MODULE, _CLASS) or "_patch_config" not in cls.__dict__:
        return
    wrapping.wrap(cls, "_patch_config", _attempt)
    for name, wrapper in (("invoke", _sync), ("batch", _sync), ("ainvoke", _async), ("abatch", _async)):
        wrapping.wrap(cls, name, wrapper)


def _attempt(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def wrapper(config: Any, run_manager: Any, retry_state: Any) -> Any:
        now = current_attempt.get()
        if now is not None:
            now = replace(now, path=(*now.path[:-1], retry_state.attempt_number))
            current_attempt.change(now)
            _watch(retry_state, now)
        return original(config, run_manager, retry_state)

    return wrapper


def _watch(retry_state: Any, attempt: Attempt) -> None:
    """If an attempt failed because of an outage, its answers were not rejected: the next attempt may reuse them."""
    failed = type(retry_state).set_exception

    def set_exception(outcome: Any) -> None:
        if _is_outage(outcome[1]):
            attempt.forget()
        failed(retry_state, outcome)

    retry_state.set_exception = set_exception


def _is_outage(error: BaseException | None) -> bool:
    """Whether a connection or a provider failed, rather than the code that reads the answer."""
    return isinstance(error, OSError) or any(
        cls.__module__.partition(".")[0] in _CLIENTS for cls in type(error).__mro__
    )


def _sync(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def wrapper(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        with _attempts():
            return original(self, *args, **kwargs)

    return wrapper


def _async(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def wrapper(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        with _attempts():
            return await original(self, *args, **kwargs)

    return wrapper


def _attempts() -> Block[Attempt]:
    """The attempts of one retried chain, which may be within another's."""
    return Block(
        current_attempt, lambda around: Attempt() if around is None else replace(around, path=(*around.path, 1))
    )
