"""How a worker process that is started (not forked) joins the cache of its parent.

multiprocessing, concurrent.futures, joblib and dask's local workers all start a child with a `Process` object, which the child
unpickles first. The ticket in it makes the child turn the cache on once LangChain's models are imported. A worker that calls no
model pays nothing for it: this module imports nothing of nbcache's that does more than it does itself.
"""

import importlib
import sys
from typing import Any

from nbcache.concurrency.import_hooks import when_imported

_MODELS = frozenset({"langchain_core.language_models.chat_models", "langchain_core.language_models.llms"})
_SESSION = "nbcache.session.installation"  # joins at the end of its import

_membership: tuple[bytes, int | None] | None = None


class Ticket:
    """Pickled in the parent while it starts a child, and unpickled by the child. `pipe` is the end for its reports."""

    def __init__(self, membership: bytes, pipe: int | None) -> None:
        self._membership = membership
        self._pipe = pipe

    def __reduce__(self) -> tuple[Any, ...]:
        from multiprocessing import context, reduction  # noqa: PLC0415 - only where children are started

        pipe = None
        if self._pipe is not None and context.get_spawning_popen() is not None and hasattr(reduction, "DupFd"):
            pipe = reduction.DupFd(self._pipe)
        return wait_for_models, (self._membership, pipe)


def wait_for_models(membership: bytes, pipe: Any) -> None:
    """Join as soon as this child process has imported LangChain's models. Never raises."""
    global _membership  # noqa: PLW0603 - a process has one parent
    try:
        _membership = membership, None if pipe is None else pipe.detach()
        if _SESSION in sys.modules:
            join()
        else:
            when_imported(_MODELS, join)
    except Exception:  # noqa: BLE001 - the worker's own work goes on, without the cache
        _membership = None


def is_waiting() -> bool:
    """Whether there is a cache to join, which this process has not joined yet."""
    return _membership is not None


def take_membership() -> tuple[bytes, int | None] | None:
    """The parent's message and the end of its pipe. None if there is nothing to join, or this was called before."""
    global _membership
    membership, _membership = _membership, None
    return membership


def join() -> None:
    """Let the session module join. It does so at the end of its import, or is called here. Never raises."""
    try:
        session: Any = importlib.import_module(_SESSION)
        if hasattr(session, "join_parent"):  # otherwise it is being imported, and joins at its end
            session.join_parent()
    except Exception:  # noqa: BLE001 - as above
        return
