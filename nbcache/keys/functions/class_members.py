"""What counts of a class: its bases, members, annotations and fields. A library's class counts by its release."""

import sys
from dataclasses import MISSING
from enum import EnumMeta
from types import FunctionType
from typing import Any

from nbcache.keys.functions.code_walk import CodeWalk
from nbcache.keys.usercode.annotations import annotations_of
from nbcache.keys.usercode.classes import NOT_COUNTED, write_pydantic_fields
from nbcache.keys.usercode.origin import is_users_code

_LEFT_OUT = NOT_COUNTED | {"__doc__", "__dataclass_fields__", "__dataclass_params__", "__slotnames__"}
# What `dataclass` generates from the fields, which count themselves.
_GENERATED = {
    *("__init__", "__repr__", "__eq__", "__lt__", "__le__", "__gt__", "__ge__", "__setattr__", "__delattr__"),
    *("__hash__", "__replace__"),
}
_MADE_OF_ANNOTATIONS = {"__dataclass_fields__", "__attrs_attrs__", "__struct_fields__"}
_OF_ENUM = {"_member_map_", "_member_names_", "_new_member_", "_use_args_", "_member_type_", "_value_repr_"}
_PARTS_OF_FIELD = ("default", "default_factory", "init", "repr", "hash", "compare", "kw_only", "metadata")


def counts_by_code(cls: type) -> bool:
    """Whether a class counts by what is in it: one of the user's, or one that a library has made while it runs."""
    return is_users_code(cls) or not _can_be_imported(cls)


def _can_be_imported(cls: type) -> bool:
    """Whether a library's class is written in the library."""
    if not cls.__flags__ & 1 << 9 or "<locals>" in cls.__qualname__:  # made in C, or within a function
        return True
    found: Any = sys.modules.get(cls.__module__)
    for name in cls.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is cls or isinstance(found, type)


def write_class(walk: CodeWalk, cls: type) -> None:
    """Write what counts of a class."""
    if not counts_by_code(cls):
        walk.library(cls.__module__, cls.__qualname__)
        return
    walk.put("class", cls.__qualname__)
    walk.watch.bases(cls)
    walk.watch.mapping(cls.__dict__)
    for base in cls.__bases__:
        walk.code(base, base.__name__)
    if type(cls) is not type:
        walk.code(type(cls), type(cls).__name__)
    _docstring(walk, cls)
    if isinstance(cls, EnumMeta):
        _enumerated(walk, cls)
    for name, member in sorted(vars(cls).items()):
        if not _is_left_out(cls, name, member):
            walk.put("member", name)
            walk.part(member, f"{cls.__qualname__}.{name}")
    for reader in ("__dict__", "vars"):
        walk.if_read(reader, set(), lambda: walk.put("order", *vars(cls)))
    if _is_plain(cls):
        walk.reflected({cls.__name__}, lambda: _annotations(walk, cls))
    else:
        _annotations(walk, cls)
    write_pydantic_fields(walk, cls, lambda value, name, part: walk.part(value, f"{cls.__qualname__}.{name}: {part}"))
    _dataclass_fields(walk, cls)


def _annotations(walk: CodeWalk, cls: type) -> None:
    for name, annotation in annotations_of(cls).items():
        walk.put("annotation", name)
        walk.part(annotation, f"{cls.__qualname__}.{name}: annotation")


def _is_plain(cls: type) -> bool:
    """Whether what a class is made of can't depend on its annotations, but for members that count themselves."""
    return type(cls) is type and all(
        base is object or (is_users_code(base) and _MADE_OF_ANNOTATIONS.isdisjoint(vars(base))) for base in cls.__mro__
    )


def _docstring(walk: CodeWalk, cls: type) -> None:
    """The docstring is a part of a pydantic class's schema. Another class's counts if code may read it."""
    text = str(vars(cls).get("__doc__") or "")
    is_root = cls is walk.root
    if is_root or "__pydantic_core_schema__" in vars(cls) or "__total__" in vars(cls):
        walk.put("docstring", text)
    else:
        walk.reflected({cls.__name__}, lambda: walk.put("docstring", text))


def _is_left_out(cls: type, name: str, member: Any) -> bool:
    if name in _LEFT_OUT or name.startswith("__pydantic_"):
        return True
    if name == "__class_getitem__" and not isinstance(member, FunctionType | classmethod):
        return True
    if isinstance(cls, EnumMeta) and (name in _OF_ENUM or name in cls.__members__):
        return True
    if not isinstance(member, FunctionType):
        return False
    file = member.__code__.co_filename
    return (file == "<string>" and name in _GENERATED and "__dataclass_fields__" in vars(cls)) or file.startswith(
        "<attrs generated"
    )


def _enumerated(walk: CodeWalk, cls: Any) -> None:
    """The members of an enumeration, by name and value."""
    for name, member in cls.__members__.items():
        walk.put("enum", name, str(member._name_))
        walk.part(member._value_, f"{cls.__qualname__}.{name}")


def _dataclass_fields(walk: CodeWalk, cls: type) -> None:
    fields = vars(cls).get("__dataclass_fields__")
    if not isinstance(fields, dict):
        return
    walk.put("dataclass", repr(vars(cls).get("__dataclass_params__")))
    walk.watch.mapping(fields)
    for name, field in fields.items():
        walk.put("field", name)
        values = [getattr(field, part) for part in _PARTS_OF_FIELD]
        walk.watch.attributes(field, _PARTS_OF_FIELD, values)
        for part, value in zip(_PARTS_OF_FIELD, values, strict=True):
            if value is MISSING or (part == "metadata" and not value):
                continue
            walk.put("part", part)
            walk.part(value, f"{cls.__qualname__}.{name}: {part}")
