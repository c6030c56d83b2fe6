"""While the cache is on, each request of httpx and httpx2 to a model's API is looked up, whatever library sends it.

Both libraries choose the transport of a request by one method of their clients. For a path of a model's API that method
gives a transport of ours around the client's own; for any other it gives what it always gave. No object of a client changes.
"""

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any
from weakref import WeakMethod

import wrapt

from nbcache.cache.notebook_cache import NotebookCache
from nbcache.integrations.patching import Wrapper, Wrapping

_MODULES = ("httpx", "httpx2")
_METHOD = "_transport_for_url"


class HTTPHooks:
    """The hooked methods. `remove` puts back exactly what was there."""

    def __init__(self, cache_now: Callable[[], NotebookCache | None]) -> None:
        self._wrapping = Wrapping(cache_now)
        for name in _MODULES:
            _when_imported(name, WeakMethod(self._hook))

    def remove(self) -> None:
        """Put the originals back. If somebody has wrapped ours since, ours stays in place and does nothing."""
        self._wrapping.remove()

    def _hook(self, family: ModuleType) -> None:
        if not self._wrapping.active:
            return
        for name in ("Client", "AsyncClient"):
            owner = getattr(family, name)
            if _METHOD in vars(owner):
                self._wrapping.wrap(owner, _METHOD, _hooked(self._wrapping, family, name))


def _hooked(wrapping: Wrapping, family: ModuleType, name: str) -> Wrapper:
    from nbcache.integrations.http import httpx_transport  # noqa: PLC0415 - as late as the library that is hooked
    from nbcache.integrations.http.model_call import may_be_model_call  # noqa: PLC0415

    kind = httpx_transport.KINDS[name]

    def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def transport_for_url(client: Any, url: Any) -> Any:
            inner = original(client, url)
            if not (wrapping.active and may_be_model_call(url.raw_path)) or isinstance(inner, kind):
                return inner
            return kind(client, family, wrapping.cache_now, inner)

        return transport_for_url

    return wrapper


def _when_imported(name: str, hook: "WeakMethod[Callable[[ModuleType], None]]") -> None:
    """Call `hook` with the module of this name: now if it has been imported, or else when it is."""

    def imported(module: ModuleType) -> None:
        if (method := hook()) is not None:
            method(module)

    wrapt.register_post_import_hook(imported, name)
