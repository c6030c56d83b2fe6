"""Whether code is the user's own, which is edited and counts by its content, or a library's, which counts by its name."""

import os
import sys
import types
from pathlib import Path
from typing import Any

from nbcache.concurrency.user_frames import is_installed

_OURS = str(Path(__file__).parents[2]) + os.sep
ORIGINAL = "__nbcache_original__"  # the attribute of a wrapper that holds the wrapped method
_NAMES = sys.stdlib_module_names | {"builtins", "nbcache"}


def is_users_code(thing: Any) -> bool:
    """Whether a class or function is written in the notebook or in a module of the user's."""
    if isinstance(thing, types.FunctionType):
        return _is_users_function(thing)
    return _is_users_module(thing.__module__)


def original_of(member: Any) -> Any:
    """A method as its author wrote it, without the wrappers that nbcache adds while it is on."""
    while (
        isinstance(member, types.FunctionType | staticmethod)
        or type(member).__module__ == "nbcache.integrations.patching"
    ):
        function = member.__func__ if isinstance(member, staticmethod) else member
        if isinstance(function, types.FunctionType) and not function.__code__.co_filename.startswith(_OURS):
            break  # a wrapper of another library copies the attributes of ours
        if ORIGINAL not in vars(member):
            break
        member = vars(member)[ORIGINAL]
    return member


def is_users_module(module: types.ModuleType) -> bool:
    """Whether a module is the user's own."""
    return _is_users_module(module.__name__, getattr(module, "__file__", None))


def _is_users_function(function: types.FunctionType) -> bool:
    """By the file that the code was compiled from: a wrapper's `__module__` is that of the function in it."""
    file = function.__code__.co_filename
    if file.startswith("<frozen") or is_installed(file):
        return False
    name = function.__globals__.get(
        "__name__"
    )  # a function that is compiled from a text, as by a template, may have none
    return name is None or _is_users_module(name, file)  # the file of a cell is not there, or is the kernel's


def _is_users_module(name: Any, file: str | None = None) -> bool:
    if not isinstance(name, str):
        return False
    if name == "__main__":
        return True
    if name.partition(".")[0] in _NAMES or name.startswith("_cython_"):
        return False
    file = file or getattr(sys.modules.get(name), "__file__", None)
    return file is None or not is_installed(file)
