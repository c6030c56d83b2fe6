"""What a worker process that starts afresh is given, to join the cache of the process that starts it.

multiprocessing, concurrent.futures, joblib and dask's local workers all start a child with a `Process` object, which the child reads
before anything else. The ticket in it makes the child wait until LangChain's models are imported, and turns the cache on then. A worker that calls no
model pays nothing for it: this module imports nothing.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_MODELS = frozenset({"langchain_core.language_models.chat_models", "langchain_core.language_models.llms"})
_SESSION = "nbcache.session.session"  # joins at the end of its import

_membership: tuple[bytes, int | None] | None = None


class Ticket:
    """Pickled in the parent while it starts a child, and read by the child. `pipe` is the end that it reports to."""

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
    """Join as soon as this child process has imported what can call a model. Never raises."""
    global _membership  # noqa: PLW0603 - a process has one parent
    try:
        _membership = membership, None if pipe is None else pipe.detach()
        if _SESSION in sys.modules or not _MODELS.isdisjoint(sys.modules):
            join()
        else:
            sys.meta_path.insert(0, _Finder())
    except Exception:  # noqa: BLE001 - the worker's own work goes on; what it pays for is its own then
        _membership = None


def take_membership() -> tuple[bytes, int | None] | None:
    """What the parent sent, and the end of its pipe; None where there is nothing to join, or it is joined already."""
    global _membership
    taken, _membership = _membership, None
    return taken


def join() -> None:
    """Have the session module join, which it does at its import or is asked for here. Never raises."""
    try:
        session: Any = importlib.import_module(_SESSION)
        if hasattr(session, "join_parent"):  # else it is being imported, and joins at its end
            session.join_parent()
    except Exception:  # noqa: BLE001 - as above
        return


class _Finder:
    """Waits for one of the models' modules, and is gone with it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None but for the module that is waited for."""
        if name not in _MODELS:
            return None
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    """Loads as the loader that it stands for, and joins then."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """As the loader does, which the module then has."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        join()
