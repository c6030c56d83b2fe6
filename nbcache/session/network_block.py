"""`pytest --nbcache=replay --nbcache-block-network`: no connection leaves this machine, whatever library makes it.

Loopback and Unix sockets stay open: kernels talk to pytest by them, and tests to servers of their own.
"""

import ipaddress
import socket
from collections.abc import Callable
from functools import wraps
from typing import Any

from nbcache.cache.misses.swallowed import note_swallowed
from nbcache.errors import ReplayMiss

_INTERNET = {socket.AF_INET, socket.AF_INET6}
# The methods of a socket that take an address as their last argument, and the functions that take a host as their first.
_METHODS = ("connect", "connect_ex", "sendto")
_FUNCTIONS = ("getaddrinfo", "gethostbyname", "gethostbyname_ex")
_originals: dict[str, Any] = {}  # of this process, while the network is blocked


def block_network() -> None:
    """Block the network for this process, until `open_network`."""
    if _originals:
        return
    for name in _METHODS:
        _originals[name] = vars(socket.socket).get(name)  # None if it is inherited, from the class in C
        setattr(socket.socket, name, _guarded_method(getattr(socket.socket, name)))
    for name in _FUNCTIONS:
        _originals[name] = getattr(socket, name)
        setattr(socket, name, _guarded_function(_originals[name]))


def open_network() -> None:
    """End the block."""
    while _originals:
        name, original = _originals.popitem()
        if name in _FUNCTIONS:
            setattr(socket, name, original)
        elif original is None:
            delattr(socket.socket, name)
        else:
            setattr(socket.socket, name, original)


def _guarded_method(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def guarded(self: socket.socket, *args: Any) -> Any:
        if self.family in _INTERNET and args and isinstance(args[-1], tuple):
            _check(args[-1][0])
        return original(self, *args)

    return guarded


def _guarded_function(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def guarded(host: Any, *args: Any, **named: Any) -> Any:
        _check(host)
        return original(host, *args, **named)

    return guarded


def _check(host: Any) -> None:
    """Raise ReplayMiss if `host`, a name or an address, is not this machine."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else host
    if not isinstance(name, str) or _is_here(name):
        return
    miss = ReplayMiss(f"a connection to {name} was stopped: `--nbcache-block-network` allows none but to this machine")
    note_swallowed(miss)
    raise miss


def _is_here(host: str) -> bool:
    if host.lower() in {"", "localhost", socket.gethostname().lower()} or host.lower().endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
