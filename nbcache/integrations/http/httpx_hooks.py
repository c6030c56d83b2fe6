"""While the cache is on, each request of httpx and httpx2 to a model's API is looked up, whatever library sends it.

Both libraries choose the transport of a request by one method of their clients. For a path of a model's API that method
gives a transport of ours around the client's own; for any other it gives what it always gave. No object of a client changes.
"""

import sys
from collections.abc import Callable
from functools import partial, wraps
from types import ModuleType
from typing import Any
from weakref import WeakMethod

from nbcache.cache.notebook_cache import NotebookCache
from nbcache.concurrency.import_hooks import when_imported
from nbcache.integrations.patching import Wrapper, Wrapping

_MODULES = ("httpx", "httpx2")
_METHOD = "_transport_for_url"


class HTTPHooks:
    """The hooked methods. `remove` puts back exactly what was there."""

    def __init__(self, cache_now: Callable[[], NotebookCache | None]) -> None:
        self._wrapping = Wrapping(cache_now)
        self._waiting = [when_imported([name], partial(_call, WeakMethod(self._hook), name)) for name in _MODULES]

    def remove(self) -> None:
        """Put the originals back. If somebody has wrapped ours since, ours stays in place and does nothing."""
        for end in self._waiting:
            end()
        self._wrapping.remove()

    def _hook(self, package: str) -> None:
        if not self._wrapping.active:
            return
        family = sys.modules[package]
        for name in ("Client", "AsyncClient"):
            owner = getattr(family, name)
            if _METHOD in vars(owner):
                self._wrapping.wrap(owner, _METHOD, _hooked(self._wrapping, family, name))


def _hooked(wrapping: Wrapping, family: ModuleType, name: str) -> Wrapper:
    def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def transport_for_url(client: Any, url: Any) -> Any:
            inner = original(client, url)
            if not wrapping.active:
                return inner
            from nbcache.integrations.http.model_call import may_be_model_call  # noqa: PLC0415 - with the first request

            if not may_be_model_call(url.raw_path):
                return inner
            from nbcache.integrations.http.httpx_transport import KINDS  # noqa: PLC0415 - with the first call of a model

            kind = KINDS[name]
            if isinstance(inner, kind):
                return inner
            return kind(client, family, wrapping.cache_now, inner)

        return transport_for_url

    return wrapper


def _call(hook: "WeakMethod[Callable[[str], None]]", package: str) -> None:
    if (method := hook()) is not None:
        method(package)
