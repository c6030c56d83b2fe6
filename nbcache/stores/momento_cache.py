"""A store in a cache of Momento, a service: each entry is one item.

The key of an item is `nbcache:1:` and the key of its entry. The item is the expiry, which the service tells nobody, and the payload.
1 is the version of this.
"""

import asyncio
import math
import os
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from nbcache import public_in
from nbcache.concurrency.executor import awaiting_loop
from nbcache.concurrency.locks import Lock
from nbcache.errors import MissingPackageError, StoreBusyError, StoreError, TooLargeError, one_line, warn_once
from nbcache.stores.circuit_breaker import CircuitBreaker

if TYPE_CHECKING:
    from momento import CacheClient, CacheClientAsync, CredentialProvider
    from momento.config import Configuration

    from nbcache.entry.records import EntryMeta

_BEGIN = "nbcache:1:"
_EXPIRY = struct.Struct("<d")  # seconds since the epoch; infinity if the call has no TTL
_LONGEST = timedelta(hours=24)  # the service keeps nothing for longer
_SHORTEST = timedelta(milliseconds=1)
_ANSWER, _CONNECT = timedelta(seconds=0.25), timedelta(seconds=5)  # to a call of the user; when the store is made
_AWAITED = 1.0  # seconds for an answer to an async client, whatever its own settings say
_TOO_LARGE = "size limit", "larger than max"  # what the service and its client say of an item
_REFUSALS = {"AUTHENTICATION_ERROR", "PERMISSION_ERROR"}
_OF_THE_REQUEST = {"INVALID_ARGUMENT_ERROR", "BAD_REQUEST_ERROR", "NOT_FOUND_ERROR"}  # the service itself works


class _RefusedError(StoreError):
    """The service refuses the key."""


class _OnlyAsyncError(StoreError):
    """A sync call, while the client is an async one."""


@dataclass(frozen=True)
class _ClientParams:
    """What a client is made of, in this process or in another one."""

    ttl: timedelta
    configuration: "Configuration | None"
    key: str = field(repr=False)
    endpoint: str | None

    def client(self, connect_within: timedelta | None = None) -> "CacheClient":
        """A new client. With `connect_within`, raises StoreError if it can't connect in this time."""
        momento = _momento()
        made = (self.configuration or _quick(), self._credentials(), self.ttl)
        if connect_within is None:
            client: CacheClient = momento.CacheClient(*made)
            return client
        try:
            client = momento.CacheClient.create(*made, connect_within)
        except Exception as error:
            raise StoreError(f"Momento does not answer: {_reason(error)}") from error
        return client

    def _credentials(self) -> "CredentialProvider":
        provider = _momento().CredentialProvider
        if self.endpoint:
            with suppress(Exception):  # a key of an earlier kind, which names its endpoint itself
                return provider.from_api_key_v2(self.key, self.endpoint)  # type: ignore[no-any-return]
        try:
            return provider.from_disposable_token(self.key)  # type: ignore[no-any-return]
        except Exception:  # noqa: BLE001 - the error may show the key
            missing = "" if self.endpoint else ', or needs endpoint="cell-….momentohq.com" (MOMENTO_ENDPOINT)'
            raise ValueError(f"MomentoStore: the API key can't be read{missing}") from None


@public_in("nbcache.stores")
class MomentoStore:
    """A store in a cache of Momento: `MomentoStore.from_client_params("team", timedelta(hours=24))`.

    Momento keeps an entry for 24 hours at most, and can't list entries. The package is needed: `pip install "nbcache[momento]"`.

    Args:
        cache_client: a `momento.CacheClient`. With a `momento.CacheClientAsync` only async calls are looked up and stored.
        cache_name: the name of the cache.
        ttl: for how long an entry is kept that has no TTL of its own. The client's own default if not given.
        ensure_cache_exists: make the cache if it is missing: now, or at first use with an async client.

    Raises:
        MissingPackageError: the package `momento` is missing. It is an ImportError.
        TypeError: for another client.
        ValueError: for a TTL that isn't positive or is longer than 24 hours.
        StoreError: the service can't be reached or refuses the key.
    """

    def __init__(
        self,
        cache_client: "CacheClient | CacheClientAsync",
        cache_name: str,
        *,
        ttl: timedelta | None = None,
        ensure_cache_exists: bool = True,
    ) -> None:
        momento = _momento()
        if not isinstance(cache_client, momento.CacheClient | momento.CacheClientAsync):
            raise TypeError(
                f"MomentoStore({type(cache_client).__name__}): give a momento.CacheClient or momento.CacheClientAsync"
            )
        if not isinstance(cache_name, str) or not cache_name:
            raise ValueError(f"cache_name={cache_name!r}: write the name of a cache")
        self.cache_name = cache_name
        self._ttl = None if ttl is None else _own_ttl(ttl)
        self._ensures = ensure_cache_exists
        self._is_async = isinstance(cache_client, momento.CacheClientAsync)
        self._client: Any = cache_client
        self._params: _ClientParams | None = None  # of a client that is ours
        self._process = os.getpid()
        self._lock, self._breaker = Lock(), CircuitBreaker()
        self._failure = StoreError()  # the last one
        if ensure_cache_exists and not self._is_async:
            self._ask("get", _BEGIN)

    @classmethod
    def from_client_params(  # noqa: PLR0913 - as LangChain's class for Momento has it
        cls,
        cache_name: str,
        ttl: timedelta,
        *,
        configuration: "Configuration | None" = None,
        api_key: str | None = None,
        auth_token: str | None = None,
        endpoint: str | None = None,
    ) -> Self:
        """A store with a client of its own, which waits for an answer for a quarter of a second at most.

        Args:
            cache_name: the name of the cache, which is made if it is missing.
            ttl: for how long an entry is kept that has no TTL of its own, at most 24 hours.
            configuration: of the client, such as `momento.Configurations.Laptop.latest()`, which waits for 15 seconds.
            api_key: the key. Without it `auth_token`, `MOMENTO_API_KEY` or `MOMENTO_AUTH_TOKEN` is taken.
            auth_token: another name for the key.
            endpoint: the service's endpoint, which its current keys need. Without it `MOMENTO_ENDPOINT` is taken.

        Raises as the class, and ValueError without a key.
        """
        key = api_key or auth_token or os.environ.get("MOMENTO_API_KEY") or os.environ.get("MOMENTO_AUTH_TOKEN")
        _momento()
        if not key:
            raise ValueError("MomentoStore needs an API key: set MOMENTO_API_KEY, or give api_key=")
        params = _ClientParams(_own_ttl(ttl), configuration, key, endpoint or os.environ.get("MOMENTO_ENDPOINT"))
        client = params.client(_CONNECT)
        try:
            store = cls(client, cache_name, ttl=ttl)
        except BaseException:
            _close(client)
            raise
        store._params = params
        return store

    @property
    def url(self) -> str:
        """The name of the cache."""
        return one_line(f"momento://{self.cache_name}")

    def __reduce__(self) -> tuple[Any, ...]:
        """A worker process gets a client of its own, if `from_client_params` has made this one."""
        if self._params is None:
            raise TypeError(f"{self.url} has a client of yours, which is of one process: use from_client_params")
        return _remade, (self.cache_name, self._params)

    def connect(self) -> None:
        """Ask the service once. Raises ValueError if it refuses the key, and StoreError if it does not answer.

        An async client is asked at first use.
        """
        try:
            if not self._is_async:
                self._ask("get", _BEGIN)
        except _RefusedError as error:
            raise ValueError(str(error)) from None

    def get(self, key: str, *, wait: bool = True, include_expired: bool = False) -> bytes | None:  # noqa: ARG002 - none is kept
        """The payload of `key`, or None if there is none or it has expired.

        Raises StoreBusyError without `wait`: an answer over a network is waited for in a thread.
        """
        if not wait:
            raise StoreBusyError(f"{self.url} is asked in a thread")
        item = self._item(key)
        return None if item is None else item[_EXPIRY.size :]

    def expiry(self, key: str) -> float | None:
        """When the entry expires (seconds since the epoch). None if there is none, or if its call has no TTL."""
        item = self._item(key)
        expires = math.inf if item is None else _EXPIRY.unpack_from(item)[0]
        return None if expires == math.inf else expires

    def _item(self, key: str) -> bytes | None:
        item: bytes | None = getattr(self._ask("get", _BEGIN + key), "value_bytes", None)
        return item if item is not None and len(item) >= _EXPIRY.size else None

    def put(self, key: str, payload: bytes, meta: "EntryMeta", ttl: float | None = None) -> None:  # noqa: ARG002 - it lists no entries
        """Keep `payload` for `ttl` seconds, for 24 hours at most. Raises TooLargeError if the service takes no item of this size.

        What it had before is deleted then.
        """
        kept_for = self._ttl if ttl is None else self._capped(ttl)
        expires = math.inf if ttl is None or kept_for is None else time.time() + kept_for.total_seconds()
        try:
            self._ask("set", _BEGIN + key, _EXPIRY.pack(expires) + payload, kept_for)
        except TooLargeError:
            self._ask("delete", _BEGIN + key)
            raise

    def delete(self, key: str) -> bool:
        """Delete the entry. Returns whether there was one."""
        was_there = self.get(key) is not None
        self._ask("delete", _BEGIN + key)
        return was_there

    def close(self) -> None:
        """Close the connection, unless the client is the user's. A store that is used again opens another one."""
        if self._params is not None:
            with self._lock:
                client, self._client = self._client, None
            if client is not None and self._process == os.getpid():
                _close(client)

    def _capped(self, ttl: float) -> timedelta:
        if ttl > _LONGEST.total_seconds():
            warn_once(
                f"24 hours {self.url}",
                f"nbcache: {self.url} keeps an answer for 24 hours at most, although its TTL is longer",
            )
            return _LONGEST
        return max(timedelta(seconds=ttl), _SHORTEST)

    def _ask(self, request: str, *arguments: Any) -> Any:
        """The response to a request. Raises StoreError, at once while the service is left alone."""
        if self._is_async and awaiting_loop.get() is None:
            raise _OnlyAsyncError(
                f"{self.url} has an async client, which sync calls can't use: make the store of a momento.CacheClient"
            )
        if wait := self._breaker.wait():
            raise type(self._failure)(f"{self._failure}; it is asked again in {wait:.0f} s")
        begun = time.monotonic()
        try:
            response = self._sent(request, *arguments)
            if _code(response) == "NOT_FOUND_ERROR" and self._ensures:
                response = self._sent("create_cache")
                response = response if _code(response) else self._sent(request, *arguments)
            error, is_down = self._error_in(response)
        except Exception as failed:  # noqa: BLE001 - the client's own failure: it reports others in its responses
            error, is_down = StoreError(f"{self.url} failed: {_reason(failed)}"), True
        if error is not None and is_down:
            self._failure = error
            self._breaker.failed(begun)
        else:
            self._breaker.worked()
        if error is not None:
            raise error
        return response

    def _error_in(self, response: Any) -> tuple[StoreError | None, bool]:
        """The error in a response, and whether the service is to be left alone for a while."""
        code = _code(response)
        if not code:
            return None, False
        if code == "LIMIT_EXCEEDED_ERROR" and any(words in response.message for words in _TOO_LARGE):
            text = f"the answer is larger than an item of {self.url} may be, and is not kept there"
            return TooLargeError(text), False
        reason = f"{code.removesuffix('_ERROR').replace('_', ' ').lower()}: {_reason(response.inner_exception)}"
        if code in _REFUSALS:
            return _RefusedError(f"{self.url} refuses the API key: {reason}"), True
        return StoreError(f"{self.url} failed: {reason}"), code not in _OF_THE_REQUEST

    def _sent(self, request: str, *arguments: Any) -> Any:
        call = getattr(self._client_here(), request)
        loop = awaiting_loop.get()
        if not self._is_async or loop is None:
            return call(self.cache_name, *arguments)
        future = asyncio.run_coroutine_threadsafe(call(self.cache_name, *arguments), loop)
        try:
            return future.result(_AWAITED)
        except TimeoutError:
            future.cancel()
            raise TimeoutError(f"no answer in {_AWAITED:.0f} s") from None

    def _client_here(self) -> Any:
        """The client of this process. A connection must not be used after a fork."""
        is_here = self._process == os.getpid()
        if is_here and self._client is not None:
            return self._client
        if self._params is None:
            raise StoreError("its client is of another process; use from_client_params")
        with self._lock:
            if self._client is None or not is_here:
                self._client, self._process = self._params.client(), os.getpid()
            return self._client


def _remade(cache_name: str, params: _ClientParams) -> MomentoStore:
    """The same store in another process."""
    store = MomentoStore(params.client(), cache_name, ttl=params.ttl, ensure_cache_exists=False)
    store._ensures, store._params = True, params  # noqa: SLF001 - the store made here
    return store


def _momento() -> Any:
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it writes lines to stderr whenever a connection ends
    try:
        import momento  # noqa: PLC0415 - few stores are at Momento
    except ImportError:
        raise MissingPackageError('MomentoStore needs the package momento: pip install "nbcache[momento]"') from None
    return momento


def _quick() -> "Configuration":
    """The settings of a client that no call of the user waits for long."""
    from momento.retry import FixedCountRetryStrategy  # noqa: PLC0415 - as in `_momento`

    usual: Configuration = _momento().Configurations.InRegion.LowLatency.latest()
    return usual.with_client_timeout(_ANSWER).with_retry_strategy(FixedCountRetryStrategy(max_attempts=0))


def _own_ttl(ttl: timedelta) -> timedelta:
    if not isinstance(ttl, timedelta):
        raise TypeError(f"ttl={ttl!r}: write a timedelta, such as timedelta(hours=12)")
    if not timedelta(0) < ttl <= _LONGEST:
        raise ValueError(f"ttl={ttl}: Momento keeps an entry for more than 0 seconds and 24 hours at most")
    return ttl


def _close(client: Any) -> None:
    with suppress(Exception):  # nothing is lost
        client.__exit__(None, None, None)


def _code(response: Any) -> str:
    """The name of an error's code. An empty text for what is no error."""
    code = getattr(response, "error_code", None)
    return "" if code is None else str(code.name)


def _reason(error: Exception) -> str:
    return one_line(getattr(error, "message", None) or str(error)) or type(error).__name__
