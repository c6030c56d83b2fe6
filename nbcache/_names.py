"""How a package hands on names that live in its modules."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def handed_on(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose names live in the modules of it that `homes` says.

    Each module is loaded at the first use of a name, so that it costs nothing to import the package.
    """

    def look_up(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = vars(sys.modules[package])[name] = getattr(import_module(f"{package}.{homes[name]}"), name)
        return value

    return look_up
