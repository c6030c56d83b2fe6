"""A store in any LangChain cache: each entry is one text in it.

The text is `nbcache:1:` and, in Base64, a digest, the expiry and the payload. 1 is the version of this. What is not such a text
is a miss. So is the text of another key: a semantic cache returns what is stored for a similar one.
"""

import math
import struct
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.caches import BaseCache, InMemoryCache
from langchain_core.outputs import Generation

from nbcache import public_in
from nbcache.errors import StoreBusyError, StoreError, one_line
from nbcache.stores.circuit_breaker import CircuitBreaker

if TYPE_CHECKING:
    from nbcache.entry.records import EntryMeta

_LLM_STRING = "nbcache"
_BEGIN = "nbcache:1:"
_TOMBSTONE = f"{_BEGIN}deleted"
_DIGEST, _EXPIRY = 16, struct.Struct("<d")  # bytes of a digest; the expiry is in seconds since the epoch
_LONG_FAILURE, _LONG_MISS = 0.1, 1.0  # seconds after which a cache that fails or has nothing is left alone for a while


class _Entry(NamedTuple):
    expires: float  # infinity: never
    payload: bytes


@public_in("nbcache.stores")
class LangChainStore:
    """A store in a LangChain cache: `LangChainStore(UpstashRedisCache(…))`.

    Answers come back exactly, also from a cache that loses parts of them otherwise. The cache's own `clear` is never called, since it
    often empties a whole server: an entry that is deleted is overwritten. A TTL that the cache itself has counts as well.

    Raises TypeError for what is no LangChain cache, and ValueError for nbcache's own.
    """

    def __init__(self, cache: BaseCache) -> None:
        if not isinstance(cache, BaseCache):
            raise TypeError(f"LangChainStore({type(cache).__name__}): give a LangChain cache, such as SQLiteCache(…)")
        if any(each.__module__.partition(".")[0] == "nbcache" for each in type(cache).__mro__):
            raise ValueError(
                "LangChainStore: this is nbcache's own cache, which can't be kept in itself; give another one"
            )
        self.cache = cache
        self._is_in_process = type(cache) is InMemoryCache
        self._breaker = CircuitBreaker()
        self._failure = ""  # the last one that took long

    @property
    def url(self) -> str:
        """The name of the cache's class: what else it has may be secret."""
        return f"langchain://{type(self.cache).__name__}"

    def __reduce__(self) -> tuple[Any, ...]:
        """A worker process gets a store of its own, if the cache can be pickled."""
        if self._is_in_process:
            raise TypeError(f"{self.url} is of one process")
        return type(self), (self.cache,)

    def get(self, key: str, *, wait: bool = True, include_expired: bool = False) -> bytes | None:
        """The payload of `key`, or None if there is none or it has expired.

        Raises StoreBusyError without `wait`, unless the cache is in memory: it is asked in a thread.
        """
        if not wait and not self._is_in_process:
            raise StoreBusyError(f"{self.url} is asked in a thread")
        entry = _opened(key, self._text(key))
        return None if entry is None or (not include_expired and entry.expires <= time.time()) else entry.payload

    def put(self, key: str, payload: bytes, meta: "EntryMeta", ttl: float | None = None) -> None:  # noqa: ARG002 - it lists no entries
        """Keep `payload` for `ttl` seconds, or for good."""
        self._write(key, _enveloped(key, _Entry(math.inf if ttl is None else time.time() + ttl, payload)))

    def expiry(self, key: str) -> float | None:
        """When the entry expires (seconds since the epoch). None if there is none, or if it never does."""
        entry = _opened(key, self._text(key))
        return None if entry is None or entry.expires == math.inf else entry.expires

    def delete(self, key: str) -> bool:
        """Overwrite the entry. Returns whether there was one."""
        text = self._text(key)
        if text is not None and text != _TOMBSTONE:
            self._write(key, _TOMBSTONE)
        return _opened(key, text) is not None

    def close(self) -> None:
        """Does nothing: the cache is the user's."""

    def _text(self, key: str) -> str | None:
        """The text that the cache has for `key`."""
        with self._asked():
            found: Any = self.cache.lookup(key, _LLM_STRING)
        text = getattr(found[0], "text", None) if isinstance(found, list | tuple) and len(found) == 1 else None
        return text if isinstance(text, str) else None

    def _write(self, key: str, text: str) -> None:
        with self._asked():
            self.cache.update(key, _LLM_STRING, [Generation(text=text)])

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """What fails in the block raises StoreError. A cache that takes long for it is left alone for a while.

        Some caches wait for a dead server and then report a miss.
        """
        if wait := self._breaker.wait():
            raise StoreError(f"{self._failure}; it is asked again in {wait:.0f} s")
        begun = time.monotonic()
        try:
            yield
        except Exception as error:
            failure = f"{self.url} failed: {one_line(str(error)) or type(error).__name__}"
            self._note(begun, _LONG_FAILURE, failure)
            raise StoreError(failure) from error
        self._note(begun, _LONG_MISS, f"{self.url} takes longer than a second")

    def _note(self, begun: float, limit: float, failure: str) -> None:
        if self._is_in_process or time.monotonic() - begun <= limit:
            self._breaker.worked()
            return
        self._failure = failure
        self._breaker.failed(begun)


def _enveloped(key: str, entry: _Entry) -> str:
    content = _EXPIRY.pack(entry.expires) + entry.payload
    return _BEGIN + b64encode(_digest(key, content) + content).decode()


def _opened(key: str, text: str | None) -> _Entry | None:
    """The entry in a text. None if that is none of `key`, of this version and undamaged."""
    if text is None or not text.startswith(_BEGIN) or text == _TOMBSTONE:
        return None
    try:
        data = b64decode(text[len(_BEGIN) :], validate=True)
    except ValueError:
        return None
    content = data[_DIGEST:]
    if len(content) < _EXPIRY.size or _digest(key, content) != data[:_DIGEST]:
        return None
    return _Entry(_EXPIRY.unpack_from(content)[0], content[_EXPIRY.size :])


def _digest(key: str, content: bytes) -> bytes:
    return blake2b(content, digest_size=_DIGEST, key=blake2b(key.encode(), digest_size=32).digest()).digest()
