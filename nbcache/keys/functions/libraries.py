"""Which release of which library a module belongs to. Code of libraries counts by that."""

import functools
import importlib.metadata
import sys
from collections.abc import Mapping
from types import FunctionType
from typing import Any

from nbcache.keys.usercode.origin import is_users_code

# The standard library is a part of Python, whose version counts apart. A release of nbcache is no reason to pay again.
_NO_LIBRARY = sys.stdlib_module_names | {"builtins", "nbcache", "__main__"}

_PLAIN = frozenset({str, int, float, bool, list, dict, tuple, set, bytes, FunctionType, type, type(None)})

Release = tuple[str, str]  # the name of a distribution, and its version


def releases_of(module: str) -> tuple[Release, ...]:
    """The distribution that a library's module belongs to. Several for a namespace that they share."""
    return _releases(module.partition(".")[0])


@functools.lru_cache(maxsize=1024)
def _releases(package: str) -> tuple[Release, ...]:
    if package in _NO_LIBRARY or not package:
        return ()
    if (version := _version(package)) is not None:
        return ((package.replace("_", "-").lower(), version),)
    return tuple((name, _version(name) or "") for name in sorted({*_distributions().get(package, ())}))


def place_in_library(value: Any) -> tuple[str, str] | None:
    """The module and name by which anybody can import `value`, a function of a library that is not written in Python."""
    cls = type(value)
    if cls in _PLAIN or not callable(value) or is_users_code(cls):
        return None
    module, name = getattr(value, "__module__", None), getattr(value, "__name__", None)
    if module is None and cls.__name__ == "ufunc":
        module = cls.__module__
    if type(module) is not str or type(name) is not str or not releases_of(module):
        return None
    return (module, name) if getattr(sys.modules.get(module), name, None) is value else None


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    """The distributions of each package. It takes long to find out, and few packages are named unlike their distribution."""
    return importlib.metadata.packages_distributions()
