"""What counts of a transport that is not the HTTP library's own: it may send a request elsewhere."""

import types
from typing import Any

from nbcache.errors import UnstableIdentityError
from nbcache.keys.clients.client_hooks import socket_of
from nbcache.keys.usercode import NotCanonicalError, digest_of, is_users_code

# Transports that answer in this process, and their attribute for the function or application that answers.
_IN_PROCESS = {"MockTransport": "handler", "ASGITransport": "app", "WSGITransport": "app"}


def route_of(transport: Any) -> Any:
    """What counts of a transport: the code and state of a user's own, and the path of a Unix socket.

    None for the HTTP libraries' own. Raises UnstableIdentityError for a transport without a canonical form.
    """
    cls = type(transport)
    if not is_users_code(cls):
        handler = getattr(transport, _IN_PROCESS.get(cls.__name__, ""), None)
        return socket_of(transport) if handler is None else [cls.__name__, _handler_code(handler)]
    try:
        return [cls.__qualname__, digest_of(transport), socket_of(transport)]
    except NotCanonicalError as error:
        name = cls.__qualname__
        raise UnstableIdentityError.of_value(
            *(f"transport {name}", f"calls by way of {name}", "it", error),
            "It may send a request elsewhere: set headers and hosts in an event hook or on the client",
        ) from None


def _handler_code(handler: Any) -> str:
    """The code of a handler. Its state doesn't count: that is the requests that it has got."""
    if isinstance(handler, types.MethodType):
        handler = handler.__func__
    try:
        return digest_of(handler if isinstance(handler, types.FunctionType) else type(handler))
    except NotCanonicalError:
        return type(handler).__qualname__
