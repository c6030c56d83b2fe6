"""What an HTTP client's transport does with a request after its key is made: it may send it elsewhere."""

import types
from typing import Any

from nbcache.errors import UnstableIdentityError
from nbcache.keys.clients.hooks import socket_of
from nbcache.keys.usercode import NotCanonicalError, digest_of, is_users_code

# They answer by a function or an application in this process, each under the name of what does.
_IN_PROCESS = {"MockTransport": "handler", "ASGITransport": "app", "WSGITransport": "app"}


def route_of(transport: Any) -> Any:
    """What of a transport counts: its code and state where it is the user's own, and the socket that it goes by.

    None for the HTTP libraries' own. Raises UnstableIdentityError where it can't be told from another.
    """
    cls = type(transport)
    if not is_users_code(cls):
        answering = getattr(transport, _IN_PROCESS.get(cls.__name__, ""), None)
        return socket_of(transport) if answering is None else [cls.__name__, _code_of(answering)]
    try:
        return [cls.__qualname__, digest_of(transport), socket_of(transport)]
    except NotCanonicalError as error:
        name = cls.__qualname__
        raise UnstableIdentityError.of_value(
            *(f"transport {name}", f"calls by way of {name}", "it", error),
            "It may send a request elsewhere: set headers and hosts in an event hook or on the client",
        ) from None


def _code_of(answering: Any) -> str:
    """The code of what answers. Its state doesn't count: that is what it has been asked."""
    if isinstance(answering, types.MethodType):
        answering = answering.__func__
    try:
        return digest_of(answering if isinstance(answering, types.FunctionType) else type(answering))
    except NotCanonicalError:
        return type(answering).__qualname__
