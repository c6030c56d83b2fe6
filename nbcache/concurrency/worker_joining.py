"""How a worker process that is started (not forked) joins the cache of its parent.

multiprocessing, concurrent.futures, joblib and dask's local workers all start a child with a `Process` object, which the child
unpickles first. The ticket in it makes the child turn the cache on once LangChain's models are imported. A worker that calls no
model pays nothing for it: this module imports nothing of nbcache.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

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
        if _SESSION in sys.modules or not _MODELS.isdisjoint(sys.modules):
            join()
        else:
            sys.meta_path.insert(0, _Finder())
    except Exception:  # noqa: BLE001 - the worker's own work goes on, without the cache
        _membership = None


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


class _Finder:
    """Waits for the import of LangChain's models, and then removes itself."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's spec with a loader that joins; None for all other modules."""
        if name not in _MODELS:
            return None
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    """Loads by the loader that it wraps, and joins then."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """As the loader does. The module gets that loader."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        join()
