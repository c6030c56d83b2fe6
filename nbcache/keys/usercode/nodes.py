"""What a function, a class, a module, a container holds of what counts."""

import builtins
import functools
import importlib.util
import os
import sys
import types
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbcache.keys.usercode.annotations import annotations_of
from nbcache.keys.usercode.bytecode import references
from nbcache.keys.usercode.change_detection import MISSING
from nbcache.keys.usercode.environment_variables import is_environment, is_variable
from nbcache.keys.usercode.objects import write_object
from nbcache.keys.usercode.origin import is_users_code, is_users_module
from nbcache.keys.usercode.type_hints import is_typing, write_typing
from nbcache.keys.usercode.walk import Walk

_BUILTINS = {"get_ipython", "display", "help", "exit", "quit", "copyright", "credits", "license", "_", "__debug__"}
# Of these, what the code refers to can't be read from the code.
_UNREADABLE = {"globals", "eval", "exec", "__import__"}
# What Python, abc and pydantic keep about a class, or work out from it; where it is written, and its types are looked at.
_NOT_COUNTED = {
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
_DESCRIPTORS = (types.MemberDescriptorType, types.GetSetDescriptorType, types.WrapperDescriptorType)
_CACHED = type(functools.lru_cache(is_typing))
_BUILTIN = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
)


def write_node(walk: Walk, value: Any) -> None:
    """Write into `walk` what `value` holds. Raises NotCanonicalError for what nothing tells from another."""
    cls = type(value)
    if cls is types.FunctionType:
        _function(walk, value)
    elif isinstance(value, type) and not isinstance(value, types.GenericAlias):
        _class(walk, value)
    elif isinstance(value, types.ModuleType):
        _module(walk, value)
    elif cls in _CONTAINERS:
        _CONTAINERS[cls](walk, value)
    elif isinstance(value, _DESCRIPTORS):
        walk.put("descriptor", cls.__name__)
    elif is_typing(value):
        write_typing(walk, value)
    elif cls in _WRAPPERS:
        walk.put("wrapper", cls.__qualname__)
        for name in _WRAPPERS[cls]:
            walk.child(getattr(value, name), name)
    elif isinstance(value, _BUILTIN):
        _builtin(walk, value)
    else:
        write_object(walk, value)


_WRAPPERS: dict[type, tuple[str, ...]] = {
    property: ("fget", "fset", "fdel"),
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
    functools.cached_property: ("func",),
    functools.partial: ("func", "args", "keywords"),
    functools.partialmethod: ("func", "args", "keywords"),
    types.MethodType: ("__func__", "__self__"),
    _CACHED: ("__wrapped__",),
    types.CellType: (),
}


def _builtin(walk: Walk, value: Any) -> None:
    owner = getattr(value, "__self__", None)
    walk.put("builtin", str(getattr(value, "__module__", "")), value.__qualname__)
    if owner is not None and not isinstance(owner, types.ModuleType):
        walk.child(owner, value.__name__)


# Functions


def _function(walk: Walk, function: types.FunctionType) -> None:
    is_users = is_users_code(function)
    name = (str(function.__globals__.get("__name__")), function.__code__.co_qualname)
    if not is_users:
        walk.put("library's function", *name)
        _closure(walk, function)
        if (wrapped := function.__dict__.get("__wrapped__")) is not None:
            walk.child(wrapped, "__wrapped__")
        return
    if walk.piece_of is not None:
        walk.put("piece", walk.piece_of(function).digest)
        return
    walk.put("function", function.__name__)
    walk.watch.function(function)
    walk.child(function.__code__)
    walk.child(function.__doc__)
    walk.child(function.__defaults__, "defaults")
    if function.__kwdefaults__:
        walk.child(function.__kwdefaults__, "defaults")
    _closure(walk, function)
    _references(walk, function)
    for label, annotation in annotations_of(function).items():
        walk.put("annotation", label)
        walk.child(annotation, label)
    _attributes(walk, function.__dict__)


def _attributes(walk: Walk, attributes: dict[str, Any]) -> None:
    """What was set on a function: by decorators, by whoever marks it."""
    if not attributes:
        return
    walk.watch.mapping(attributes)
    for name, value in sorted(attributes.items()):
        if not walk.state.is_state(name, value):
            walk.put("attribute", name)
            walk.child(value, name)


def _closure(walk: Walk, function: types.FunctionType) -> None:
    """The values that it closes over: the arguments of the factory or decorator that made it."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        if name == "__class__":
            continue  # for `super()`: the class that it is a method of
        try:
            value = cell.cell_contents
        except ValueError:
            value = MISSING
        if walk.state.holds(cell, name, value):
            if walk.state.is_consulted(name, value):
                walk.seed(value, name)
        else:
            walk.put("cell", name)
            walk.watch.cell(cell, value)
            if value is not MISSING:
                walk.child(value, name)


def _references(walk: Walk, function: types.FunctionType) -> None:
    """What its names mean now."""
    found = references(function.__code__)
    walk.reads |= found.attributes
    walk.variables |= found.variables
    namespace = function.__globals__
    for head, *attributes in sorted(found.globals):
        walk.reads.add(head)
        value = namespace.get(head, MISSING)
        if walk.state.holds(namespace, head, value):
            if walk.state.is_consulted(head, value):
                walk.put("global", head)
                walk.seed(value, head)
            continue
        walk.watch.name(namespace, head, value)
        if value is MISSING:
            value = _builtin_named(walk, head)
        if value is not MISSING:
            walk.put("global", head)
            _note_environment(walk, value, attributes)
            _chain(walk, value, attributes, head)
        elif head in _UNREADABLE:
            raise walk.refuse(f"a function that uses {head}()")
    for level, module, name in sorted(found.imports):
        if module == "os" and not {"environ", "getenv"}.isdisjoint({name, *found.attributes}):
            walk.reads_environment = True
        _imported(walk, namespace, (level, module, name))


def _note_environment(walk: Walk, value: Any, attributes: list[str]) -> None:
    if isinstance(value, str):
        walk.variables |= {value} if is_variable(value) else set()
    elif isinstance(value, types.ModuleType) and attributes:
        walk.reads_environment |= value is os and attributes[0] in {"environ", "getenv"}
    else:
        walk.reads_environment |= is_environment(value)


def _builtin_named(walk: Walk, name: str) -> Any:
    """What somebody has put among Python's builtins; MISSING where a name is one of Python's own, or nothing."""
    held = vars(builtins)
    value = held.get(name, MISSING)
    walk.watch.name(held, name, value)
    is_own = isinstance(value, types.BuiltinFunctionType) or (isinstance(value, type) and not is_users_code(value))
    return MISSING if is_own or name in _BUILTINS else value


def _chain(walk: Walk, value: Any, attributes: list[str], label: str) -> None:
    """`helpers.STYLE`, where `helpers` is a module of the user's, is what that module holds under the name."""
    for name in attributes:
        if not isinstance(value, types.ModuleType):
            break
        if not is_users_module(value):
            if (value.__name__, name) == ("sys", "modules"):
                raise walk.refuse("a function that uses sys.modules")
            break
        label += "." + name
        held = vars(value)
        found = held.get(name, MISSING)
        if walk.state.is_state(name, found):
            return
        walk.watch.name(held, name, found)
        if found is MISSING:
            return
        value = found
    walk.child(value, label)


def _imported(walk: Walk, namespace: dict[str, Any], told: tuple[int, str, str]) -> None:
    """What a function imports while it runs, where that is the user's own: by what it is, or else by its source."""
    level, name, member = told
    if level:
        try:
            name = importlib.util.resolve_name("." * level + name, str(namespace.get("__package__") or ""))
        except ImportError:
            return
    walk.watch.name(sys.modules, name, sys.modules.get(name, MISSING))
    module = sys.modules.get(name)
    if module is not None:
        if is_users_module(module):
            walk.put("import", name, member)
            _chain(walk, module, [member] if member else [], name)
        return
    if (file := _source(name)) is not None:
        walk.put("import of source", name)
        walk.watch.volatile(_source_stamp, file, _source_stamp(file))
        walk.put(file.read_bytes().hex())


def _source(name: str) -> Path | None:
    """The file of a module of the user's that nobody has imported yet."""
    if name.partition(".")[0] in sys.stdlib_module_names:
        return None
    head, _, _ = name.rpartition(".")
    if head and head not in sys.modules:
        return None  # to look for it would import the package
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    module = types.ModuleType(name)
    module.__file__ = None if found is None else found.origin
    return (
        Path(module.__file__)
        if module.__file__ and module.__file__.endswith(".py") and is_users_module(module)
        else None
    )


def _source_stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size


# Classes


def _class(walk: Walk, cls: type) -> None:
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
        if name in _NOT_COUNTED or name.startswith("__pydantic_") or walk.state.is_state(name, member):
            continue
        if name == "__class_getitem__" and not isinstance(member, types.FunctionType | classmethod):
            continue
        walk.put("member", name)
        walk.child(member, name)
    for name, annotation in annotations_of(cls).items():
        walk.put("annotation", name)
        walk.child(annotation, name)
    _fields(walk, cls)


def _fields(walk: Walk, cls: type) -> None:
    """The fields of a pydantic class that it declares itself: their defaults are no attributes of the class."""
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
                    walk.child(value, f"{name}'s {part}")


_ALWAYS = ("default", "default_factory", "description")
_FIELDS = {
    "__pydantic_fields__": (
        *_ALWAYS,
        *("alias", "validation_alias", "serialization_alias", "title", "examples", "exclude", "discriminator"),
        *("json_schema_extra", "metadata"),
    ),
    "__private_attributes__": ("default", "default_factory"),
}


def _module(walk: Walk, module: types.ModuleType) -> None:
    """A module of the user's that is passed on whole counts by all that it holds."""
    if not is_users_module(module):
        walk.put("library's module", module.__name__)
        return
    if module.__name__ == "__main__":
        raise walk.refuse("the notebook's own namespace")
    walk.put("module", module.__name__)
    held = vars(module)
    walk.watch.mapping(held)
    for name, value in sorted(held.items()):
        if not name.startswith("__"):
            walk.put("member", name)
            walk.child(value, name)


# Containers


def _list(walk: Walk, value: Any) -> None:
    walk.make_room(len(value))
    walk.put(type(value).__name__, str(len(value)))
    walk.watch.container(value)
    for number, item in enumerate(value):
        walk.child(item, f"[{number}]")


def _dict(walk: Walk, value: Mapping[Any, Any]) -> None:
    walk.make_room(len(value))
    walk.put(type(value).__name__, str(len(value)))
    walk.watch.mapping(value)
    for key, item in [*value.items()]:  # another thread may add to it meanwhile
        walk.child(key, "key")
        walk.child(item, f"[{key!r}]" if type(key) is str else "[…]")


def _set(walk: Walk, value: set[Any]) -> None:
    walk.make_room(len(value))
    walk.watch.container(value)
    walk.sorted(list(value), "")


def _bytearray(walk: Walk, value: bytearray) -> None:
    walk.watch.volatile(bytes, value, bytes(value))
    walk.put("bytearray", bytes(value))


_CONTAINERS: dict[type, Any] = {
    list: _list,
    deque: _list,
    dict: _dict,
    types.MappingProxyType: _dict,
    set: _set,
    bytearray: _bytearray,
}
