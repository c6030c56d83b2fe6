"""A connection to a Redis or Valkey server. What fails raises StoreError, and the server is left alone for a while."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from nbcache.errors import MissingPackageError, StoreError, StoreReadOnlyError, one_line, warn_once
from nbcache.stores.circuit_breaker import CircuitBreaker
from nbcache.stores.location import REDIS_PASSWORD

if TYPE_CHECKING:
    import redis

    from nbcache.stores.redis.address import Address

# Seconds for an answer: to a call of the user, to what takes the server long, at install.
_HIT, _LISTING, _INSTALL = 0.25, 10.0, 1.0
_WITH_PASSWORD = "redis://user:password@host:6379/0"  # noqa: S105 - an example


class RefusedError(StoreError):
    """The server refuses the user or the password."""


class Server:
    """A server: `calls` and `listing` are redis-py's clients for what has to be quick, and for what may take seconds."""

    def __init__(self, address: "Address") -> None:
        self.address = address
        self._breaker = CircuitBreaker()
        _redis()

    @cached_property
    def calls(self) -> "redis.Redis":
        """The client for what a user's call waits for."""
        return self._client(_HIT)

    @cached_property
    def listing(self) -> "redis.Redis":
        """The client for lists, changes of many entries, and checks."""
        return self._client(_LISTING)

    @contextmanager
    def request(self) -> Iterator[None]:
        """A request in a block: what fails in it raises StoreError. While the server is left alone, none is begun."""
        if wait := self._breaker.wait():
            raise StoreError(f"{self.address.url} does not answer; it is asked again in {wait:.0f} s")
        begun = time.monotonic()
        redis = _redis()
        try:
            yield
        except redis.AuthenticationError as error:
            self._breaker.failed(begun)
            raise RefusedError(
                f"{self.address.url} refuses the user or the password: set {REDIS_PASSWORD}, or write "
                f"{_WITH_PASSWORD} in code ({_reason(error)})"
            ) from None
        except (redis.ConnectionError, redis.TimeoutError) as error:
            self._breaker.failed(begun)
            raise StoreError(f"{self.address.url} does not answer: {_reason(error)}") from None
        except redis.ReadOnlyError:
            self._breaker.worked()
            raise StoreReadOnlyError(
                f"{self.address.url} can only be read: it is a replica of another server"
            ) from None
        except redis.RedisError as error:
            self._breaker.worked()
            raise StoreError(f"{self.address.url} refused it: {_reason(error)}") from None
        self._breaker.worked()

    def connect(self) -> None:
        """Ask the server once, for at most a second. Raises ValueError if it refuses the password, StoreError if it is silent."""
        client = self._client(_INSTALL / 2)  # to connect, and to answer
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
                "so that entries are lost and lists of them are wrong: set maxmemory-policy to noeviction, and max_bytes here",
            )

    def close(self) -> None:
        """Close the connections. They are opened again when they are needed."""
        for name in ("calls", "listing"):
            if name in vars(self):
                vars(self)[name].connection_pool.disconnect()

    def _client(self, seconds: float) -> "redis.Redis":
        package = _redis()
        from redis.backoff import NoBackoff  # noqa: PLC0415 - as in `_redis`
        from redis.retry import Retry  # noqa: PLC0415 - as in `_redis`

        kind: Any = package.Connection
        if self.address.is_encrypted:
            kind = package.SSLConnection
        elif "path" in self.address.options:
            kind = package.UnixDomainSocketConnection
        options = {
            **self.address.options,
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),  # it would take seconds, while a user's call waits
            "socket_timeout": seconds,
        }
        if kind is not package.UnixDomainSocketConnection:
            options["socket_connect_timeout"] = seconds
        client: Any = package.Redis(connection_pool=package.ConnectionPool(connection_class=kind, **options))
        return cast("redis.Redis", client)


def _redis() -> Any:
    try:
        import redis  # noqa: PLC0415 - few stores are on a server
    except ImportError:
        raise MissingPackageError('a store on Redis or Valkey needs redis-py: pip install "nbcache[redis]"') from None
    return redis


def _eviction_policy(client: "redis.Redis") -> str:
    client.ping()
    try:
        memory: Any = client.info("memory")
    except _redis().ResponseError:  # a user who may not ask
        return ""
    return str(memory.get("maxmemory_policy", "")) if memory.get("maxmemory") else ""


def _reason(error: Exception) -> str:
    return one_line(str(error)) or type(error).__name__
