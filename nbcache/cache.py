"""NotebookCache: what LangChain asks, and what happens then."""

import asyncio
import contextvars
import functools
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.messages import BaseMessage
from langchain_core.outputs import Generation

from nbcache import codec, modes
from nbcache.call import Call, current_call
from nbcache.contents import Contents
from nbcache.decoded import LARGE, DecodedAnswers
from nbcache.entry import EntryMeta, Info, Stats
from nbcache.errors import (
    DamagedError,
    NotStorableError,
    StoreBusyError,
    StoreError,
    UnstableIdentityError,
    logger,
    warn_once,
)
from nbcache.identity import learn_counters, whole_numbers
from nbcache.keys import CallKey, call_key
from nbcache.modes import Settings, current_settings
from nbcache.notebook import notebook_name, notebook_path, store_folder
from nbcache.origins import Origins
from nbcache.policy import reusable, status_of
from nbcache.recency import Recency
from nbcache.stores import DiskStore, Store, open_store
from nbcache.text import answer_preview, prompt_preview
from nbcache.units import count, size

_T = TypeVar("_T")


class NotebookCache(BaseCache):
    """A LangChain cache over a store. Never raises into a model's call: what fails is a miss.

    Args:
        store: a folder, `disk:///path`, `memory://` or a Store; None for the `.nbcache` folder found from here.
        scope: whose entries statistics and `clear` mean: this `notebook`'s, or the whole `folder`'s.
        mode: `on`, `off`, `read-only` or `refresh`.
        ttl: seconds (or a timedelta, or `7d`) to keep new answers; None for good.
        max_bytes: bytes of answers to keep (or `2GB`), least recently used first; None for no bound.
        max_entries: the same in entries.
        tags: put on new entries.
        memory: how many decoded answers are kept in memory besides.
        notebook: the running notebook; None to find out.

    Raises ValueError where one of these is wrong. Set by hand (`set_llm_cache`) it knows of a call what
    `llm_string` tells, and refuses the models whose string is known to be incomplete; `nbcache.install`
    lets it ask the model itself.
    """

    def __init__(  # noqa: PLR0913 - settings, each with its default
        self,
        store: str | Path | Store | None = None,
        *,
        scope: str = "notebook",
        mode: str = "on",
        ttl: float | str | timedelta | None = None,
        max_bytes: float | str | None = None,
        max_entries: int | None = None,
        tags: str | Iterable[str] = (),
        memory: int = 1024,
        notebook: Path | None = None,
    ) -> None:
        if scope not in {"notebook", "folder"}:
            raise ValueError(f"scope={scope!r}: write notebook or folder")
        self._base = modes.settings(mode, ttl, tags)
        self._cell_settings = Settings()
        path = notebook or notebook_path()
        self.store = open_store(
            store_folder(path) if store is None else store, max_bytes=size(max_bytes), max_entries=count(max_entries)
        )
        self.notebook = notebook_name(path, self.store.folder if isinstance(self.store, DiskStore) else None)
        self.scope = scope if self.notebook is not None else "folder"
        self.cell: str | None = None
        self._decoded = DecodedAnswers(memory)
        self._origins = Origins()
        self._hits = self._misses = self._errors = 0
        self._lock = threading.Lock()
        self._recency = Recency(self.store)
        self._close = weakref.finalize(self, _close, self._recency, self.store)

    # What LangChain asks

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """The stored answer to this call, as new objects, or None."""
        asked = self._asked(prompt, llm_string)
        if asked is None:
            return None
        try:
            version = self._decoded.version(self.store.version)
            if (again := self._decoded.unchanged(asked.key, version)) is not None:
                return self._hit(asked.key, *again)
            return self._answer(asked, self.store.get(asked.key), version)
        except Exception as error:  # noqa: BLE001 - whatever fails, the user's call goes on
            self._failed("look up an answer", error)
            return None

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """As `lookup`, in the event loop: a read takes microseconds. What may take longer goes to a thread."""
        asked = self._asked(prompt, llm_string)
        if asked is None:
            return None
        try:
            version = self._decoded.version(self.store.version)
            if (again := self._decoded.unchanged(asked.key, version)) is not None:
                return self._hit(asked.key, *again)
            try:
                payload = self.store.get(asked.key, wait=False)
            except StoreBusyError:
                payload = await _in_thread(lambda: self.store.get(asked.key))
            if payload is not None and len(payload) > LARGE:
                return await _in_thread(lambda: self._answer(asked, payload, version))
            return self._answer(asked, payload, version)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed("look up an answer", error)
            return None

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Store the answer to this call. When it returns, the entry is committed."""
        settings = self._settings()
        if settings.mode not in modes.KEEPS:
            return
        try:
            self._keep(prompt, llm_string, return_val, settings)
        except UnstableIdentityError as error:
            warn_once(error.cause, str(error))
        except NotStorableError as error:
            warn_once(
                f"not storable {error}",
                f"nbcache: an answer is not cached, because {error} in it would not come back as it is",
            )
        except Exception as error:  # noqa: BLE001 - as above
            self._failed("store an answer", error)

    async def aupdate(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """As `update`, in a thread: a write never runs on an event loop."""
        await _in_thread(lambda: self.update(prompt, llm_string, return_val))

    def clear(self, **kwargs: Any) -> None:
        """Clear the scope, or of it what `Contents.clear` is told by the same arguments. Raises StoreError."""
        self.contents().clear(**kwargs)

    async def aclear(self, **kwargs: Any) -> None:
        """As `clear`, in a thread."""
        await _in_thread(lambda: self.clear(**kwargs))

    # What the user asks

    def contents(self, scope: str | None = None) -> Contents:
        """The entries of the scope, to read, evict and clear."""
        self.flush()
        return Contents(self.store, self.notebook if (scope or self.scope) == "notebook" else None)

    def stats(self, scope: str | None = None) -> Stats:
        """Hits, misses and errors since this cache was made, and what the scope holds."""
        try:
            totals = self.contents(scope).totals()
        except StoreError as error:
            self._failed("count the entries", error)
            return Stats(self._hits, self._misses, self._errors, 0, 0)
        return Stats(self._hits, self._misses, self._errors, totals.entries, totals.size_bytes, totals.evictions)

    def info(self, message: BaseMessage) -> Info | None:
        """Where `message` came from; None where it didn't come through this cache, or too long ago."""
        return self._origins.info(message)

    @property
    def settings(self) -> Settings:
        """The mode and options that hold where no block, cell or call says otherwise."""
        return self._base

    def switch(self, settings: Settings) -> None:
        """Let these settings hold from now on."""
        self._base = settings

    @property
    def cell_settings(self) -> Settings:
        """The settings of the cell that runs."""
        return self._cell_settings

    def enter_cell(self, cell: str | None, settings: Settings | None = None) -> None:
        """A cell begins; `settings` hold for the whole session while it runs, raw threads included."""
        self.cell = cell
        self._cell_settings = settings or Settings()

    def leave_cell(self) -> None:
        """The cell has ended: its settings hold no longer, and its hits are written down."""
        self._cell_settings = Settings()
        self.flush()

    def flush(self) -> None:
        """Write down the hits that were counted in memory."""
        self._recency.flush()

    def close(self) -> None:
        """Write down what is in memory and let go of files. A cache that is used again opens again."""
        self._recency.flush()
        self.store.close()

    # One call through the house

    def _settings(self, call: Call | None = None) -> Settings:
        settings = self._base
        if self._cell_settings != _NOTHING_SET:
            settings = self._cell_settings.within(settings)
        if (block := current_settings.get()) is not None:
            settings = block.within(settings)
        call = call or current_call.get()
        if call is not None and call.mode is not None:
            settings = Settings(call.mode).within(settings)
        return settings

    def _asked(self, prompt: str, llm_string: str) -> CallKey | None:
        """The key to look up; None where this call is not to be looked up."""
        call = current_call.get()
        mode = self._settings(call).mode
        if mode == modes.OFF:
            return None
        try:
            asked = call_key(prompt, llm_string, call)
        except UnstableIdentityError as error:
            warn_once(error.cause, str(error))
            self._missed(None, call)
            return None
        except Exception as error:  # noqa: BLE001 - as above
            self._failed("work out the key of a call", error)
            return None
        if mode not in modes.LOOKS_UP:
            self._missed(asked, call)
            return None
        return asked

    def _answer(self, asked: CallKey, payload: bytes | None, version: object) -> list[Generation] | None:
        """The generations in `payload`, counted as a hit; None, counted as a miss, where they are no answer."""
        call = current_call.get()
        try:
            classes = call.classes() if call is not None else ()
            found = None if payload is None else self._decoded.decode(asked.key, payload, version, classes)
        except NotStorableError as error:
            logger.debug("nbcache: entry %s: %s", asked.key, error)
            found = None
        except DamagedError as error:
            self._failed("read an entry", error)
            found = None
        if found is None:
            self._missed(asked, call)
            return None
        return self._hit(asked.key, *found)

    def _hit(self, key: str, created: float, generations: list[Generation]) -> list[Generation]:
        with self._lock:
            self._hits += 1
        self._recency.hit(key, self.notebook)
        self._origins.note(generations, hit=True, key=key, created=created)
        return generations

    def _keep(self, prompt: str, llm_string: str, generations: Sequence[Generation], settings: Settings) -> None:
        call = current_call.get()
        asked = call.pending.pop(prompt, None) if call is not None else None
        counts = call is not None and learn_counters(call.model, call.numbers)
        if asked is None or counts:
            asked = call_key(prompt, llm_string, call)
        status = status_of(generations)
        meta = EntryMeta(
            key=asked.key,
            model=asked.model,
            prompt=prompt_preview(prompt),
            answer=answer_preview(generations),
            status=status,
            created=time.time(),
            tags=settings.tags,
            notebooks=() if self.notebook is None else (self.notebook,),
            cell=self.cell,
        )
        about = codec.About(meta, prompt, asked.identity.decode(), asked.endpoint)
        expires = settings.ttl is not None
        again = reusable(status, limits_tokens=asked.limits_tokens)
        self.store.put(asked.key, codec.encode(generations, about, reusable=again, expires=expires), meta, settings.ttl)
        self._origins.note(generations, hit=False, key=asked.key, created=meta.created)

    def _missed(self, asked: CallKey | None, call: Call | None) -> None:
        with self._lock:
            self._misses += 1
        if call is not None:
            call.numbers = whole_numbers(call.model)
            if asked is not None:
                call.pending[asked.prompt] = asked

    def _failed(self, what: str, error: Exception) -> None:
        """Count a failure of the cache and say so once; the user's call goes on."""
        with self._lock:
            self._errors += 1
        warn_once(
            f"{type(error).__name__} {self.store.url}",
            f"nbcache could not {what}: {error}. The call goes on without the cache",
        )


_NOTHING_SET = Settings()


async def _in_thread(work: Callable[[], _T]) -> _T:
    """Do `work` in a thread of our own: the loop's default ones may all be busy with the user's tools."""
    context = contextvars.copy_context()
    try:
        future = _threads(os.getpid()).submit(context.run, work)
    except RuntimeError:  # the interpreter is ending, or has no more threads
        return work()
    return await asyncio.wrap_future(future)


@functools.lru_cache(maxsize=1)
def _threads(_process: int) -> ThreadPoolExecutor:
    """The threads of this process: a forked child has none of its parent's."""
    return ThreadPoolExecutor(max_workers=4, thread_name_prefix="nbcache-io")


def _close(recency: Recency, store: Store) -> None:
    recency.close()
    store.close()
