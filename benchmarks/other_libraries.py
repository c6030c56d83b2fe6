"""Caches of other libraries, and the disk alone."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from langchain_core.outputs import ChatGeneration

from nbcache import NotebookCache
from nbcache.keys.key import call_key

from .contender import Contender
from .replies import reply
from .workload import Entry


def langgraph(folder: Path) -> Contender:
    from langgraph.cache.sqlite import SqliteCache

    cache: Any = SqliteCache(path=str(folder / "langgraph.db"))

    def message(entry: Entry) -> Any:
        (made,) = entry.generations
        return made.message if isinstance(made, ChatGeneration) else made

    def full_key(entry: Entry) -> Any:
        return (("bench",), _digest(entry))

    return Contender(
        get=cache.get,
        put=lambda keys, value: cache.set({keys[0]: (value, None)}),
        key=lambda entry: ([full_key(entry)],),
        value=message,
        right=lambda entry, found: found.get(full_key(entry)) == message(entry),
        close=cache._conn.close,
        nothing={},
    )


def dspy(folder: Path) -> Contender:
    from dspy.clients.cache import Cache as DspyCache
    from litellm import ModelResponse

    cache: Any = DspyCache(True, enable_memory_cache=False, disk_cache_dir=str(folder), disk_size_limit_bytes=10**10)

    def request(entry: Entry) -> dict[str, Any]:
        messages = [{"role": each.type, "content": each.text} for each in entry.messages]
        return {"model": "openai/gpt-4o-mini", "messages": messages, "temperature": 0.2, "top_p": 0.9, "seed": 7}

    return Contender(
        get=cache.get,
        put=cache.put,
        key=lambda entry: (request(entry),),
        value=lambda entry: ModelResponse(**reply(0, entry.answer)),
        right=lambda entry, found: bool(found.choices[0].message.content == entry.answer),
        close=cache.disk_cache.close,
    )


def joblib(folder: Path) -> Contender:
    from joblib import Memory

    ready: dict[str, Any] = {}

    def ask(prompt: str, llm_string: str) -> Any:
        return ready[prompt]

    cached: Any = Memory(str(folder), verbose=0).cache(ask)

    def put(prompt: str, llm_string: str, value: Any) -> None:
        ready[prompt] = value
        cached(prompt, llm_string)

    def get(prompt: str, llm_string: str) -> Any:
        with suppress(KeyError):  # of the function: it was called, since there was nothing
            return cached(prompt, llm_string)

    return Contender(
        get=get,
        put=put,
        key=lambda entry: (entry.prompt, entry.llm_string),
        value=lambda entry: entry.generations,
        right=Entry.is_answered_by,
    )


def diskcache(folder: Path) -> Contender:
    """What the disk alone costs: a ready key, and the bytes that nbcache writes."""
    from diskcache import Cache

    cache = Cache(str(folder))
    return _of_bytes(cache.get, cache.set, cache.close)


def bare_sqlite3(folder: Path) -> Contender:
    """The same without a library, committed as safely."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB)")

    def get(key: str) -> bytes | None:
        row = connection.execute("SELECT value FROM entries WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def put(key: str, value: bytes) -> None:
        connection.execute("INSERT OR REPLACE INTO entries VALUES (?, ?)", (key, value))

    return _of_bytes(get, put, connection.close)


def _of_bytes(get: Callable[..., Any], put: Callable[..., Any], close: Callable[[], object]) -> Contender:
    def right(entry: Entry, found: bytes) -> bool:
        return found == _payload(entry)

    return Contender(get, put, lambda entry: (_digest(entry),), _payload, right, close)


def _digest(entry: Entry) -> str:
    return sha256(f"{entry.llm_string}\0{entry.prompt}".encode()).hexdigest()


_payloads: dict[str, bytes] = {}


def _payload(entry: Entry) -> bytes:
    """The bytes that nbcache writes for this entry."""
    digest = _digest(entry)
    if digest not in _payloads:
        cache = NotebookCache("memory://")
        cache.update(entry.prompt, entry.llm_string, entry.generations)
        _payloads[digest] = cache.store.get(call_key(entry.prompt, entry.llm_string).key) or b""
        cache.close()
    return _payloads[digest]
