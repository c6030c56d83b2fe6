"""What of a class counts: its bases, members and annotations, and the fields of a pydantic class."""

import types
from collections.abc import Callable
from typing import Any

from nbcache.keys.usercode.annotations import annotations_of
from nbcache.keys.usercode.origin import is_users_code
from nbcache.keys.usercode.walk import Walk

# Members that Python, abc and pydantic add to a class or compute from it, and where it is written. Its annotations count apart.
NOT_COUNTED = {
    *("__dict__", "__weakref__", "__module__", "__qualname__", "__firstlineno__", "__static_attributes__"),
    *("__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__conditional_annotations__"),
    *(
        "__abstractmethods__",
        "__parameters__",
        "__orig_bases__",
        "__signature__",
        "__class_vars__",
        "__classdictcell__",
    ),
    *("__private_attributes__", "_abc_impl", "__static_attributes__", "_value2member_map_", "_hashable_values_"),
    *("_unhashable_values_", "_unhashable_values_map_", "__hash__", "__subclasshook__", "__protocol_attrs__"),
    *("__non_callable_proto_members__", "_is_protocol", "_is_runtime_protocol", "__lazy_slots__"),
}


def write_class(walk: Walk, cls: type) -> None:
    """Write what counts of a class. A library's counts by its name."""
    if not is_users_code(cls):
        walk.put("library's class", cls.__module__, cls.__qualname__)
        return
    if walk.piece_of is not None:
        walk.put("piece", walk.piece_of(cls).digest)
        return
    walk.put("class", cls.__qualname__)
    walk.watch.bases(cls)
    walk.watch.mapping(cls.__dict__)
    for base in cls.__bases__:
        walk.child(base, base.__name__)
    if type(cls) is not type:
        walk.child(type(cls), type(cls).__name__)
    for name, member in sorted(vars(cls).items()):
        if name in NOT_COUNTED or name.startswith("__pydantic_") or walk.state.is_state(name, member):
            continue
        if name == "__class_getitem__" and not isinstance(member, types.FunctionType | classmethod):
            continue
        walk.put("member", name)
        walk.child(member, name)
    for name, annotation in annotations_of(cls).items():
        walk.put("annotation", name)
        walk.child(annotation, name)
    write_pydantic_fields(walk, cls, lambda value, name, part: walk.child(value, f"{name}'s {part}"))


def write_pydantic_fields(walk: Walk, cls: type, write: Callable[[Any, str, str], None]) -> None:
    """The fields that a pydantic class declares itself: their defaults are not members of the class.

    `write` writes a value, which is this part of the field of this name.
    """
    declared = annotations_of(cls)
    for holder, parts in _FIELDS.items():
        fields = vars(cls).get(holder)
        if not isinstance(fields, dict):
            continue
        for name in sorted(declared.keys() & fields.keys()):
            walk.put("field", name)
            walk.watch.name(fields, name, fields[name])
            values = [getattr(fields[name], part) for part in parts]
            walk.watch.attributes(fields[name], parts, values)
            for part, value in zip(parts, values, strict=True):
                if part in _ALWAYS or not (value is None or value == []):
                    walk.put("part", part)
                    write(value, name, part)


_ALWAYS = ("default", "default_factory", "description")
_FIELDS = {
    "__pydantic_fields__": (
        *_ALWAYS,
        *("alias", "validation_alias", "serialization_alias", "title", "examples", "exclude", "discriminator"),
        *("json_schema_extra", "metadata"),
    ),
    "__private_attributes__": ("default", "default_factory"),
}
