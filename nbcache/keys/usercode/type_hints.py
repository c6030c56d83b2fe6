"""What counts of types that are not classes, as annotations contain them."""

import types
import typing
from typing import Any, ForwardRef, ParamSpec, TypeVar, get_args, get_origin

from nbcache.keys.usercode.walk import Walk

_MODULES = {"typing", "typing_extensions", "annotationlib"}


def is_typing(value: Any) -> bool:
    """Whether `value` is a type that is not a class: a union, `list[int]`, a name that is not defined yet."""
    return isinstance(value, types.GenericAlias | types.UnionType) or type(value).__module__ in _MODULES


def write_typing(walk: Walk, value: Any) -> None:
    """Write the parts of such a type."""
    if isinstance(value, ForwardRef):
        walk.put("forward", value.__forward_arg__)
    elif isinstance(value, TypeVar | ParamSpec):
        walk.put("variable", value.__name__)
        walk.child(value.__bound__)
    elif isinstance(value, typing.NewType):
        walk.put("new type", str(value.__name__))
        walk.child(value.__supertype__)
    elif (lazy := getattr(value, "__value__", None)) is not None:  # `type Name = …`
        walk.put("alias", str(getattr(value, "__name__", "")))
        walk.child(lazy)
    elif (origin := get_origin(value)) is not None:
        walk.put("generic", type(value).__name__)
        walk.child(origin)
        for part in (*get_args(value), *getattr(value, "__metadata__", ())):
            walk.child(part)
    else:
        walk.put("special", str(value))
