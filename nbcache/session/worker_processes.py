"""Worker processes that are started while the cache is on join it: what the parent does, and what the worker does."""

import contextlib
import functools
import os
import pickle
import sys
import weakref
from collections.abc import Callable
from typing import Any

from nbcache.cache.notebook_cache import NotebookCache
from nbcache.concurrency.worker_joining import Ticket, take_membership
from nbcache.concurrency.worker_pipe import Sender, channel
from nbcache.errors import logger, warn_once
from nbcache.integrations.patching import Wrapping
from nbcache.keys.ignored import langchain_parameters
from nbcache.stores.evictions import kept_in
from nbcache.stores.owners import folder_of

_Install = Callable[[dict[str, Any]], NotebookCache]
_TICKET = "_nbcache"  # the attribute of a process object that holds its ticket


# The processes that were started while the cache was on, with the mode and the store of each.
_started: "weakref.WeakKeyDictionary[Any, tuple[str | None, str]]" = weakref.WeakKeyDictionary()


def give_tickets(wrapping: Wrapping, cache_now: Callable[[], NotebookCache | None]) -> None:
    """Put a ticket into every process object that is started, until `wrapping` is removed."""

    def wrapper(start: Callable[[Any], None]) -> Callable[[Any], None]:
        @functools.wraps(start)
        def starting(process: Any) -> None:
            cache = cache_now() if wrapping.active else None
            ticket = None if cache is None else _ticket(cache, process)
            if cache is not None:
                _started[process] = _mode_and_store(cache)
            if ticket is None:
                return start(process)
            setattr(process, _TICKET, ticket)
            try:
                return start(process)
            finally:
                delattr(process, _TICKET)

        return starting

    for name in ("multiprocessing.process", "multiprocess.process"):  # the latter is pathos'
        if name in sys.modules:
            wrapping.wrap(sys.modules[name].BaseProcess, "start", wrapper)


def _ticket(cache: NotebookCache, process: Any) -> Ticket | None:
    """What the child needs to join. Returns None, with one warning, if it can't. Never raises."""
    from multiprocessing import spawn  # noqa: PLC0415 - few sessions start processes

    try:
        is_forked = getattr(process, "_start_method", None) == "fork"  # a forked child inherits everything
        if is_forked or os.fsdecode(spawn.get_executable()) != sys.executable:
            return None
        folder = folder_of(cache.store)
        if folder is None and type(kept_in(cache.store)).__reduce__ is object.__reduce__:
            _warn(f"{cache.store.url} is of one process")
            return None
        place = cache.store if folder is None else folder.absolute()
        now = cache.settings_now
        settings = {**vars(cache.configuration), "store": place, "mode": now.mode}
        settings |= {"ttl": now.ttl, "tags": now.tags, "prices": cache.ledger.prices.own}
        for name in settings:
            if not _is_picklable(settings[name]):
                _warn(f"`{name}` can't be pickled")
                return None
        sender = channel.open()
        membership = pickle.dumps((settings, langchain_parameters.also_ignored(), cache.ledger.id, cache.ledger.where))
        return Ticket(membership, None if sender is None else sender.end)
    except Exception as error:  # noqa: BLE001 - the child starts without the cache
        logger.debug("nbcache: a worker process can't join: %s", error)
        return None


def _mode_and_store(cache: NotebookCache) -> tuple[str | None, str]:
    return cache.settings_now.mode, cache.store.url


def warn_of_running(cache: NotebookCache) -> None:
    """Warn once of running workers that have another mode or store than this process has now. Never raises."""
    current, others = _mode_and_store(cache), set()
    with contextlib.suppress(Exception):  # in a forked child these are its parent's children
        others = {theirs for process, theirs in list(_started.items()) if theirs != current and process.is_alive()}
    for mode, url in others:
        warn_once(
            f"running {mode} {url}",
            f"nbcache: worker processes that run already stay in mode `{mode}` with {url}: end their pool, so that new "
            "ones are started",
        )


def _is_picklable(value: Any) -> bool:
    try:
        pickle.dumps(value)
    except Exception:  # noqa: BLE001 - pickling runs the value's own code
        return False
    return True


def _warn(why: str) -> None:
    """Warn once that no worker can join."""
    warn_once(
        f"workers {why}",
        f"nbcache: worker processes that are started afresh can't join this cache, since {why}: they ask the model each "
        "time. Call `nbcache.install(…)` with a folder in the function that they run",
    )


def join(install: _Install) -> None:
    """In a worker: turn the cache on with its parent's settings, in its parent's session. Warns if that fails."""
    ticket = take_membership()
    if ticket is None:
        return
    membership, pipe = ticket
    try:
        settings, ignored, session, where = pickle.loads(membership)  # noqa: S301 - the parent's, in its process object
        langchain_parameters.ignore_also(ignored)
        cache = install(settings)
        from nbcache.costs.forwarding import Reporter  # noqa: PLC0415 - only a worker needs it

        cache.ledger.join(session, where, None if pipe is None else Reporter(Sender(pipe)))
    except Exception as error:  # noqa: BLE001 - the worker goes on without the cache
        warn_once("join", f"nbcache is not on in this worker process, whose calls are paid each time: {error!r}")


# Programs that start workers of their own, and whether each is in use.
_OTHERS: dict[str, Callable[[Any], bool]] = {
    "ray": lambda ray: ray.is_initialized(),
    "pyspark": lambda pyspark: pyspark.SparkContext._active_spark_context is not None,  # noqa: SLF001 - there is no public one
    "distributed": lambda dask: any(
        client.cluster is None
        for client in list(dask.client._global_clients.values())  # noqa: SLF001 - as above
    ),
}


def warn_of_others(cache: NotebookCache) -> None:
    """Warn once of workers that another program starts: they have no cache. Never raises."""
    for name, is_used in _OTHERS.items():
        is_in_use = False
        with contextlib.suppress(Exception):  # another release of it, or only a part of it is imported
            is_in_use = name in sys.modules and is_used(sys.modules[name])
        if is_in_use:
            folder = folder_of(cache.store)
            place = "a folder" if folder is None else repr(str(folder))
            warn_once(
                f"workers of {name}",
                f"nbcache: workers of {name} don't know of this cache, and ask the model each time: call "
                f"`nbcache.install({place})` in the function that they run",
            )
