"""Whose code a class or function is: the user's own, which is edited, or a library's, which is known by its name."""

import functools
import os
import sys
import sysconfig
import types
from pathlib import Path
from typing import Any

_LIBRARIES = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")})
# Others are installed for the user alone, or below the environment of another: their folders have these names.
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_OURS = str(Path(__file__).parents[2]) + os.sep
ORIGINAL = "__nbcache_original__"  # names, on what is wrapped around a method, the method
_NAMES = sys.stdlib_module_names | {"builtins", "nbcache"}


def is_users_code(thing: Any) -> bool:
    """Whether a class or function is written in the notebook or in a module of the user's, and so is edited."""
    if isinstance(thing, types.FunctionType):
        return _is_users_function(thing)
    return _is_users_module(thing.__module__)


def original_of(member: Any) -> Any:
    """A method as its author wrote it, under what nbcache has wrapped around it while it is on."""
    while (
        isinstance(member, types.FunctionType | staticmethod)
        or type(member).__module__ == "nbcache.integrations.langchain.patching"
    ):
        function = member.__func__ if isinstance(member, staticmethod) else member
        if isinstance(function, types.FunctionType) and not function.__code__.co_filename.startswith(_OURS):
            break  # a wrapper of somebody else's takes over what stands in ours
        if ORIGINAL not in vars(member):
            break
        member = vars(member)[ORIGINAL]
    return member


def is_users_module(module: types.ModuleType) -> bool:
    """Whether a module is the user's own."""
    return _is_users_module(module.__name__, getattr(module, "__file__", None))


def _is_users_function(function: types.FunctionType) -> bool:
    """By the file that its code was compiled from: `__module__` of a wrapper names whom it wraps."""
    file = function.__code__.co_filename
    if file.startswith("<frozen") or _is_installed(file):
        return False
    name = function.__globals__.get("__name__")  # of what is made of a text, as a template is, there may be none
    return name is None or _is_users_module(name, file)  # a cell's is no file, or one of the kernel's


def _is_users_module(name: Any, file: str | None = None) -> bool:
    if not isinstance(name, str):
        return False
    if name == "__main__":
        return True
    if name.partition(".")[0] in _NAMES or name.startswith("_cython_"):
        return False
    file = file or getattr(sys.modules.get(name), "__file__", None)
    return file is None or not _is_installed(file)


@functools.lru_cache(maxsize=1024)
def _is_installed(file: str) -> bool:
    return file.startswith(_LIBRARIES) or any(name in file for name in _INSTALLED)
