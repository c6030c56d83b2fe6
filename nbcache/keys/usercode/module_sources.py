"""The sources of a user's modules that are not imported yet, found and compiled without importing anything."""

import functools
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

from nbcache.keys.usercode.bytecode_names import references
from nbcache.keys.usercode.origin import is_users_module

Stamp = tuple[int, int]  # what changes when a file is written


class ModuleSource(NamedTuple):
    """A module of the user's: its name, its package, and the file with its source."""

    name: str
    package: str
    file: Path

    def stamp(self) -> Stamp:
        """The file's time of change and size. Raises OSError."""
        return source_stamp(self.file)

    def code(self) -> CodeType | None:
        """The compiled source. None if it can't be compiled."""
        return _compiled(str(self.file), self.stamp())


class Imports(NamedTuple):
    """What an import runs: modules by their sources, and the other modules that these import, each with a name or ""."""

    sources: list[ModuleSource]
    others: list[tuple[str, str]]


def imports_of(name: str, member: str, is_loaded: Callable[[str], bool]) -> Imports | None:
    """What `import name`, or `from name import member`, runs. None unless `name` is a user's module that is not loaded."""
    sources: dict[str, ModuleSource] = {}
    others: dict[tuple[str, str], None] = {}
    pending = [(name, member)]
    while pending:
        module, attribute = pending.pop()
        run = _sources_run(module, attribute, is_loaded)
        if not run:
            others[module, attribute] = None
        for source in run:
            if source.name not in sources:
                sources[source.name] = source
                pending.extend(_imports_in(source))
    others.pop((name, member), None)
    return Imports(sorted(sources.values()), sorted(others)) if sources else None


def _sources_run(module: str, attribute: str, is_loaded: Callable[[str], bool]) -> list[ModuleSource]:
    """The sources that `from module import attribute` itself runs. None of them if the module is loaded, or a library's."""
    if is_loaded(module):
        return []
    sources = [*_on_the_way(module, is_loaded)]
    if attribute:
        submodule = f"{module}.{attribute}"
        sources = sources or [*_on_the_way(submodule, is_loaded)]  # a namespace has no source of its own
        if sources and (source := _source(submodule)) is not None:
            sources.append(source)
    return sources


def absolute_name(namespace: Mapping[str, Any], level: int, name: str) -> str | None:
    """The name of a module that code in this namespace imports from so many packages above. None if there is no such package."""
    if not level:
        return name
    try:
        return importlib.util.resolve_name("." * level + name, str(namespace.get("__package__") or ""))
    except ImportError:
        return None


def source_stamp(file: Path) -> Stamp:
    """What changes when a file is written. Raises OSError."""
    status = file.stat()
    return status.st_mtime_ns, status.st_size


def _on_the_way(name: str, is_loaded: Callable[[str], bool]) -> Iterator[ModuleSource]:
    """The module, and the packages that it is in, as far as they have a source and are not loaded."""
    if _source(name) is None and not _is_namespace(name):
        return
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        module = ".".join(parts[:count])
        if not is_loaded(module) and (source := _source(module)) is not None:
            yield source


def _imports_in(source: ModuleSource) -> Iterator[tuple[str, str]]:
    code = source.code()
    for level, relative_name, member in sorted(references(code).imports) if code is not None else ():
        if (name := absolute_name({"__package__": source.package}, level, relative_name)) is not None:
            yield name, member


def _source(name: str) -> ModuleSource | None:
    """The source of a user's module. None for a library's, and for one that has none."""
    if name.partition(".")[0] in sys.stdlib_module_names or (spec := _spec(name)) is None:
        return None
    module = ModuleType(name)
    module.__file__ = spec.origin
    if not (spec.origin and spec.origin.endswith(".py") and os.path.exists(spec.origin) and is_users_module(module)):  # noqa: PTH110 - of a text
        return None
    is_package = spec.submodule_search_locations is not None
    return ModuleSource(name, name if is_package else name.rpartition(".")[0], Path(spec.origin))


def _is_namespace(name: str) -> bool:
    spec = _spec(name)
    return spec is not None and spec.origin is None and spec.submodule_search_locations is not None


def _spec(name: str) -> ModuleSpec | None:
    """Where a module would be imported from. None if it is nowhere."""
    head = name.rpartition(".")[0]
    path = _path(head) if head else None
    if head and path is None:
        return None
    try:
        return next((spec for finder in sys.meta_path if (spec := finder.find_spec(name, path)) is not None), None)
    except KeyError:  # a namespace within a namespace that is not imported
        return _namespace(name, path or ())
    except Exception:  # noqa: BLE001 - a finder of a library's
        return None


def _path(package: str) -> list[str] | None:
    """The folders of a package. None if it has none."""
    loaded = sys.modules.get(package)
    if loaded is not None:
        folders = getattr(loaded, "__path__", None)
        return None if folders is None else [*folders]
    spec = _spec(package)
    return None if spec is None or spec.submodule_search_locations is None else [*spec.submodule_search_locations]


def _namespace(name: str, path: Iterable[str]) -> ModuleSpec:
    spec = ModuleSpec(name, None, is_package=True)
    folders = (Path(folder, name.rpartition(".")[2]) for folder in path)
    spec.submodule_search_locations = [str(folder) for folder in folders if folder.is_dir()]
    return spec


@functools.lru_cache(maxsize=256)
def _compiled(file: str, _stamp: Stamp) -> CodeType | None:
    try:
        return compile(Path(file).read_bytes(), file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError):
        return None
