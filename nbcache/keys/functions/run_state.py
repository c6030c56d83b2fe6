"""What code reads of the run that it is in: a human's answer, the run's config or store, the frames that call it.

Neither the code nor the arguments of a call tell such a value, and the next run has another. So code that reads one has no
digest, unless its name is ignored. What is only written there, as by LangGraph's `get_stream_writer`, is output: it counts for nothing.
"""

import sys
import threading
from collections.abc import Collection, Iterable
from contextvars import ContextVar
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from nbcache.errors import UnstableIdentityError
from nbcache.keys.usercode.change_detection import MISSING
from nbcache.keys.usercode.not_canonical import NotCanonicalError

_READERS = frozenset(
    {
        *("langgraph.types.interrupt", "langgraph.runtime.get_runtime"),
        *("langgraph.config.get_config", "langgraph.config.get_store"),
        *("langchain_core.runnables.config.ensure_config", "langchain_core.runnables.ensure_config"),
        *("langchain_core.runnables.config.get_config_list", "langchain_core.runnables.get_config_list"),
        *("langchain_core.runnables.config.var_child_runnable_config", "contextvars.copy_context"),
        *("builtins.input", "getpass.getpass", "getpass.unix_getpass", "getpass.win_getpass"),
        *("builtins.get_ipython", "IPython.get_ipython", "IPython.core.getipython.get_ipython"),
        *("inspect.currentframe", "inspect.stack", "sys._getframe", "sys.modules"),
        *("gc.get_objects", "gc.get_referrers"),
    }
)
READER_NAMES = frozenset(each.rpartition(".")[2] for each in _READERS)
_FUNCTIONS = (FunctionType, BuiltinFunctionType)
_OF_CONTEXT = (ContextVar, threading.local)  # what has another value in each context or thread


class RunStateError(NotCanonicalError):
    """Code reads `what` of the run that it is in, by the function `name`."""

    def __init__(self, what: str, path: str = "") -> None:
        super().__init__(what, path)
        self.name = what.rpartition(".")[2]

    def unstable(self, subject: str, calls: str) -> UnstableIdentityError:
        """The error for `calls` that use such code. `subject` is what they are calls of."""
        place = f", at {self.path}," if self.path else ""
        return UnstableIdentityError(
            f"{subject}: reads {self.what}",
            f"nbcache: calls of {calls} are not cached: the code{place} uses {self.what}, whose value is one of the run and may "
            f"be another in the next. To have them cached, pass that value as an argument, or "
            f"`ignore=({self.name!r},)` if no result depends on it",
        )


def check_reader(name: str | None, ignore: Collection[str], path: str = "") -> None:
    """Raise RunStateError for the full name of a reader, unless that or its last part is one to `ignore`. None names no reader."""
    if name is not None and name not in ignore and name.rpartition(".")[2] not in ignore:
        raise RunStateError(name, path)


def reader(value: Any) -> str | None:
    """The full name of a function or object that reads the state of a run. None for any other value."""
    if value is MISSING:
        return None
    if type(value) in _FUNCTIONS and (named := f"{value.__module__}.{value.__qualname__}") in _READERS:
        return named
    return next((each for each in _READERS if _present(each) is value), None)  # a kernel has an `input` of its own


def reader_in(module: ModuleType, attributes: Iterable[str]) -> str | None:
    """The full name of what `module.attribute.attribute` reads of a run. None if it reads nothing of one."""
    value: Any = module
    for name in attributes:
        owner, value = value, getattr(value, "__dict__", {}).get(name, MISSING)
        if type(value) in _OF_CONTEXT:
            return f"{owner.__name__}.{name}"
        if not isinstance(value, ModuleType):
            return reader(value)
    return None


def reader_imported(module: str, name: str, attributes: Collection[str]) -> str | None:
    """As `reader_in`, of code that says `from module import name`, or `import module`, and has these attributes somewhere.

    The module may not be loaded yet.
    """
    full = f"{module}.{name}" if name else module
    if full in _READERS:
        return full
    inside = f"{full if name else module.partition('.')[0]}."
    for each in sorted(_READERS):
        if each.startswith(inside) and each.rpartition(".")[2] in attributes:
            return each
    value = sys.modules.get(full)
    if value is None:
        owner = sys.modules.get(module)
        return None if owner is None else reader_in(owner, [name])
    return next((found for each in sorted(attributes) if (found := reader_in(value, [each])) is not None), None)


def _present(full_name: str) -> Any:
    """What a module has under a name now. MISSING if there is nothing."""
    module, _, name = full_name.rpartition(".")
    return getattr(sys.modules.get(module), "__dict__", {}).get(name, MISSING)
