"""The name of a function's or a class's module: in a worker process that was started afresh, a script has another than in its parent."""

from types import FunctionType
from typing import Any

_MAIN, _MAIN_IN_A_WORKER = "__main__", "__mp_main__"


def module_name(module: Any) -> str:
    """The name of a module, as it is in the process that the user started."""
    return _MAIN if module == _MAIN_IN_A_WORKER else str(module)


def function_name(function: FunctionType) -> str:
    """The module and the qualified name of a function."""
    return f"{module_name(function.__globals__.get('__name__'))}.{function.__qualname__}"


def class_name(cls: type) -> str:
    """The module and the qualified name of a class."""
    return f"{module_name(cls.__module__)}.{cls.__qualname__}"
