"""redis-py's connections, within time: no name, address, Sentinel or large answer keeps a call waiting for longer than it may.

This is imported when a store connects.
"""

import socket
import time
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import redis

from nbcache.stores.redis.address import Place

Find = Callable[[float], Place]  # where the server is, found out until then (`time.monotonic`)
_PIECE = 65_536  # bytes sent at once, and held by the system: what is sent slowly is not taken for a silent server
_PATIENCE, _SLOWEST = 1.0, 100_000  # seconds for a reply, and a second more for so many bytes of it
_LARGEST = 2**30  # bytes of a reply
_SILENCE = 0.25  # seconds for an answer to a PING
_Addresses = list[tuple[Any, ...]]  # as socket.getaddrinfo returns them


class _Paced:
    """A socket by which a reply may come slowly, but not drop by drop, and not without end."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self.sendall, self.settimeout = sock.sendall, sock.settimeout  # a hit needs them
        self._receive = sock.recv
        self.ends: float | None = None  # when a reply of which nothing has come is given up (`time.monotonic`)
        self._received = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def begin_reply(self, timeout: float | None) -> None:
        """A reply is waited for: `timeout` seconds for its first bytes, and as long as it needs for more."""
        self.ends, self._received = time.monotonic() + (timeout or 0) + _PATIENCE, 0

    def recv(self, size: int) -> bytes:
        """As a socket does. Raises TimeoutError if the reply comes too slowly, or is too large."""
        data: bytes = self._receive(size)
        self._count(len(data))
        return data

    def recv_into(self, buffer: Any, *arguments: int) -> int:
        """As `recv`."""
        received: int = self._sock.recv_into(buffer, *arguments)
        self._count(received)
        return received

    def _count(self, received: int) -> None:
        if self.ends is None:
            return
        self._received += received
        if self._received > _LARGEST or time.monotonic() > self.ends + self._received / _SLOWEST:
            raise TimeoutError("the reply has no end")


class _Quiet:
    """Sends no name and version of redis-py, and looks whether the server is alive before what may take it long.

    An interrupt may come before the password was sent and the database chosen, or after a command was sent and before its reply
    was read: the next command would be in another database, or read another's reply. So such a connection is not used again.
    """

    _sock: Any
    _is_made = False  # with password and database
    _unread = 0  # replies to what was sent
    socket_timeout: Any
    health_check_interval: Any
    driver_info: Any

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.driver_info = self.lib_name = self.lib_version = None  # each would cost a round trip

    def on_connect_check_health(self, *args: Any, **options: Any) -> None:
        self._sock = _Paced(self._sock)
        super().on_connect_check_health(*args, **options)  # type: ignore[misc]

    def send_command(self, *args: Any, **options: Any) -> None:
        self._unread += 1
        super().send_command(*args, **options)  # type: ignore[misc]

    def pack_commands(self, commands: Iterable[Any]) -> Any:
        whole = [*commands]
        self._unread += len(whole)
        return super().pack_commands(whole)  # type: ignore[misc]

    def read_response(self, *args: Any, **options: Any) -> Any:
        sock = self._sock
        if sock is not None:
            sock.begin_reply(self.socket_timeout)
        try:
            reply = super().read_response(*args, **options)  # type: ignore[misc]
        except redis.ResponseError:
            self._unread = max(self._unread - 1, 0)
            raise
        except (ValueError, TypeError, RecursionError, MemoryError) as error:
            raise redis.InvalidResponse(repr(error)) from None
        finally:
            if sock is not None:
                sock.ends = None
        self._unread = max(self._unread - 1, 0)
        return reply

    def connect_check_health(self, *args: Any, **options: Any) -> None:
        if self._sock is None:
            self._is_made = False
            super().connect_check_health(*args, **options)  # type: ignore[misc]
            self._is_made = True

    def can_read(self, *args: Any, **options: Any) -> bool:
        """Whether this connection can't be used as it is: redis-py looks before each use, and then connects anew."""
        is_left = self._unread > 0 or not self._is_made
        return is_left or bool(super().can_read(*args, **options))  # type: ignore[misc]

    def disconnect(self, *args: Any, **options: Any) -> None:
        super().disconnect(*args, **options)  # type: ignore[misc]
        self._unread = 0

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - redis-py's
        pieces = command if isinstance(command, str) else _in_pieces(command)
        super().send_packed_command(pieces, check_health)  # type: ignore[misc]

    def check_health(self) -> None:
        if self.health_check_interval:
            self._sock.settimeout(min(_SILENCE, self.socket_timeout))
            super().check_health()  # type: ignore[misc]
            self._sock.settimeout(self.socket_timeout)


class UnixConnection(_Quiet, redis.UnixDomainSocketConnection):
    """A connection to a socket of this machine."""


class TcpConnection(_Quiet, redis.Connection):
    """A connection that is made within `socket_connect_timeout` seconds, with all that has to be found out for it."""

    def __init__(self, *, find: Find | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._find = find

    def _connect(self) -> socket.socket:
        ends = time.monotonic() + (self.socket_connect_timeout or 0)
        if self._find is not None:
            self.host, self.port = self._find(ends)
        addresses = _addresses(self.host, self.port, ends)
        for number, (family, kind, protocol, _, place) in enumerate(addresses, 1):
            each = max(ends - time.monotonic(), 0.001) / (len(addresses) - number + 1)
            made = socket.socket(family, kind, protocol)
            try:
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PIECE)
                made.settimeout(each)
                made.connect(place)
                made.settimeout(self.socket_timeout)
            except OSError:
                made.close()
                if number == len(addresses):
                    raise
            else:
                return made
        raise OSError(f"{self.host} has no address")


class TlsConnection(redis.SSLConnection, TcpConnection):
    """The same by TLS."""


def _in_pieces(command: Any) -> Iterator[Any]:
    for item in command:
        if len(item) <= _PIECE:
            yield item
        else:
            whole = memoryview(item)
            yield from (whole[start : start + _PIECE] for start in range(0, len(whole), _PIECE))


def _addresses(host: str, port: int, ends: float) -> _Addresses:
    """The addresses of a host. The system may take long to look them up, and can't be interrupted: a thread asks it."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass  # it is a name
    outcome: list[_Addresses | OSError] = []
    done = allocate_lock()
    done.acquire()

    def look_up() -> None:
        try:
            outcome.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            outcome.append(error if isinstance(error, OSError) else OSError(f"{host} is no name of a host"))
        finally:
            done.release()

    start_new_thread(look_up, ())
    if not done.acquire(timeout=max(ends - time.monotonic(), 0)):
        raise redis.TimeoutError(f"the name {host} takes too long to look up")
    if isinstance(outcome[0], OSError):
        raise outcome[0]
    return outcome[0]
