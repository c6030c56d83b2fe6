"""NotebookCache: what LangChain asks, and what happens then."""

import time
import weakref
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.messages import BaseMessage
from langchain_core.outputs import Generation

from nbcache import codec, modes
from nbcache.call import Call, current_call
from nbcache.contents import Contents
from nbcache.decoded import LARGE, Answer, DecodedAnswers
from nbcache.entry import EntryMeta, Info, Stats, Totals, Usage
from nbcache.errors import (
    DamagedError,
    NotStorableError,
    StoreBusyError,
    StoreError,
    UnstableIdentityError,
    logger,
    warn_once,
)
from nbcache.facts import document
from nbcache.keys import CallKey, call_key
from nbcache.ledger import NEW, Ledger
from nbcache.modes import Settings, current_settings
from nbcache.notebook import notebook_name, notebook_path, store_folder
from nbcache.origins import Origins
from nbcache.pending import PendingCalls
from nbcache.policy import reusable, status_of
from nbcache.pricing import Prices
from nbcache.stores import DiskStore, Store, open_store
from nbcache.sums import total
from nbcache.text import answer_preview, prompt_preview
from nbcache.threads import in_thread
from nbcache.units import count, size
from nbcache.usage import usage_of

_NOTHING_SET = Settings()


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
        prices: what calls cost; None for the providers' list prices.

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
        prices: Prices | None = None,
    ) -> None:
        modes.checked_scope(scope)
        self._base = modes.settings(mode, ttl, tags)
        self._cell_settings = Settings()
        self.path = path = notebook or notebook_path()
        self.max_bytes, self.max_entries = size(max_bytes), count(max_entries)
        self.store = open_store(
            store_folder(path) if store is None else store, max_bytes=self.max_bytes, max_entries=self.max_entries
        )
        self.notebook = notebook_name(path, self.store.folder if isinstance(self.store, DiskStore) else None)
        self.scope = scope if self.notebook is not None else "folder"
        self.cell: str | None = None
        self.labels: dict[str, str] = {}
        self._decoded = DecodedAnswers(memory)
        self._origins = Origins()
        self._errors = 0
        self._renewed: set[str] = set()
        self.ledger = Ledger(self.store, self.notebook, prices)
        self._pending = PendingCalls(self.ledger)
        self._close = weakref.finalize(self, _close, self.ledger, self.store)

    # What LangChain asks

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """The stored answer to this call, as new objects, or None."""
        began = time.perf_counter()
        asked = self._asked(prompt, llm_string, began)
        if asked is None:
            return None
        try:
            version, again = self._remembered(asked)
            if again is not None:
                return self._hit(asked, again, began)
            return self._answer(asked, self.store.get(asked.key), version, began)
        except Exception as error:  # noqa: BLE001 - whatever fails, the user's call goes on
            self._failed_lookup(error, asked, began)
            return None

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """As `lookup`, in the event loop: a read takes microseconds. What may take longer goes to a thread."""
        began = time.perf_counter()
        asked = self._asked(prompt, llm_string, began)
        if asked is None:
            return None
        try:
            version, again = self._remembered(asked)
            if again is not None:
                return self._hit(asked, again, began)
            try:
                payload = self.store.get(asked.key, wait=False)
            except StoreBusyError:
                payload = await in_thread(lambda: self.store.get(asked.key))
            if payload is not None and len(payload) > LARGE:
                return await in_thread(lambda: self._answer(asked, payload, version, began))
            return self._answer(asked, payload, version, began)
        except Exception as error:  # noqa: BLE001 - as in lookup
            self._failed_lookup(error, asked, began)
            return None

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Store the answer to this call. When it returns, the entry is committed."""
        answered = self._pending.answered(prompt, llm_string)
        settings = self._settings(answered.call)
        keeps, stored, usage = settings.mode in modes.KEEPS, False, Usage()
        try:
            asked = answered.key()
            usage = usage_of(return_val, document(asked.identity), asked.endpoint)
            if keeps:
                self._keep(asked, return_val, usage, answered.seconds, settings)
                stored = True
        except UnstableIdentityError as error:
            usage = usage_of(return_val, {}, "")
            if keeps:
                warn_once(error.cause, str(error))
        except NotStorableError as error:
            warn_once(
                f"not storable {error}",
                f"nbcache: an answer is not cached, because {error} in it would not come back as it is",
            )
        except Exception as error:  # noqa: BLE001 - as in lookup
            if keeps:
                self._failed("store an answer", error)
        try:
            self._pending.paid(answered, usage, list(return_val), stored=stored)
        except Exception as error:  # noqa: BLE001 - as in lookup
            self._failed("count an answer", error)

    async def aupdate(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """As `update`, in a thread: a write never runs on an event loop."""
        await in_thread(lambda: self.update(prompt, llm_string, return_val))

    def clear(self, **kwargs: Any) -> None:
        """Clear the scope, or of it what `Contents.clear` is told by the same arguments. Raises StoreError."""
        self.contents().clear(**kwargs)

    async def aclear(self, **kwargs: Any) -> None:
        """As `clear`, in a thread."""
        await in_thread(lambda: self.clear(**kwargs))

    # What the user asks

    def contents(self, scope: str | None = None) -> Contents:
        """The entries of the scope, to read, evict and clear.

        Raises ValueError for a scope that is none, or this notebook's where its name isn't known.
        """
        if scope is not None and modes.checked_scope(scope) == modes.NOTEBOOK and self.notebook is None:
            raise ValueError(
                "scope='notebook': this notebook's name isn't known here; set NBCACHE_NOTEBOOK, or leave the scope "
                "out for the whole folder"
            )
        self.flush()
        return Contents(
            self.store, self.notebook if (scope or self.scope) == modes.NOTEBOOK else None, self.ledger.tell
        )

    def stats(self, scope: str | None = None, *, lifetime: bool = False) -> Stats:
        """Calls, money and time of this session, or of all that the ledger knows; and what the scope holds.

        With `lifetime` the calls are those of the scope: of this notebook, or of all that share the store.
        """
        try:
            contents = self.contents(scope)
            held = contents.totals()
            rows = contents.spendings() if lifetime else [self.ledger.session()]
        except StoreError as error:
            warn_once(f"{type(error).__name__} {self.store.url}", f"nbcache could not count the entries: {error}")
            held, rows = Totals(), [self.ledger.session()]
        return Stats.of(total(rows), held, self._errors)

    def renew(self, key: str) -> None:
        """Let the next call of this key be made anew, and its answer replace the stored one."""
        self._renewed.add(key)

    def renews(self, key: str) -> bool:
        """Whether the next call of this key is to be made anew."""
        return key in self._renewed

    def carry_on(self, other: "NotebookCache") -> None:
        """Go on with the session of `other`, which has been closed, and in the cell that runs."""
        self.ledger.carry_on(other.ledger)
        self.cell, self._cell_settings = other.cell, other.cell_settings
        for name in ("labels", "_origins", "_errors", "_renewed"):
            setattr(self, name, getattr(other, name))

    def info(self, message: BaseMessage) -> Info | None:
        """Where `message` came from; None where it didn't come through this cache, or too long ago."""
        return self._origins.info(message)

    @property
    def settings(self) -> Settings:
        """The mode and options that hold where no block, cell or call says otherwise."""
        return self._base

    @property
    def settings_now(self) -> Settings:
        """The settings that hold here and now: of this block, else of this cell, else of the session."""
        return self._settings()

    def switch(self, settings: Settings) -> None:
        """Let these settings hold from now on."""
        self._base = settings
        self.ledger.tell()

    @property
    def cell_settings(self) -> Settings:
        """The settings of the cell that runs."""
        return self._cell_settings

    def enter_cell(self, cell: str | None, settings: Settings | None = None, *, label: str | None = None) -> None:
        """A cell begins; `settings` hold for the whole session while it runs, raw threads included.

        `label` is what people know it by (`In [3]`), where its name is no more than an id.
        """
        if cell is not None and label is not None:
            self.labels[cell] = label
        if cell != self.cell or settings is None:
            self.ledger.enter_cell(cell)
        self.cell = cell
        self._cell_settings = settings or Settings()

    def leave_cell(self) -> None:
        """The cell has ended: its settings hold no longer, and its hits are written down."""
        self._cell_settings = Settings()
        self.flush()

    def flush(self) -> None:
        """Write down what was counted in memory."""
        self.ledger.flush()

    def close(self) -> None:
        """Write down what is in memory and let go of files. A cache that is used again opens again."""
        self.ledger.close()
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

    def _asked(self, prompt: str, llm_string: str, began: float) -> CallKey | None:
        """The key to look up; None where this call is not to be looked up, which is a miss."""
        call = current_call.get()
        mode = self._settings(call).mode
        asked, why = None, mode or ""
        if mode != modes.OFF:
            try:
                asked = call_key(prompt, llm_string, call)
            except UnstableIdentityError as error:
                warn_once(error.cause, str(error))
                why = "not cacheable"
            except Exception as error:  # noqa: BLE001 - as in lookup
                self._failed("work out the key of a call", error)
                why = "failure"
        if asked is not None and mode in modes.LOOKS_UP:
            if asked.key not in self._renewed:
                return asked
            why = "renewed"
            if mode not in modes.KEEPS:  # no answer will replace the stored one: once is enough
                self._renewed.discard(asked.key)
        self._pending.missed(prompt, asked, began, why)
        return None

    def _remembered(self, asked: CallKey) -> tuple[object, Answer | None]:
        """The store's version, and the answer if it is in memory and nobody has written since."""
        version = self._decoded.version(self.store.version)
        return version, self._decoded.unchanged(asked.key, version)

    def _answer(self, asked: CallKey, payload: bytes | None, version: object, began: float) -> list[Generation] | None:
        """The generations in `payload`, counted as a hit; None, counted as a miss, where they are no answer."""
        call = current_call.get()
        why = NEW
        try:
            classes = call.classes() if call is not None else ()
            found = None if payload is None else self._decoded.decode(asked.key, payload, version, classes)
            if found is None and payload is not None:
                why = codec.read(payload, asked.key).about().meta.status
        except NotStorableError as error:
            logger.debug("nbcache: entry %s: %s", asked.key, error)
            found, why = None, "class not here"
        except DamagedError as error:
            self._failed("read an entry", error)
            found, why = None, "damaged"
        if found is None:
            self._pending.missed(asked.prompt, asked, began, why)
            return None
        return self._hit(asked, found, began)

    def _hit(self, asked: CallKey, found: Answer, began: float) -> list[Generation]:
        self.ledger.hit(asked.key, found.payload, time.perf_counter() - began)
        self._origins.note(found.generations, hit=True, key=asked.key, created=found.created)
        return found.generations

    def _keep(
        self,
        asked: CallKey,
        generations: Sequence[Generation],
        usage: Usage,
        seconds: float | None,
        settings: Settings,
    ) -> None:
        status = status_of(generations)
        meta = EntryMeta(
            key=asked.key,
            model=asked.model,
            prompt=prompt_preview(asked.prompt),
            answer=answer_preview(generations),
            status=status,
            created=time.time(),
            tags=settings.tags,
            notebooks=() if self.notebook is None else (self.notebook,),
            cell=self.cell,
            provider=usage.provider,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            seconds=seconds,
        )
        about = codec.About(meta, asked.prompt, asked.identity.decode(), asked.endpoint, usage)
        expires = settings.ttl is not None
        again = reusable(status, limits_tokens=asked.limits_tokens)
        self.store.put(asked.key, codec.encode(generations, about, reusable=again, expires=expires), meta, settings.ttl)
        self._renewed.discard(asked.key)
        self._origins.note(generations, hit=False, key=asked.key, created=meta.created)

    def _failed_lookup(self, error: Exception, asked: CallKey, began: float) -> None:
        self._failed("look up an answer", error)
        self._pending.missed(asked.prompt, asked, began, "failure")

    def _failed(self, what: str, error: Exception) -> None:
        """Count a failure of the cache and say so once; the user's call goes on."""
        self._errors += 1
        warn_once(
            f"{type(error).__name__} {self.store.url}",
            f"nbcache could not {what}: {error}. The call goes on without the cache",
        )


def _close(ledger: Ledger, store: Store) -> None:
    ledger.close()
    store.close()
