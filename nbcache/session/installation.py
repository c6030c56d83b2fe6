"""What is on: the one installed cache, and what was there before it."""

import os
from dataclasses import dataclass
from functools import partial
from typing import Any

from langchain_core.caches import BaseCache
from langchain_core.globals import get_llm_cache, set_llm_cache

from nbcache import public_in
from nbcache.cache.chains import watch_chains
from nbcache.cache.notebook_cache import NotebookCache
from nbcache.cache.setting_field import settings_of, takes
from nbcache.cache.settings_table import Configuration
from nbcache.concurrency.change_listeners import all_listeners, tell
from nbcache.concurrency.change_listeners import listen as listen  # noqa: PLC0414 - one of those below
from nbcache.concurrency.executor import uninterrupted
from nbcache.concurrency.locks import Lock
from nbcache.costs.events import end_callbacks, finish_callbacks
from nbcache.errors import NotInstalledError, StoreError, forget_warnings, warn_once
from nbcache.integrations.http.hooks import HTTPHooks
from nbcache.integrations.langchain.models import Instrument
from nbcache.integrations.patching import Wrapping
from nbcache.session.environment import warn_of_misspelt, with_environment
from nbcache.session.placeholder_keys import stand_in
from nbcache.session.worker_processes import give_tickets, join
from nbcache.stores.base import Remote, Store, tiers_of
from nbcache.stores.location import BLOCK_NETWORK
from nbcache.stores.opening import with_users_folder


@dataclass(slots=True)
class _Session:
    """The installed cache, the models' wrapped entry points, and LangChain's global cache before the first install."""

    cache: NotebookCache
    instrument: Instrument
    http_hooks: HTTPHooks
    before: BaseCache | None
    workers: Wrapping  # of the functions that start worker processes


_session: _Session | None = None
_lock = Lock()


@takes(Configuration)
@public_in("nbcache")
def install(given: dict[str, Any]) -> NotebookCache:
    """Turn the cache on for this process: LangChain's global cache, asking the models themselves.

    What is not given, or None, is taken from the environment: `NBCACHE_MODE` and the like. An installed cache is
    replaced, and its session's counts go on. Raises ValueError, and changes nothing, where a setting is wrong.
    """
    if given.get("notebook") is None and _session is not None:
        given["notebook"] = _session.cache.path
    return _install(with_environment(given, settings_of(Configuration)))


def _install(given: dict[str, Any]) -> NotebookCache:
    """As `install`, without the environment."""
    given["store"] = with_users_folder(given.get("store"))
    cache = NotebookCache(**given)
    tiers = tiers_of(cache.store)
    silences = [silence for tier in tiers if (silence := _silence_of(tier)) is not None]
    uninterrupted(partial(_turn_on, cache))
    if silences:
        others = ("Calls go on with the other tiers",) if len(silences) < len(tiers) else ()
        cache.failed("reach the store", silences[-1], *others)
    warn_of_misspelt()
    cache.ledger.announce_to(all_listeners)
    tell()
    return cache


def _silence_of(store: Store) -> StoreError | None:
    """The error of a store on a server that doesn't answer. Raises ValueError if it refuses the password."""
    try:
        if isinstance(store, Remote):
            store.connect()
    except StoreError as error:
        return error
    return None


def _turn_on(cache: NotebookCache) -> None:
    global _session  # noqa: PLW0603 - there is one global cache in LangChain, and so one session
    with _lock:
        forget_warnings()
        if _session is not None:
            _session.cache.close()
            if not _session.cache.ledger.is_joined:  # a worker that installs a cache has its own session
                cache.resume_from(_session.cache)
            _session.cache = cache
        else:
            _session = _Session(
                *(cache, Instrument(_cache_now), HTTPHooks(_cache_now)), before=get_llm_cache(), workers=Wrapping()
            )
            give_tickets(_session.workers, _cache_now)
        set_llm_cache(cache)
        watch_chains(wanted=cache.rules.concern_runs)
        stand_in(wanted=cache.is_locked)
        if cache.is_locked and os.environ.get(BLOCK_NETWORK):  # in a kernel, or another process that pytest has started
            from nbcache.session.network_block import block_network  # noqa: PLC0415 - few processes need it

            block_network()


def reinstall(cache: NotebookCache | None = None, **changes: Any) -> NotebookCache:
    """Install with these arguments, and with all other settings as `cache` or the installed one has them. Raises as `install`."""
    configuration = (cache or installed()).configuration
    changed = [setting for setting in settings_of(Configuration) if setting.name in changes]
    return _install({**vars(configuration), **with_environment(changes, changed)})


@public_in("nbcache")
def uninstall() -> None:
    """Turn the cache off, and make LangChain's earlier global cache the global one again. Does nothing when off.

    A global cache that was set after `install` stays. If `NBCACHE_MODE` is `replay`, the cache stays on: nothing is sent.
    """
    if _session is not None and _session.cache.is_locked:
        warn_once("locked", "nbcache stays on: NBCACHE_MODE is replay, which was set from outside")
        return
    end()


def end() -> None:
    """As `uninstall`, whatever `NBCACHE_MODE` is."""
    finish_callbacks(everything=True)
    uninterrupted(_turn_off)
    end_callbacks()
    tell()


def _turn_off() -> None:
    global _session
    with _lock:
        if _session is None:
            return
        session, _session = _session, None
        session.instrument.remove()
        session.http_hooks.remove()
        session.workers.remove()
        watch_chains(wanted=False)
        stand_in(wanted=False)
        if get_llm_cache() is session.cache:
            set_llm_cache(session.before)
        session.cache.close()


@public_in("nbcache")
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
    """Make the installed cache LangChain's global one again. Returns whether it had been replaced."""
    cache = installed()
    replaced = get_llm_cache() is not cache
    set_llm_cache(cache)
    return replaced


def join_parent() -> None:
    """In a worker process: join the parent's cache, once."""
    join(_install)


def _cache_now() -> NotebookCache | None:
    session = _session
    return None if session is None else session.cache


join_parent()
