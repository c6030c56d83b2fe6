"""Worker processes that are started while the cache is on join it: the parent's side, and what is done in the worker."""

import contextlib
import functools
import os
import pickle
import sys
import weakref
from collections.abc import Callable
from multiprocessing import spawn
from typing import Any

from nbcache.cache.notebook_cache import NotebookCache
from nbcache.concurrency.worker_pipe import Sender, channel
from nbcache.concurrency.worker_startup import Ticket, take_membership
from nbcache.costs.forwarding import Reporter
from nbcache.errors import logger, warn_once
from nbcache.integrations.langchain.patching import Wrapping
from nbcache.keys.ignored import parameters
from nbcache.stores.base import DiskStore

_Install = Callable[[dict[str, Any]], NotebookCache]
_NAME = "_nbcache"  # of the ticket, among a process object's attributes


# Processes that were started while the cache was on, and what holds in them.
_started: "weakref.WeakKeyDictionary[Any, tuple[str | None, str]]" = weakref.WeakKeyDictionary()


def give_tickets(wrapping: Wrapping, cache_now: Callable[[], NotebookCache | None]) -> None:
    """Have every process object that is started take a ticket along, until `wrapping` is removed."""

    def wrapper(start: Callable[[Any], None]) -> Callable[[Any], None]:
        @functools.wraps(start)
        def starting(process: Any) -> None:
            cache = cache_now() if wrapping.active else None
            ticket = None if cache is None else _ticket(cache, process)
            if cache is not None:
                _started[process] = _rules_of(cache)
            if ticket is None:
                return start(process)
            setattr(process, _NAME, ticket)
            try:
                return start(process)
            finally:
                delattr(process, _NAME)

        return starting

    for name in ("multiprocessing.process", "multiprocess.process"):  # the latter is pathos'
        if name in sys.modules:
            wrapping.wrap(sys.modules[name].BaseProcess, "start", wrapper)


def _ticket(cache: NotebookCache, process: Any) -> Ticket | None:
    """What the child needs to join; None where it can't, which is said once. Never raises."""
    try:
        is_forked = getattr(process, "_start_method", None) == "fork"  # such a child has it all
        if is_forked or os.fsdecode(spawn.get_executable()) != sys.executable:
            return None
        if not isinstance(cache.store, DiskStore):
            _warn(f"{cache.store.url} is of one process")
            return None
        now = cache.settings_now
        settings = {**vars(cache.configuration), "store": cache.store.folder.absolute(), "mode": now.mode}
        settings |= {"ttl": now.ttl, "tags": now.tags, "prices": cache.ledger.prices.own}
        for name in settings:
            if not _is_picklable(settings[name]):
                _warn(f"`{name}` can't be pickled")
                return None
        sender = channel.open()
        membership = pickle.dumps((settings, parameters.also_ignored(), cache.ledger.id, cache.ledger.where))
        return Ticket(membership, None if sender is None else sender.end)
    except Exception as error:  # noqa: BLE001 - the child starts as it would without us
        logger.debug("nbcache: a worker process can't join: %s", error)
        return None


def _rules_of(cache: NotebookCache) -> tuple[str | None, str]:
    return cache.settings_now.mode, cache.store.url


def warn_of_running(cache: NotebookCache) -> None:
    """Say once that workers which run already keep to another mode or store than holds here now. Never raises."""
    rules, others = _rules_of(cache), set()
    with contextlib.suppress(Exception):  # a forked child asks of its parent's children
        others = {held for process, held in list(_started.items()) if held != rules and process.is_alive()}
    for mode, url in others:
        warn_once(
            f"running {mode} {url}",
            f"nbcache: worker processes that run already stay in mode `{mode}` with {url}: end their pool, so that new "
            "ones are started",
        )


def _is_picklable(value: Any) -> bool:
    try:
        pickle.dumps(value)
    except Exception:  # noqa: BLE001 - whatever says that it can't be
        return False
    return True


def _warn(why: str) -> None:
    warn_once(
        f"workers {why}",
        f"nbcache: worker processes that are started afresh can't join this cache, since {why}: they ask the model each "
        "time. Call `nbcache.install(…)` with a folder in the function that they run",
    )


def join(install: _Install) -> None:
    """In a worker: turn the cache on as its parent has it, in the same session. Warns where that can't be done."""
    taken = take_membership()
    if taken is None:
        return
    membership, pipe = taken
    try:
        settings, also, session, where = pickle.loads(membership)  # noqa: S301 - the parent's, in its process object
        parameters.ignore_also(also)
        cache = install(settings)
        cache.ledger.join(session, where, None if pipe is None else Reporter(Sender(pipe)))
    except Exception as error:  # noqa: BLE001 - the worker's calls go on without
        warn_once("join", f"nbcache is not on in this worker process, whose calls are paid each time: {error!r}")


_OTHERS: dict[str, Callable[[Any], bool]] = {
    "ray": lambda ray: ray.is_initialized(),
    "pyspark": lambda pyspark: pyspark.SparkContext._active_spark_context is not None,  # noqa: SLF001 - there is no public one
    "distributed": lambda dask: any(
        client.cluster is None
        for client in list(dask.client._global_clients.values())  # noqa: SLF001 - as above
    ),
}


def warn_of_others(cache: NotebookCache) -> None:
    """Say once that workers which another program starts know of no cache. Never raises."""
    for name, is_used in _OTHERS.items():
        is_there = False
        with contextlib.suppress(Exception):  # another release of it, or a part of it alone
            is_there = name in sys.modules and is_used(sys.modules[name])
        if is_there:
            place = repr(str(cache.store.folder)) if isinstance(cache.store, DiskStore) else "a folder"
            warn_once(
                f"workers of {name}",
                f"nbcache: workers of {name} don't know of this cache, and ask the model each time: call "
                f"`nbcache.install({place})` in the function that they run",
            )
