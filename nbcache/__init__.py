"""Notebook-scoped caching of LLM calls: run a notebook twice and pay once.

`%load_ext nbcache` in a notebook, or `nbcache.install()` in a script. What a magic does is a function here.
"""

import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

__version__ = "0.5.0"

__all__ = [
    "AmbiguousKeyError",
    "CassetteError",
    "Changed",
    "Cleared",
    "DamagedError",
    "EntryMeta",
    "Event",
    "Exported",
    "Imported",
    "Info",
    "MissingPackageError",
    "NbcacheError",
    "NbcacheWarning",
    "NotInstalledError",
    "NotStorableError",
    "NotebookCache",
    "Plan",
    "PlannedMiss",
    "Record",
    "ReplayMiss",
    "Stats",
    "StoreBusyError",
    "StoreError",
    "StoreReadOnlyError",
    "StoreRefusedError",
    "TooLargeError",
    "UnknownKeyError",
    "UnstableIdentityError",
    "UnsupportedError",
    "Warmed",
    "Why",
    "args",
    "awarm",
    "cache_key",
    "check",
    "clear",
    "entries",
    "evict",
    "expire",
    "export_cassette",
    "flush",
    "history",
    "import_cassette",
    "info",
    "install",
    "installed",
    "last",
    "memoize",
    "mode",
    "on",
    "panel",
    "plan",
    "register_api",
    "show",
    "stats",
    "tag",
    "uninstall",
    "untag",
    "warm",
    "why",
    "wrap",
]

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from nbcache import stores as stores
    from nbcache.cache.misses.explain import Why
    from nbcache.cache.modes import mode
    from nbcache.cache.notebook_cache import NotebookCache
    from nbcache.costs.callbacks import on
    from nbcache.costs.session_events import Event
    from nbcache.entry.edit import Changed
    from nbcache.entry.records import Cleared, EntryMeta, Info, Record
    from nbcache.entry.stats import Stats
    from nbcache.errors import (
        AmbiguousKeyError,
        CassetteError,
        DamagedError,
        MissingPackageError,
        NbcacheError,
        NbcacheWarning,
        NotInstalledError,
        NotStorableError,
        ReplayMiss,
        StoreBusyError,
        StoreError,
        StoreReadOnlyError,
        StoreRefusedError,
        TooLargeError,
        UnknownKeyError,
        UnstableIdentityError,
        UnsupportedError,
    )
    from nbcache.integrations.http.apis.registered import register_api
    from nbcache.keys.key import cache_key
    from nbcache.replay.export_import_results import Exported, Imported
    from nbcache.session.api import (
        check,
        clear,
        entries,
        evict,
        export_cassette,
        flush,
        history,
        import_cassette,
        info,
        last,
        plan,
        show,
        stats,
        why,
    )
    from nbcache.session.entry_changes import expire, tag, untag
    from nbcache.session.installation import install, installed, uninstall
    from nbcache.session.memoized_functions import memoize
    from nbcache.session.plans import Plan, PlannedMiss
    from nbcache.session.warming.results import Warmed
    from nbcache.session.warming.targets import args
    from nbcache.session.warming.warm import awarm, warm
    from nbcache.session.wrapping import wrap
    from nbcache.ui.jupyter.html import panel


_HOMES = {
    name: home
    for home, names in {
        "cache.misses.explain": ("Why",),
        "cache.notebook_cache": ("NotebookCache",),
        "cache.modes": ("mode",),
        "costs.callbacks": ("on",),
        "costs.session_events": ("Event",),
        "entry.edit": ("Changed",),
        "entry.records": ("Cleared", "EntryMeta", "Info", "Record"),
        "entry.stats": ("Stats",),
        "errors": (
            *(
                "AmbiguousKeyError",
                "CassetteError",
                "DamagedError",
                "MissingPackageError",
                "NbcacheError",
                "NbcacheWarning",
                "NotInstalledError",
            ),
            *(
                "NotStorableError",
                "ReplayMiss",
                "StoreBusyError",
                "StoreError",
                "StoreReadOnlyError",
                "StoreRefusedError",
            ),
            *("TooLargeError", "UnknownKeyError", "UnstableIdentityError", "UnsupportedError"),
        ),
        "integrations.http.apis.registered": ("register_api",),
        "keys.key": ("cache_key",),
        "replay.export_import_results": ("Exported", "Imported"),
        "session.memoized_functions": ("memoize",),
        "session.plans": ("Plan", "PlannedMiss"),
        "session.warming.results": ("Warmed",),
        "session.warming.targets": ("args",),
        "session.warming.warm": ("awarm", "warm"),
        "session.api": (
            *("check", "clear", "entries", "evict", "export_cassette", "flush", "history", "import_cassette", "info"),
            *("last", "plan", "show", "stats", "why"),
        ),
        "session.entry_changes": ("expire", "tag", "untag"),
        "session.installation": ("install", "installed", "uninstall"),
        "session.wrapping": ("wrap",),
        "ui.jupyter.html": ("panel",),
    }.items()
    for name in names
}


# Under which names and modules users find what nbcache has: how it is laid out inside is none of their business.

_T = TypeVar("_T")


def handed_on(package: str, homes: Mapping[str, str], moved: Mapping[str, str] | None = None) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose names live in the modules of it that `homes` says.

    Each module is loaded at the first use of a name, so that it costs nothing to import the package. `moved` are names
    of an earlier release, with the module and the name that they have now (`nbcache.codec.header:EntryHeader`): they go
    on for one release, with a DeprecationWarning.
    """

    def look_up(name: str) -> Any:
        if moved is not None and name in moved:
            module, _, now = moved[name].partition(":")
            warnings.warn(f"{package}.{name} is {module}.{now} now", DeprecationWarning, stacklevel=2)
            return getattr(import_module(module), now)
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = vars(sys.modules[package])[name] = getattr(import_module(f"{package}.{homes[name]}"), name)
        return value

    return look_up


def modules_when_used(package: str, names: Iterable[str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package that loads these modules of it when they are first used, as `package.module`."""
    modules = frozenset(names)

    def look_up(name: str) -> ModuleType:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return import_module(f"{package}.{name}")

    return look_up


def add_earlier_modules(modules: Mapping[str, Iterable[str]]) -> None:
    """Let modules of an earlier release go on that have names which are `nbcache`'s now: pickles have them."""
    for module, names in modules.items():
        earlier = sys.modules[module] = ModuleType(module, f"Names of {module}, which are nbcache's now.")
        earlier.__getattr__ = handed_on(module, {}, {name: f"nbcache:{name}" for name in names})  # type: ignore[method-assign]


def public_in(package: str) -> Callable[[_T], _T]:
    """Let a class or a function say that it is of `package`, in pickles, tracebacks and docs.

    A record's pickle has its values by the names of their fields: a release with other fields reads it, too.
    """

    def mark(thing: Any) -> Any:
        thing.__module__ = package
        if hasattr(thing, "__dataclass_fields__"):
            thing.__getstate__, thing.__setstate__ = _values_of, _set_values
        return thing

    return mark


def _values_of(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def _set_values(record: Any, state: dict[str, Any] | list[Any]) -> None:
    """Fill a record that is unpickled. 0.5 and before wrote the values alone, in the order of the fields."""
    from dataclasses import MISSING  # noqa: PLC0415 - only here, and `import nbcache` is to be light

    fields = record.__dataclass_fields__
    values = state if isinstance(state, dict) else dict(zip(fields, state, strict=False))
    for name, field in fields.items():
        default = field.default if field.default_factory is MISSING else field.default_factory()
        object.__setattr__(record, name, values.get(name, None if default is MISSING else default))


def __getattr__(name: str) -> Any:
    if name == "stores":
        return import_module("nbcache.stores")
    return _look_up(name)


_look_up = handed_on(__name__, _HOMES)
add_earlier_modules(  # 0.4's, in whose names there may be pickles
    {
        "nbcache.exports": ("Exported", "Imported"),
        "nbcache.misses": ("Why",),
        "nbcache.plans": ("Plan", "PlannedMiss"),
    }
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: "InteractiveShell") -> None:
    """`%load_ext nbcache`: turn the cache on for this notebook."""
    from nbcache.ui.jupyter.extension import load  # noqa: PLC0415 - IPython is only needed here

    load(shell)


def unload_ipython_extension(shell: "InteractiveShell") -> None:
    """`%unload_ext nbcache`: put everything back."""
    from nbcache.ui.jupyter.extension import unload  # noqa: PLC0415 - as above

    unload(shell)
