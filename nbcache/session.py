"""What is on: the one installed cache, what was there before it, and the Python API over it."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.caches import BaseCache
from langchain_core.globals import get_llm_cache, set_llm_cache
from langchain_core.messages import BaseMessage

from nbcache.cache import NotebookCache
from nbcache.entry import Cleared, EntryMeta, Info, Record, Stats
from nbcache.errors import NotInstalledError, forget_warnings
from nbcache.instrument import Instrument
from nbcache.locks import Lock
from nbcache.notebook import user_folder
from nbcache.stores import Store

if TYPE_CHECKING:
    import pandas as pd


@dataclass(slots=True)
class _Session:
    """The installed cache, the models' wrapped entry points, and the global cache of before."""

    cache: NotebookCache
    instrument: Instrument
    before: BaseCache | None


_session: _Session | None = None
_lock = Lock()


def install(  # noqa: PLR0913 - settings, each with its default
    store: str | Path | Store | None = None,
    *,
    scope: str = "notebook",
    mode: str = "on",
    ttl: float | str | timedelta | None = None,
    max_bytes: float | str | None = None,
    max_entries: int | None = None,
    tags: str | Iterable[str] = (),
    notebook: Path | None = None,
) -> NotebookCache:
    """Turn the cache on for this process: LangChain's global cache, asking the models themselves.

    The arguments are NotebookCache's; `store="user"` is the user's own store. What is left at its default
    is taken from the environment (`NBCACHE_STORE`, `NBCACHE_SCOPE`, `NBCACHE_MODE`, `NBCACHE_TTL`,
    `NBCACHE_MAX_BYTES`, `NBCACHE_MAX_ENTRIES`, `NBCACHE_TAGS`, comma-separated). An installed cache is replaced, and
    the session's counts start anew. Raises ValueError, and changes nothing, where a setting is wrong.
    """
    global _session  # noqa: PLW0603 - there is one global cache in LangChain, and so one session
    env = os.environ.get
    store = store if store is not None else env("NBCACHE_STORE") or None
    cache = NotebookCache(
        user_folder() if store == "user" else store,
        scope=env("NBCACHE_SCOPE", scope) if scope == "notebook" else scope,
        mode=env("NBCACHE_MODE", mode) if mode == "on" else mode,
        ttl=ttl if ttl is not None else env("NBCACHE_TTL") or None,
        max_bytes=max_bytes if max_bytes is not None else env("NBCACHE_MAX_BYTES") or None,
        max_entries=max_entries if max_entries is not None else _number(env("NBCACHE_MAX_ENTRIES")),
        tags=tags or [tag.strip() for tag in env("NBCACHE_TAGS", "").split(",") if tag.strip()],
        notebook=notebook,
    )
    with _lock:
        forget_warnings()
        if _session is not None:
            _session.cache.close()
            _session.cache = cache
        else:
            _session = _Session(cache, Instrument(), get_llm_cache())
        set_llm_cache(cache)
        return cache


def uninstall() -> None:
    """Turn the cache off and put back what was there before the first install. Does nothing when off.

    A global cache that somebody set after us stays.
    """
    global _session
    with _lock:
        if _session is None:
            return
        session, _session = _session, None
        session.instrument.remove()
        if get_llm_cache() is session.cache:
            set_llm_cache(session.before)
        session.cache.close()


def installed() -> NotebookCache:
    """The installed cache. Raises NotInstalledError while none is."""
    session = _session
    if session is None:
        raise NotInstalledError("the cache is off: run `%load_ext nbcache`, or `nbcache.install()`")
    return session.cache


def is_installed() -> bool:
    """Whether a cache is installed."""
    return _session is not None


def take_back() -> bool:
    """Make the installed cache LangChain's global one again; whether somebody had replaced it."""
    cache = installed()
    replaced = get_llm_cache() is not cache
    set_llm_cache(cache)
    return replaced


def stats(scope: str | None = None) -> Stats:
    """Hits, misses and errors since `install`, and the entries and bytes of the scope (`notebook` or `folder`)."""
    return installed().stats(scope)


def entries(scope: str | None = None) -> "pd.DataFrame":
    """The entries of the scope, newest first, a row each. Times are UTC; `expires` is missing without a TTL."""
    from nbcache.frames import entries_frame  # noqa: PLC0415 - pandas takes a second to import

    return entries_frame(installed().contents(scope).entries())


def show(key: str) -> Record:
    """The entry whose key begins with `key`, whole. Raises UnknownKeyError or AmbiguousKeyError."""
    return installed().contents().read(key)


def evict(key: str) -> EntryMeta:
    """Delete the entry whose key begins with `key`, for good; the row it had. Raises as `show`."""
    return installed().contents().evict(key)


def clear(*, scope: str | None = None, **which: Any) -> Cleared:
    """Clear the scope, or what of it is meant: see `Contents.clear` (older_than, model, tag, match, unused, dry_run)."""
    return installed().contents(scope).clear(**which)


def info(message: BaseMessage) -> Info | None:
    """Whether `message` was a hit, its key, and when its answer was recorded; None if it isn't from this session."""
    return installed().info(message)


def check(*, fix: bool = False) -> list[str]:
    """What is wrong with the store, a line each; with `fix` mended, where damaged entries are deleted."""
    return installed().contents().check(fix=fix)


def _number(text: str | None) -> int | None:
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"NBCACHE_MAX_ENTRIES={text!r}: write a whole number") from None
