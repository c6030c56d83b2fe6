"""A connection to a Redis or Valkey server. What fails raises StoreError, and the server is left alone for a while."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from nbcache.errors import MissingPackageError, StoreError, warn_once
from nbcache.stores.circuit_breaker import CircuitBreaker
from nbcache.stores.redis.clock import ServerClock

if TYPE_CHECKING:
    import redis

    from nbcache.stores.redis.address import Address

# Seconds for an answer: to a call of the user, to what takes the server long, and at install, where three answers may be needed.
_HIT, _LISTING, _INSTALL = 0.25, 10.0, 0.33
_IDLE = 0.05  # seconds after which the server is looked at, before it is asked for what takes long


class Server:
    """A server: `calls` and `listing` are redis-py's clients for what has to be quick, and for what may take seconds."""

    def __init__(self, address: "Address") -> None:
        self.address = address
        self.clock = ServerClock(self._time)
        self._breaker = CircuitBreaker(self._attempt)
        self._failure = StoreError(f"{address.url} does not answer")  # the last one
        _redis()

    @cached_property
    def calls(self) -> "redis.Redis":
        """The client for what a user's call waits for."""
        return self._client(_HIT)

    @cached_property
    def listing(self) -> "redis.Redis":
        """The client for lists, changes of many entries, and checks."""
        return self._client(_LISTING, health_check_interval=_IDLE)

    @contextmanager
    def request(self) -> Iterator[None]:
        """A request in a block: what fails in it raises StoreError. While the server is left alone, none is begun."""
        if wait := self._breaker.wait():
            raise type(self._failure)(f"{self._failure}; it is asked again in {wait:.0f} s")
        begun = time.monotonic()
        package = _redis()
        try:
            yield
        except package.RedisError as error:
            raise self._explained(error, begun) from None
        self._breaker.worked()

    def connect(self) -> None:
        """Ask the server once, for at most a second. Raises ValueError if it refuses the password, StoreError if it is silent."""
        from nbcache.stores.redis.failures import RefusedError  # noqa: PLC0415 - needs redis-py

        client = self._client(_INSTALL)
        try:
            with self.request():
                policy = _eviction_policy(client)
        except RefusedError as error:
            raise ValueError(str(error)) from None
        finally:
            client.connection_pool.disconnect()
        if policy.startswith("allkeys"):
            warn_once(
                f"{policy} {self.address.url}",
                f"nbcache: {self.address.url} may evict any key when its memory is full (maxmemory-policy {policy}), "
                "so that entries are lost, and often listed anew: set maxmemory-policy to noeviction, and max_bytes here",
            )

    def now(self) -> float:
        """The time by the server's clock, in seconds since the epoch. Raises StoreError if it is not known."""
        with self.request():
            return self.clock.now()

    def ahead(self) -> float:
        """Seconds that the server's clock is ahead of this machine's. Raises StoreError if it is not known."""
        with self.request():
            return self.clock.ahead()

    def close(self) -> None:
        """Close the connections. They are opened again when they are needed."""
        self._disconnect(in_use=True)

    def _attempt(self) -> None:
        """Look whether the server is back, for the circuit breaker."""
        begun = time.monotonic()
        try:
            self.calls.ping()
        except _redis().RedisError as error:
            self._explained(error, begun)
        else:
            self._breaker.answered()

    def _time(self) -> float:
        """What the server's clock says; this machine's, where the user may not ask."""
        try:
            seconds, microseconds = self.calls.time()
        except _redis().exceptions.NoPermissionError:
            return time.time()
        return seconds + microseconds / 1e6

    def _explained(self, error: Exception, begun: float) -> StoreError:
        """The error that says what failed. If nothing can be had from the server for now, it is left alone."""
        from nbcache.stores.redis import failures  # noqa: PLC0415 - needs redis-py

        failure = failures.explained(error, self.address)
        is_outage = failures.is_outage(error)
        if is_outage:
            self._failure = failure
            self._breaker.failed(begun)
        else:
            self._breaker.worked()
        if is_outage or failures.is_of_another(error):
            self.clock.forget()
            self._disconnect()  # what is left may lead to a server that hangs, or is no longer the one to ask
        return failure

    def _disconnect(self, *, in_use: bool = False) -> None:
        for name in ("calls", "listing"):
            if name in vars(self):
                vars(self)[name].connection_pool.disconnect(inuse_connections=in_use)

    def _client(self, seconds: float, **further: Any) -> "redis.Redis":
        package = _redis()
        from redis.backoff import NoBackoff  # noqa: PLC0415 - as in `_redis`
        from redis.retry import Retry  # noqa: PLC0415 - as in `_redis`

        from nbcache.stores.redis import connections, topology  # noqa: PLC0415 - as in `_redis`

        options = {
            **self.address.options,
            **further,
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),  # it would take seconds, while a user's call waits
            "socket_timeout": seconds,
            "socket_connect_timeout": min(seconds, _INSTALL),
        }
        kind: Any = connections.TlsConnection if self.address.is_encrypted else connections.TcpConnection
        if "path" in options:
            kind = connections.UnixConnection
        elif self.address.kind:
            options["find"] = topology.Topology(self.address, kind, options).find
        client: Any = package.Redis(connection_pool=package.ConnectionPool(connection_class=kind, **options))
        return cast("redis.Redis", client)


def _redis() -> Any:
    try:
        import redis  # noqa: PLC0415 - few stores are on a server
    except ImportError:
        raise MissingPackageError('a store on Redis or Valkey needs redis-py: pip install "nbcache[redis]"') from None
    return redis


def _eviction_policy(client: "redis.Redis") -> str:
    try:
        memory: Any = client.info("memory")
    except _redis().exceptions.NoPermissionError:  # a user who may not ask
        return ""
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise _redis().exceptions.InvalidResponse(repr(error)) from None
    return str(memory.get("maxmemory_policy", "")) if memory.get("maxmemory") else ""
