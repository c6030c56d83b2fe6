"""Connections of their own for requests that are sent on an event loop beside the notebook's.

An async client of httpx keeps its connections open for the next request. A connection works on the loop alone on which it was
made: another loop that takes it sends a request, and never reads the answer. And once a loop is closed, so are its connections,
though the client doesn't know it.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from copy import copy
from functools import wraps
from typing import Any

from nbcache.integrations.patching import Wrapping

_FAMILIES = ("httpx", "httpx2")


@asynccontextmanager
async def own_connections() -> AsyncIterator[None]:
    """Within this block requests on the running loop use no connection of another one. At its end theirs are closed."""
    wrapping, twins = Wrapping(), _Twins(asyncio.get_running_loop())
    for family in _FAMILIES:
        transport = getattr(sys.modules.get(family), "AsyncHTTPTransport", None)
        if transport is not None and "handle_async_request" in vars(transport):
            wrapping.wrap(transport, "handle_async_request", twins.sending)
    try:
        yield
    finally:
        wrapping.remove()
        await twins.close()


class _Twins:
    """Copies of transports, each with connections of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._twins: dict[int, tuple[Any, Any]] = {}  # the transport, so that its id stays its own, and its copy

    def sending(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `handle_async_request(request)` of transports."""

        @wraps(original)
        async def handle_async_request(transport: Any, request: Any) -> Any:
            is_here = asyncio.get_running_loop() is self._loop
            return await original(self._of(transport) if is_here else transport, request)

        return handle_async_request

    def _of(self, transport: Any) -> Any:
        if id(transport) not in self._twins:
            pool: Any = getattr(transport, "_pool", None)
            if not all(isinstance(getattr(pool, name, None), list) for name in ("_connections", "_requests")):
                return transport  # of a release that keeps them elsewhere
            twin, own = copy(transport), copy(pool)
            own._connections, own._requests, twin._pool = [], [], own  # noqa: SLF001 - httpcore has no public way
            self._twins[id(transport)] = transport, twin
        return self._twins[id(transport)][1]

    async def close(self) -> None:
        """Close the connections."""
        for _, twin in self._twins.values():
            with suppress(Exception):  # of calls that were abandoned
                await twin._pool.aclose()  # noqa: SLF001 - as above
