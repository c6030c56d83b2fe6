"""The course of a call, whatever library sends it: look it up, send it if it has to be, record its answer.

Each library has a form of its own, an object for one request. It sends the request, and makes the library's responses.
"""

from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Any, Protocol

from nbcache.cache.call import running
from nbcache.codec.sdk_response import HTTPResponse
from nbcache.concurrency.effects import Effect, adrive, drive
from nbcache.integrations.http.exchange import Exchange


class Form(Protocol):
    """One request of a library. The asynchronous form of a library has coroutines for `send` and `read`."""

    def send(self) -> Any:
        """Send the request. Returns the provider's response, whose body isn't read."""

    def head(self, response: Any) -> tuple[int, Mapping[str, str]]:
        """The status and the headers of a response."""

    def is_decoded(self, response: Any) -> bool:
        """Whether the library gives the bytes of a response's body as they are without the encoding of their transfer."""

    def read(self, response: Any) -> Any:
        """Read and close a response. Returns its decoded body."""

    def replayed(self, recorded: HTTPResponse) -> Any:
        """A response of the library from a recorded one."""

    def whole(self, response: Any, body: bytes) -> Any:
        """The response for the caller, after `read`."""

    def streamed(self, response: Any, exchange: Exchange) -> Any:
        """The response for the caller, whose body is recorded while it is read. The call ends with that body."""


class _Step:
    """A step of a course, taken as its form takes it: a call, or on an event loop a coroutine."""

    def __init__(self, step: Callable[[], Any]) -> None:
        self.run = self.arun = step


def answer(exchange: Exchange, form: Form) -> Any:
    """The response to a call, from the cache or from the provider."""
    with (block := running(exchange.call)):
        try:
            return drive(_course(exchange, form, block, exchange.find, exchange.save))
        except BaseException:
            exchange.fail()
            raise


async def aanswer(exchange: Exchange, form: Form) -> Any:
    """As `answer`, on an event loop."""
    with (block := running(exchange.call)):
        try:
            return await adrive(_course(exchange, form, block, exchange.afind, exchange.asave))
        except BaseException:
            exchange.fail()
            raise


def _course(
    exchange: Exchange, form: Form, block: running, find: Callable[[], Any], save: Callable[..., Any]
) -> Generator[Effect, Any, Any]:
    """Yields the steps that may take a while, and gets their results. Returns the response."""
    recorded = yield _Step(find)
    if recorded is not None:
        return form.replayed(recorded)
    response = yield _Step(form.send)
    status, headers = form.head(response)
    if not 200 <= status < 300:
        exchange.fail()
        return response
    if not form.is_decoded(response):
        return response
    if exchange.is_stream:
        streamed = form.streamed(response, exchange)
        block.goes_on = True
        return streamed
    body = yield _Step(partial(form.read, response))
    yield _Step(partial(save, status, headers, body))
    return form.whole(response, body)
