"""What counts of a function of a library: its release, and what of the user's a library's decorator holds in it."""

from collections.abc import Mapping
from types import CellType, FunctionType, MappingProxyType, MethodType
from typing import Any

from nbcache.keys.functions.code_walk import CodeWalk, Name, is_code, is_fixed
from nbcache.keys.functions.libraries import releases_of
from nbcache.keys.usercode.change_detection import MISSING
from nbcache.keys.usercode.origin import is_users_code

_DEEPEST = 3  # attributes of attributes


def content_of(cell: CellType) -> Any:
    """The content of a cell. MISSING if it is empty."""
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


def write_librarys_function(walk: CodeWalk, function: FunctionType) -> None:
    """A library's function, by name. One that a library's decorator has made holds a function of the user's."""
    walk.library(function.__globals__.get("__name__"), function.__code__.co_qualname)
    is_foreign = bool(releases_of(str(function.__globals__.get("__name__"))))
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        value = content_of(cell)
        walk.watch.cell(cell, value)
        if value is not MISSING:
            walk.put("cell", name)
            _held_by_library(walk, value, name)
            _hand_on(walk, value, is_foreign=is_foreign)
    if (wrapped := function.__dict__.get("__wrapped__")) is not None:
        _hand_on(walk, wrapped, is_foreign=is_foreign)
        walk.code(wrapped, "__wrapped__")


def _hand_on(walk: CodeWalk, value: Any, *, is_foreign: bool) -> None:
    """Note that a library has `value`. Python's own decorators read no docstring and no annotation for what they do."""
    if is_foreign and type(value) is FunctionType:
        walk.handed_on.add(value.__name__)


def _held_by_library(walk: CodeWalk, value: Any, label: str, depth: int = 0) -> None:
    """Write what counts of a value that a library's decorator holds: code, and plain settings. Its counts and memories don't."""
    cls = type(value)
    if is_fixed(value):
        walk.child(value)
    elif cls is MethodType:
        walk.put("method")
        _held_by_library(walk, value.__func__, label, depth)
        _held_by_library(walk, value.__self__, label, depth + 1)
    elif is_code(value):
        walk.code(value, label)
    elif cls in {dict, MappingProxyType}:
        _code_in(walk, value, label)
    elif cls in {list, tuple}:
        for item in [*value] if depth < _DEEPEST else ():
            _held_by_library(walk, item, label, depth + 1)
    elif is_users_code(cls):
        walk.data(Name(f"{label}: {cls.__qualname__}", None, "", value))
    elif depth < _DEEPEST:
        _attributes_held(walk, value, label, depth)


def _attributes_held(walk: CodeWalk, value: Any, label: str, depth: int) -> None:
    """Write the settings of a library's object."""
    cls = type(value)
    if type(getattr(value, "__dict__", None)) is dict:
        walk.put("held", cls.__module__, cls.__qualname__)
        for name, item in sorted(vars(value).items(), key=lambda pair: str(pair[0])):
            if is_fixed(item) or is_code(item) or (type(item).__module__ == cls.__module__):
                walk.put("attribute", str(name))
                _held_by_library(walk, item, label, depth + 1)


def _code_in(walk: CodeWalk, mapping: Mapping[Any, Any], label: str) -> None:
    """Write the functions in a mapping, such as the variants of a generic function. Other values are a memory of answers."""
    pairs = [pair for pair in [*mapping.items()] if is_code(pair[1])]
    if pairs:
        walk.watch.mapping(mapping)
    for key, item in pairs:
        _held_by_library(walk, key, label, _DEEPEST)
        walk.code(item, label)
