"""Objects of classes that hold data: dataclasses, named tuples, members of enumerations; and classes themselves.

They are made of their fields alone: neither `__init__` nor `__post_init__` runs.
"""

import dataclasses
import types
from collections.abc import Callable, Mapping
from enum import Enum, Flag
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from nbcache.codec.values.class_lookup import class_of, reference
from nbcache.errors import DamagedError, NotStorableError

if TYPE_CHECKING:
    from nbcache.codec.values.plain_forms import Reader, Writer

_LEFT_OUT = "__orig_class__"  # set by `Generic`, and of no effect


def kind_of(cls: type) -> str | None:
    """The kind of the objects of a class. None if they are no data of these kinds."""
    if issubclass(cls, Enum):
        return "enum"
    if issubclass(cls, type):
        return "class"
    if issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple):
        return "namedtuple"
    return "dataclass" if dataclasses.is_dataclass(cls) else None


def plain_class(cls: type, writer: "Writer") -> dict[str, Any]:
    """What finds a class again. Raises NotStorableError where nothing does."""
    try:
        return reference(cls, writer.function)
    except NotStorableError as error:
        raise writer.refused(str(error)) from None


def _plain_dataclass(value: Any, writer: "Writer") -> dict[str, Any]:
    cls = type(value)
    form: dict[str, Any] = {"class": plain_class(cls, writer)}
    try:
        object.__new__(cls)
    except TypeError:  # it is derived from a class such as list, whose state is not in its attributes
        raise writer.refused(cls) from None
    attributes = _attributes(value)
    form["fields"] = writer.attributes({name: item for name, item in attributes.items() if name != _LEFT_OUT})
    slots = {name: slot.__get__(value) for name, slot in _slots(cls).items() if _is_set(slot, value)}
    return {**form, "slots": writer.attributes(slots)} if slots else form


def _dataclass(form: Mapping[str, Any], reader: "Reader") -> Any:
    cls = class_of(form["class"], reader.function)
    if not dataclasses.is_dataclass(cls):
        raise DamagedError(f"{cls.__qualname__} is no dataclass")
    value = object.__new__(cls)
    if fields := reader.attributes(form["fields"]):
        object.__getattribute__(value, "__dict__").update(fields)
    slots = _slots(cls)
    for name, item in reader.attributes(form.get("slots", {})).items():
        slots[name].__set__(value, item)
    return value


def _attributes(value: Any) -> dict[str, Any]:
    try:
        attributes: dict[str, Any] = object.__getattribute__(value, "__dict__")
    except AttributeError:  # it has slots only
        return {}
    return attributes


def _slots(cls: type) -> dict[str, types.MemberDescriptorType]:
    """The slots of a class by name: what sets them runs no code of the class."""
    return {
        name: item
        for base in reversed(cls.__mro__)
        for name, item in vars(base).items()
        if type(item) is types.MemberDescriptorType
    }


def _is_set(slot: types.MemberDescriptorType, value: Any) -> bool:
    try:
        slot.__get__(value)
    except AttributeError:
        return False
    return True


def _plain_namedtuple(value: tuple[Any, ...], writer: "Writer") -> dict[str, Any]:
    cls = type(value)
    form: dict[str, Any] = {"class": plain_class(cls, writer)}
    names = [*getattr(cls, "_fields")]  # noqa: B009 - a tuple's type has none
    if len(names) != len(value):
        raise writer.refused(cls)
    form["items"] = [writer.part(item, f".{name}") for name, item in zip(names, value, strict=True)]
    attributes = _attributes(value)
    return {**form, "fields": writer.attributes(attributes)} if attributes else form


def _namedtuple(form: Mapping[str, Any], reader: "Reader") -> Any:
    cls = class_of(form["class"], reader.function)
    if kind_of(cls) != "namedtuple" or len(form["items"]) != len(getattr(cls, "_fields")):  # noqa: B009 - as above
        raise DamagedError(f"{cls.__qualname__} is no such named tuple")
    value: Any = tuple.__new__(cls, reader.items(form["items"]))
    if fields := reader.attributes(form.get("fields", {})):
        object.__getattribute__(value, "__dict__").update(fields)
    return value


def _plain_enum(value: Enum, writer: "Writer") -> dict[str, Any]:
    cls = type(value)
    members = _members(cls)
    form: dict[str, Any] = {"class": plain_class(cls, writer)}
    if members.get(str(value.name)) is value:
        return {**form, "name": value.name}
    if isinstance(value, Flag):
        names = [name for name, member in members.items() if member.value and member in value]
        if _united(cls, names) == value:
            return {**form, "names": names}
    raise writer.refused(cls)


def _enum(form: Mapping[str, Any], reader: "Reader") -> Any:
    cls = class_of(form["class"], reader.function)
    if not issubclass(cls, Enum):
        raise DamagedError(f"{cls.__qualname__} is no enumeration")
    return _united(cls, form["names"]) if "names" in form else _members(cls)[form["name"]]


def _members(cls: type[Enum]) -> dict[str, Any]:
    members: dict[str, Any] = vars(cls)["_member_map_"]
    return members


def _united(cls: Any, names: list[str]) -> Any:
    """The union of these members of a Flag, or the member without any."""
    members = _members(cls)
    return reduce(or_, (members[name] for name in names)) if names else cls(0)


KINDS: dict[str, tuple[Callable[[Any, Any], dict[str, Any]], Callable[[Any, Any], Any]]] = {
    "dataclass": (_plain_dataclass, _dataclass),
    "namedtuple": (_plain_namedtuple, _namedtuple),
    "enum": (_plain_enum, _enum),
    "class": (
        lambda value, writer: {"class": plain_class(value, writer)},
        lambda form, reader: class_of(form["class"], reader.function),
    ),
}
