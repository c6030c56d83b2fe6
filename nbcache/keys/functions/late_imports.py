"""Modules of the user's that a function imports while it runs: in a process that has not imported them, they count by their sources.

When the function has run, they are imported, and count as before for as long as they stay as they were then: else the
second call of each process would be another one.
"""

import sys
from types import FunctionType, ModuleType
from typing import Any

from nbcache.keys.functions.code_walk import CodeWalk
from nbcache.keys.functions.compiled_code import compiled_code
from nbcache.keys.usercode.bytecode_names import references
from nbcache.keys.usercode.module_sources import Imports, ModuleSource, Stamp, imports_of, source_stamp
from nbcache.keys.usercode.not_canonical import NotCanonicalError

_sources: dict[str, tuple[ModuleSource, Stamp]] = {}  # as they were when their modules were not imported yet
_states: dict[str, list[Any]] = {}  # of these modules, when they were first seen imported


def write_sources(walk: CodeWalk, name: str, member: str) -> Imports | None:
    """Write the modules that an import runs, by their sources. None if there is none: then nothing is written."""
    imports = imports_of(name, member, _counts_loaded)
    if imports is None:
        return None
    for source in imports.sources:
        if source.name not in sys.modules:
            _sources[source.name] = source, source.stamp()
            _states.pop(source.name, None)
        walk.watch.volatile(_counts_loaded, source.name, result=False)
        walk.watch.volatile(source_stamp, source.file, source.stamp())
        _write(walk, source)
    return imports


def _write(walk: CodeWalk, source: ModuleSource) -> None:
    if (code := source.code()) is None:
        walk.put("import of source", source.name, source.file.read_bytes())
        return
    counted = compiled_code(code)
    walk.put("import of source", source.name, counted.digest)
    walk.handed_on |= counted.handed_on
    for name, docstring in counted.docstrings:
        walk.reflected({name}, lambda name=name, docstring=docstring: walk.put("docstring", name, docstring))  # type: ignore[misc]
    names = references(code)
    walk.reads |= names.attributes | names.consulted
    walk.variables |= names.variables
    walk.reads_environment |= not {"environ", "getenv"}.isdisjoint(names.attributes)


def _counts_loaded(name: str) -> bool:
    """Whether a module counts as it is, and not by its source."""
    module = sys.modules.get(name)
    if module is None:
        return False
    if name not in _sources or not isinstance(module, ModuleType):
        return True
    source, stamp = _sources[name]
    return _stamp_now(source) != stamp or _states.setdefault(name, state := _state_of(module)) != state


def _stamp_now(source: ModuleSource) -> Stamp | None:
    try:
        return source.stamp()
    except OSError:
        return None


def _state_of(module: ModuleType) -> list[Any]:
    namespace = vars(module)
    return [(name, _form(value, namespace)) for name, value in [*namespace.items()] if not name.startswith("__")]


def _form(value: Any, namespace: dict[str, Any]) -> Any:
    """What counts of a value of a module. What a function of its own refers to counts in its place."""
    if type(value) is FunctionType and value.__globals__ is namespace and not _holds_values(value):
        return value.__code__
    from nbcache.keys.functions.values import Values  # noqa: PLC0415 - few functions import the user's modules

    try:
        return Values().written(value)
    except NotCanonicalError:
        return id(value)


def _holds_values(function: FunctionType) -> bool:
    return any((function.__closure__, function.__defaults__, function.__kwdefaults__, function.__dict__))
