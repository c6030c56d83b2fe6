"""What counts of each kind of value that code refers to; functions, classes and objects have modules of their own."""

import functools
import types
from collections import deque
from collections.abc import Mapping
from typing import Any

from nbcache.keys.usercode.classes import write_class
from nbcache.keys.usercode.functions import write_function
from nbcache.keys.usercode.objects import write_object
from nbcache.keys.usercode.origin import is_users_module
from nbcache.keys.usercode.type_hints import is_typing, write_typing
from nbcache.keys.usercode.walk import Walk

DESCRIPTORS = (types.MemberDescriptorType, types.GetSetDescriptorType, types.WrapperDescriptorType)
CACHED = type(functools.lru_cache(is_typing))
BUILTIN = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
)


def write_node(walk: Walk, value: Any) -> None:
    """Write into `walk` what counts of `value`. Raises NotCanonicalError for a value that has no digest."""
    cls = type(value)
    if cls is types.FunctionType:
        write_function(walk, value)
    elif isinstance(value, type) and not isinstance(value, types.GenericAlias):
        write_class(walk, value)
    elif isinstance(value, types.ModuleType):
        _module(walk, value)
    elif cls in _CONTAINERS:
        _CONTAINERS[cls](walk, value)
    elif isinstance(value, DESCRIPTORS):
        walk.put("descriptor", cls.__name__)
    elif is_typing(value):
        write_typing(walk, value)
    elif cls in WRAPPERS:
        walk.put("wrapper", cls.__qualname__)
        for name in WRAPPERS[cls]:
            walk.child(getattr(value, name), name)
    elif isinstance(value, BUILTIN):
        _builtin(walk, value)
    else:
        write_object(walk, value)


WRAPPERS: dict[type, tuple[str, ...]] = {
    property: ("fget", "fset", "fdel"),
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
    functools.cached_property: ("func",),
    functools.partial: ("func", "args", "keywords"),
    functools.partialmethod: ("func", "args", "keywords"),
    types.MethodType: ("__func__", "__self__"),
    CACHED: ("__wrapped__",),
    types.CellType: (),
}


def _builtin(walk: Walk, value: Any) -> None:
    owner = getattr(value, "__self__", None)
    walk.put("builtin", str(getattr(value, "__module__", "")), value.__qualname__)
    if owner is not None and not isinstance(owner, types.ModuleType):
        walk.child(owner, value.__name__)


def _module(walk: Walk, module: types.ModuleType) -> None:
    """A module of the user's that is used as a value counts by all that it contains."""
    if not is_users_module(module):
        walk.put("library's module", module.__name__)
        return
    if module.__name__ == "__main__":
        raise walk.refuse("the notebook's own namespace")
    walk.put("module", module.__name__)
    namespace = vars(module)
    walk.watch.mapping(namespace)
    for name, value in sorted(namespace.items()):
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
    for key, item in [*value.items()]:  # a copy, since another thread may add to it
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
