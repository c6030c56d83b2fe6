"""Whether a thread waits for what another one does, by a pool of `concurrent.futures` or by joining it.

A function may call itself in a thread pool of the user's own. Such a thread inherits no context: only the stacks tell that the
first call waits for the second, which must not wait for the first.
"""

import threading
from collections.abc import Container, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, _base, thread
from types import FrameType
from typing import Any

from nbcache.concurrency.running_frames import innermost_frames

_RUN = thread._WorkItem.run.__code__  # noqa: SLF001 - it runs one work item of a pool
_RESULTS = (Future.result.__code__, Future.exception.__code__)
_SEVERAL = (_base.wait.__code__, _base.as_completed.__code__)
_JOIN, _SHUTDOWN = threading.Thread.join.__code__, ThreadPoolExecutor.shutdown.__code__


def waits_for(waiting: Container[int], other: int) -> bool:
    """Whether one of the threads `waiting` waits, itself or through others, for the thread `other` to end what it does."""
    stacks = {ident: list(_frames(top)) for ident, top in innermost_frames().items()}
    left, seen = [other], {other}
    while left:
        ident = left.pop()
        work = _work_of(stacks.get(ident, []), ident)
        for waiter, frames in stacks.items():
            if waiter not in seen and any(not work.isdisjoint(_awaited(frame)) for frame in frames):
                if waiter in waiting:
                    return True
                seen.add(waiter)
                left.append(waiter)
    return False


def _frames(top: FrameType | None) -> Iterator[FrameType]:
    while top is not None:
        yield top
        top = top.f_back


def _work_of(frames: list[FrameType], ident: int) -> set[int]:
    """What others may wait for if this thread runs: the ids of its thread object and of the future of its work item."""
    own = threading._active.get(ident)  # type: ignore[attr-defined]  # noqa: SLF001 - without its lock
    futures = {id(frame.f_locals["self"].future) for frame in frames if frame.f_code is _RUN}
    return futures | ({id(own)} if own is not None else set())


def _awaited(frame: FrameType) -> set[int]:
    """The ids of the thread objects and futures for which the code of this frame waits."""
    code = frame.f_code
    if code in _RESULTS or code is _JOIN:
        return {id(frame.f_locals["self"])}
    if code is _SHUTDOWN:
        return set(map(id, list(frame.f_locals["self"]._threads)))  # noqa: SLF001 - as above
    if code in _SEVERAL:
        futures: Any = frame.f_locals.get("fs", ())
        return set(map(id, list(futures)))
    return set()
