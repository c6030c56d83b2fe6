"""The functions that run now: what is called inside of one is noted for its entry, too.

A call is inside of a function if the function's call is around it, in its context. Tasks and LangChain's threads inherit that. A
thread of the user's own does not: what is called there may be inside of any function that runs, and all of them note that
there may have been more. So do they for a call of a worker process.
"""

import os
import threading
from typing import Any

from nbcache.cache.call import Call, current_call
from nbcache.concurrency.locks import Lock
from nbcache.concurrency.strands import MAIN, inherits_context, pool_here
from nbcache.costs.events import Paid, Unread, watchers
from nbcache.costs.inner_calls import FunctionRun
from nbcache.entry.filter import FUNCTIONS
from nbcache.entry.records import CallRecord

_running: set[FunctionRun] = set()
_unanswered: dict[int, tuple[CallRecord, FunctionRun]] = {}  # by the ids of their notes, which are kept alive with them
_lock = Lock()


def begin(call: Call) -> None:
    """The function of `call` begins to run: it has missed."""
    run = call.run = FunctionRun()
    around = _run_around(call.outer)
    if around is not None:
        around.notes.append(run)
    with _lock:
        _running.add(run)
        if _watch not in watchers:
            watchers.append(_watch)


def end(call: Call) -> FunctionRun | None:
    """The function of `call` runs no longer. Returns its run, if it had any that hasn't ended before."""
    run, call.run = call.run, None
    if run is not None:
        with _lock:
            _running.discard(run)
            if not _running:
                _stop()
            elif _run_around(call.outer) is None:
                for record in run.records():
                    _unanswered.pop(id(record), None)
    return run


def _stop() -> None:
    _unanswered.clear()
    if _watch in watchers:
        watchers.remove(_watch)


def _run_around(call: Call | None) -> FunctionRun | None:
    while call is not None and call.run is None:
        call = call.outer
    return None if call is None else call.run


def _watch(note: Any, *, is_of_worker: bool = False) -> None:
    """See a note of any call. It belongs to the function that its call is inside of, and an answer to that of its call."""
    if is_of_worker:
        for run in _running.copy():
            run.has_unseen = True
        return
    if isinstance(note, Paid | Unread):
        if (unanswered := _unanswered.pop(id(note.record), None)) is not None:
            unanswered[1].answers[id(note.record)] = note
        return
    call = current_call.get()
    around = _run_around(call)
    if around is not None:
        around.notes.append(note)
        if isinstance(note, CallRecord) and note.owes:
            _unanswered[id(note)] = (note, around)
    elif threading.get_ident() != MAIN and not inherits_context():
        _note_unseen(is_function=call is not None and call.kind in FUNCTIONS)


def _note_unseen(*, is_function: bool) -> None:
    """A thread that inherits nothing makes a call: it may be inside of each function that runs in another thread.

    Functions in the threads of one pool are not inside of each other.
    """
    thread, pool = threading.get_ident(), pool_here() if is_function else None
    for run in _running.copy():
        if run.thread != thread and (pool is None or run.pool is not pool):
            run.has_unseen = True


def _begin_in_child() -> None:
    """A forked child runs none of its parent's functions to their end."""
    _running.clear()
    _stop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
