"""Calls a function as soon as a module has been imported. Of nbcache nothing else is loaded for it."""

import contextlib
import sys
from collections.abc import Callable, Collection, Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType


def when_imported(names: Collection[str], imported: Callable[[], None]) -> Callable[[], None]:
    """Call `imported` once the first of these modules has been imported: now if that has happened. What it raises is lost.

    Returns a function that ends the waiting.
    """
    finder = _Finder(frozenset(names), imported)
    if sys.modules.keys().isdisjoint(names):
        sys.meta_path.insert(0, finder)
    else:
        _call(imported)
    return finder.remove


def _call(imported: Callable[[], None]) -> None:
    with contextlib.suppress(Exception):  # the user's import goes on
        imported()


class _Finder:
    """Waits for the import of one of the modules, and then removes itself."""

    def __init__(self, names: frozenset[str], imported: Callable[[], None]) -> None:
        self._names = names
        self._imported = imported

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's spec with a loader that calls; None for all other modules."""
        if name not in self._names:
            return None
        others = [finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec")]
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Loader(spec.loader, self._done)
        return spec

    def remove(self) -> None:
        """Wait no longer."""
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]

    def _done(self) -> None:
        self.remove()
        _call(self._imported)


class _Loader(Loader):
    """Loads by the loader that it wraps, and calls `loaded` then."""

    def __init__(self, loader: Loader, loaded: Callable[[], None]) -> None:
        self._loader = loader
        self._loaded = loaded

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """As the loader does. The module gets that loader."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._loaded()
