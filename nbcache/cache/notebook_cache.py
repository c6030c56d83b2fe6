"""NotebookCache, the cache that LangChain looks up and updates."""

import os
import weakref
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.globals import get_llm_cache
from langchain_core.outputs import Generation

from nbcache import public_in
from nbcache.cache import modes, session_end
from nbcache.cache.absent import Absent
from nbcache.cache.active_settings import ActiveSettings
from nbcache.cache.call import Call, current_call, current_model_call
from nbcache.cache.lookup import IsHeard, Lookup
from nbcache.cache.memory import CachedAnswer
from nbcache.cache.misses.log import LoggedMiss
from nbcache.cache.modes import NOTHING_SET, Settings
from nbcache.cache.samples import current_attempt
from nbcache.cache.setting_field import takes
from nbcache.cache.settings_table import Configuration
from nbcache.cache.state import CacheState
from nbcache.cache.user_rules import Rules
from nbcache.codec.payload import key_of
from nbcache.concurrency.executor import in_thread
from nbcache.costs.events import finish_callbacks
from nbcache.costs.ledger import Ledger
from nbcache.errors import UnstableIdentityError, warn_once
from nbcache.keys.api_names import ALL
from nbcache.keys.known_keys import KnownCall, known_call
from nbcache.keys.request import Request
from nbcache.replay.playback import Recordings
from nbcache.stores.location import cassette_path, notebook_path, store_folder
from nbcache.stores.opening import open_store
from nbcache.stores.owners import owner_in

if TYPE_CHECKING:
    from nbcache.cache.misses.explain import Why
    from nbcache.cache.provenance import Origins
    from nbcache.cache.save import Saver
    from nbcache.codec.plain_store import KeyFn, Messages
    from nbcache.entry.records import Info, Spending
    from nbcache.entry.stats import Stats
    from nbcache.replay.secrets.scrubber import Scrubber
    from nbcache.stores.view import Contents

_INDEXED_WITHIN = 0.01  # seconds that one waits for what was just stored to become findable: it comes first


@public_in("nbcache")
class NotebookCache(BaseCache):
    """A LangChain cache over a store. Never raises into a model's call: what fails is a miss.

    A cache that is set by hand (`set_llm_cache`) knows only what LangChain's `llm_string` says of a call. It refuses
    models whose string is known to be incomplete, and `exclude` finds no tags or chains. `nbcache.install` lets the
    cache ask the model itself.
    """

    @takes(Configuration, is_method=True)
    def __init__(self, given: dict[str, Any]) -> None:
        """Raises ValueError for a wrong setting."""
        configuration = self._configuration = Configuration(**given)
        self.path = path = configuration.notebook or notebook_path()
        self.max_bytes, self.max_entries = configuration.max_bytes, configuration.max_entries
        place, own = "disk" if configuration.store is None else configuration.store, partial(store_folder, path)
        self.store = open_store(place, own_folder=own, max_bytes=self.max_bytes, max_entries=self.max_entries)
        self.notebook = owner_in(self.store, path)
        self.scope = configuration.scope if self.notebook is not None else "folder"
        self.labels: dict[str, str] = {}
        self.rules = Rules.of(configuration)
        self.ledger = Ledger(self.store, self.notebook, configuration.prices)
        self.is_locked = os.environ.get("NBCACHE_MODE", "").lower() == modes.REPLAY
        base = Settings(configuration.mode, configuration.ttl, configuration.tags)
        self._active = ActiveSettings(base, self.rules, is_locked=self.is_locked)
        played = configuration.cassette or cassette_path(path)
        self.recordings = Recordings(self.store, self.rules.normalize, configuration.secrets, played)
        self._state = CacheState(
            *(self.store, self.ledger, self.notebook), rules=self.rules, recordings=self.recordings
        )
        self._lookup = Lookup(self._state, configuration.memory)
        self._close = weakref.finalize(self, session_end.let_go, self.ledger, self.store, self.recordings)

    # LangChain's interface

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """The stored answer to this call, as new objects, or None."""
        call = current_model_call()
        return self._handed_out(self.find(prompt, llm_string, call), call)

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """As `lookup`, without holding up the event loop."""
        call = current_model_call()
        return self._handed_out(await self.afind(prompt, llm_string, call), call)

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Store the answer to this call. When it returns, the entry is committed."""
        self.save(prompt, llm_string, return_val, current_model_call())

    async def aupdate(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """As `update`, in a thread: a write never runs on an event loop."""
        await in_thread(lambda: self.update(prompt, llm_string, return_val), writes=True)

    # Lookup and update, for calls of every kind

    def find(self, prompt: str, llm_string: str, call: Call | None) -> CachedAnswer | None:
        """The answer to `call`, counted as a hit. None, counted as a miss, if the call has to be made."""
        return self._lookup.find(prompt, llm_string, call, self._active.resolve(call, pin=True))

    async def afind(self, prompt: str, llm_string: str, call: Call | None) -> CachedAnswer | None:
        """As `find`, without holding up the event loop."""
        return await self._lookup.afind(prompt, llm_string, call, self._active.resolve(call, pin=True))

    def find_pinned(self, prompt: str, call: Call, settings: Settings) -> CachedAnswer | None:
        """As `find`, for a call of a function with these `pinned_settings`."""
        return self._lookup.find(prompt, "", call, settings)

    async def afind_pinned(self, prompt: str, call: Call, settings: Settings) -> CachedAnswer | None:
        """As `afind`, for a call of a function with these `pinned_settings`."""
        return await self._lookup.afind(prompt, "", call, settings)

    def known_call(self, request: Request) -> KnownCall | None:
        """A call that is looked up under its key, if it can be told without `llm_string`, and nothing else is set for it."""
        state, settings = self._state, self._active.resolve(None)
        if settings.mode not in modes.LOOKS_UP or settings.samples or self.rules.exclude or self.rules.normalize:
            return None
        if current_call.get() is not None or current_attempt.holder() is not None:
            return None
        if Absent.current.get() is not None:  # the store was read for this call before its run was set up
            return None
        known = known_call(request)
        return None if known is None or known.key in state.refresh_once else known

    def find_known(self, known: KnownCall, is_heard: IsHeard, *, on_loop: bool) -> list[Generation] | Absent | None:
        """The answer to a `known_call` that nobody hears, counted as a hit. Otherwise nothing is counted, and `find` has to look."""
        answer = self._lookup.find_known(known, is_heard, on_loop=on_loop)
        if not isinstance(answer, CachedAnswer):
            return answer
        generations = answer.generations()
        self._state.origins.note(generations, hit=True, key=known.key, created=answer.created)
        return generations

    def find_known_stream(self, known: KnownCall, is_heard: IsHeard, *, on_loop: bool) -> CachedAnswer | Absent | None:
        """As `find_known`, for a stream."""
        return self._lookup.find_known(known, is_heard, on_loop=on_loop)

    def save(self, prompt: str, llm_string: str, answer: Sequence[Generation], call: Call | None) -> None:
        """Store the answer to `call`, which `find` didn't have. When it returns, the entry is committed."""
        settings = self._active.resolve(call) if call is None or call.settings is None else call.settings
        self._saver.save(prompt, llm_string, answer, call, settings)

    @cached_property
    def _saver(self) -> "Saver":
        from nbcache.cache.save import Saver  # noqa: PLC0415 - a session of hits needs none

        return Saver(self._state)

    def count_uncached(self, call: Call, why: str, *, is_free: bool = False) -> None:
        """Count a call that is made and not cached. Raises ReplayMiss in mode `replay`, where none is made."""
        self.forbid_in_replay(call, f"is {why}")
        self._state.misses.add("", None, call, why, is_free=is_free)

    def count_unidentified(self, call: Call, error: UnstableIdentityError) -> None:
        """Count a call that has no key, and warn once why. Raises ReplayMiss in mode `replay`, where it is not made."""
        self.forbid_in_replay(call, f"has no key: {error}")
        warn_once(error.cause, str(error))
        self._state.misses.add("", None, call, "not cacheable", detail=str(error).removeprefix("nbcache: "))

    def pinned_settings(self, call: Call) -> Settings:
        """The settings that hold for `call`, from now until its answer is stored."""
        return self._active.resolve(call, pin=True)

    def wants(self, call: Call) -> bool:
        """Whether the answer to `call` is of use: it is to be stored, or other calls wait for it."""
        settings = call.settings or self._active.resolve(call)
        return settings.mode in modes.KEEPS or call.is_awaited()

    def leave(self, prompt: str, call: Call) -> None:
        """The call has its answer, which is not stored."""
        self._saver.leave(prompt, call, call.settings or self._active.resolve(call))

    def attempt_failed(self, call: Call) -> None:
        """`call` failed. What its client tries next of it is no further call."""
        self._state.misses.failed(call)

    def forbid_in_replay(self, call: Call, why: str) -> None:
        """Raise ReplayMiss in mode `replay`, in which no call is made: `call` goes past the cache."""
        if self._active.resolve(call).mode == modes.REPLAY:
            raise self._state.replay_miss(call, why)

    def why(self, key: str | None = None) -> "Why":
        """Why the last call of this session missed, or that whose key begins with `key`. Raises UnknownKeyError."""
        self.flush()
        return self.explain(self._state.misses.last(key))

    def explain(self, missed: LoggedMiss) -> "Why":
        """Why this one of `misses` missed."""
        from nbcache.cache.misses.explain import explain  # noqa: PLC0415 - few ask

        self.ledger.index(within=_INDEXED_WITHIN)
        return explain(missed, self.recordings)

    def misses(self) -> list[LoggedMiss]:
        """The last misses of this session, the newest last."""
        self.flush()
        return list(self._state.misses.entries)

    def caches_client(self, api: str) -> bool:
        """Whether the calls to this API are cached that a client makes without LangChain, and without being wrapped."""
        clients = self._configuration.clients
        return ALL in clients or api in clients

    def failed(self, what: str, error: Exception, *goes_on: str) -> None:
        """Count a failure of the cache and say so once; the user's call goes on."""
        self._state.failed(what, error, *goes_on)

    def clear(self, **kwargs: Any) -> None:
        """Clear the scope, or the entries in it that `Contents.clear` finds by the same arguments. Raises StoreError."""
        self.contents().clear(**kwargs)

    async def aclear(self, **kwargs: Any) -> None:
        """As `clear`, in a thread."""
        await in_thread(lambda: self.clear(**kwargs))

    # Entries, statistics and cells

    def contents(self, scope: str | None = None) -> "Contents":
        """The entries of the scope, to read, evict and clear.

        Raises ValueError for a wrong scope, or for this notebook's if its name isn't known.
        """
        if scope is not None and modes.checked_scope(scope) == modes.NOTEBOOK and self.notebook is None:
            raise ValueError(
                "scope='notebook': this notebook's name isn't known here; set NBCACHE_NOTEBOOK, or leave the scope "
                "out for the whole folder"
            )
        from nbcache.stores.view import Contents  # noqa: PLC0415 - no call needs it

        self.flush()
        notebook = self.notebook if (scope or self.scope) == modes.NOTEBOOK else None
        return Contents(self.store, notebook, self.ledger.tell, self.ledger.gone)

    def stats(self, scope: str | None = None, *, lifetime: bool = False) -> "Stats":
        """Calls, money and time, and what the scope holds.

        The calls are those of this session. With `lifetime` they are all calls of the scope: of this notebook, or of all
        notebooks that share the store. Raises StoreError if these can't be read, and UnsupportedError if the store keeps no
        ledger.
        """
        from nbcache.cache.call_statistics import stats_of  # noqa: PLC0415 - no call needs it

        return stats_of(self, scope, lifetime=lifetime, errors=self._state.errors)

    def spendings(self, scope: str | None = None, *, lifetime: bool = False) -> "list[Spending]":
        """The rows of which `stats` is the sum: for each model and kind of call. Raises as `stats`."""
        contents = self.contents(scope)
        return contents.spendings() if lifetime else self.ledger.rows()

    def refresh_once(self, key: str) -> None:
        """Let the next call of this key be made anew, and its answer replace the stored one."""
        self._state.refresh_once.add(key)

    def refreshes(self, key: str) -> bool:
        """Whether the next call of this key is to be made anew."""
        return key in self._state.refresh_once

    def resume_from(self, other: "NotebookCache") -> None:
        """Go on with the session of `other`, which has been closed, and in the cell that runs."""
        self.ledger.resume_from(other.ledger)
        self.labels, self._active.cell = other.labels, other.cell_settings
        self._state.resume_from(other._state)  # noqa: SLF001 - one of us

    @property
    def origins(self) -> "Origins":
        """Where the answers of this session came from."""
        return self._state.origins

    def info(self, answer: Any) -> "Info | None":
        """Where a message or a response of an SDK came from. None if it didn't come through this cache, or too long ago."""
        return self.origins.info(answer, self.store)

    @property
    def scrubber(self) -> "Scrubber":
        """Takes secrets out of what is exported, printed or recorded."""
        return self.recordings.scrubber

    @property
    def cell(self) -> str | None:
        """The cell that runs, or ran last."""
        return self._state.cell

    @property
    def configuration(self) -> Configuration:
        """The settings that make another cache like this one."""
        return replace(
            self._configuration,
            store=self.store,
            notebook=self.path,
            mode=self.settings.mode,
            ttl=self.settings.ttl,
            tags=self.settings.tags,
            prices=self.ledger.prices,
            cassette=self.recordings.path,
        )

    @property
    def settings(self) -> Settings:
        """The settings of the session: they hold where no call, block or cell sets anything."""
        return self._active.session

    @property
    def settings_now(self) -> Settings:
        """The settings that hold here and now, for the call that is being made if there is one."""
        return self._active.resolve(current_call.get())

    def switch(self, settings: Settings) -> None:
        """Make these the settings of the session."""
        self._active.base = settings
        self.ledger.tell()

    @property
    def cell_settings(self) -> Settings:
        """The settings of the cell that runs."""
        return self._active.cell

    def enter_cell(self, cell: str | None, settings: Settings | None = None, *, label: str | None = None) -> None:
        """A cell begins; `settings` hold for the whole session while it runs, raw threads included.

        `label` is what people call it (`In [3]`), if its name is only an id.
        """
        if cell is not None and label is not None:
            self.labels[cell] = label
        if cell != self.cell or settings is None:
            self.ledger.enter_cell(cell)
        self._state.cell = cell
        self._active.cell = settings or NOTHING_SET

    def leave_cell(self) -> None:
        """The cell has ended: its settings hold no longer, its hits are written down, and callbacks know of them."""
        self._active.cell = NOTHING_SET
        self.flush()
        session_end.send(self.store)
        finish_callbacks()

    def flush(self) -> None:
        """Write down what was counted in memory."""
        self.ledger.flush()
        session_end.report(self.ledger, self.recordings)

    def close(self) -> None:
        """Write down what is in memory and let go of files. A cache that is used again opens again."""
        session_end.close(self.ledger, self.store, self.recordings)

    # A store for any code

    def get(self, messages: "Messages", *, model: str, key_fn: "KeyFn | None" = None, **params: Any) -> Any:
        """The value that was put for these messages, model and parameters, as a new object. None if there is none.

        `messages` are a text or a list of dicts of JSON values. If not all of them counts, `key_fn` returns what does.
        Raises TypeError or ValueError, saying what to pass, for anything else.
        """
        from nbcache.codec import plain_store  # noqa: PLC0415 - no model's call needs it

        answer = self.find(*plain_store.prompt_and_identity(messages, model, key_fn, params), None)
        return None if answer is None else plain_store.value_in(answer.generations())

    def put(
        self, messages: "Messages", value: Any, *, model: str, key_fn: "KeyFn | None" = None, **params: Any
    ) -> None:
        """Keep `value`, JSON or a pydantic object, for `get` with the same arguments. When it returns, it is committed.

        Raises TypeError or ValueError if it would not come back as it is, or for arguments that `get` refuses.
        """
        from nbcache.codec import plain_store  # noqa: PLC0415 - as above

        self.save(*plain_store.prompt_and_identity(messages, model, key_fn, params), plain_store.answer(value), None)

    def _handed_out(self, answer: CachedAnswer | None, call: Call | None) -> RETURN_VAL_TYPE | None:
        """The generations for LangChain. None if somebody listens to chunks: then the model's stream plays them."""
        if answer is None:
            return None
        if call is not None and call.streams is not None and call.streams():
            call.replay = answer
            return None
        generations = answer.generations()
        self._state.origins.note(generations, hit=True, key=key_of(answer.payload), created=answer.created)
        return generations


def cache_of(model: Any) -> NotebookCache | None:
    """The cache that LangChain would ask for an `invoke` of `model`, if it is one of ours."""
    if model.cache is False:
        return None
    cache = model.cache if isinstance(model.cache, BaseCache) else get_llm_cache()
    return cache if isinstance(cache, NotebookCache) else None
