"""Notebook-scoped caching of LLM calls: run a notebook twice and pay once.

`%load_ext nbcache` in a notebook, or `nbcache.install()` in a script. What a magic does is a function here.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.5.0"

__all__ = [
    "AmbiguousKeyError",
    "CassetteError",
    "NbcacheError",
    "NbcacheWarning",
    "NotInstalledError",
    "NotebookCache",
    "ReplayMiss",
    "StoreError",
    "UnknownKeyError",
    "UnstableIdentityError",
    "cache_key",
    "check",
    "clear",
    "entries",
    "evict",
    "export_cassette",
    "history",
    "import_cassette",
    "info",
    "install",
    "installed",
    "last",
    "mode",
    "panel",
    "plan",
    "show",
    "stats",
    "uninstall",
    "why",
    "wrap",
]

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from nbcache.cache import NotebookCache
    from nbcache.errors import (
        AmbiguousKeyError,
        CassetteError,
        NbcacheError,
        NbcacheWarning,
        NotInstalledError,
        ReplayMiss,
        StoreError,
        UnknownKeyError,
        UnstableIdentityError,
    )
    from nbcache.keys import cache_key
    from nbcache.modes import mode
    from nbcache.session import (
        check,
        clear,
        entries,
        evict,
        export_cassette,
        history,
        import_cassette,
        info,
        install,
        installed,
        last,
        plan,
        show,
        stats,
        uninstall,
        why,
        wrap,
    )
    from nbcache.ui.show import panel

# Where each name lives: loaded at its first use, so that `import nbcache` costs nothing.
_HOMES = {
    name: home
    for home, names in {
        "cache": ("NotebookCache",),
        "errors": (
            *("AmbiguousKeyError", "NbcacheError", "NbcacheWarning", "NotInstalledError", "StoreError"),
            *("UnknownKeyError", "UnstableIdentityError", "ReplayMiss", "CassetteError"),
        ),
        "keys": ("cache_key",),
        "modes": ("mode",),
        "session": (
            *("check", "clear", "entries", "evict", "export_cassette", "history", "import_cassette", "info", "install"),
            *("installed", "last", "plan", "show", "stats", "uninstall", "why", "wrap"),
        ),
        "ui.show": ("panel",),
    }.items()
    for name in names
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nbcache' has no attribute {name!r}")
    value = getattr(import_module(f"nbcache.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: "InteractiveShell") -> None:
    """`%load_ext nbcache`: turn the cache on for this notebook."""
    from nbcache.ui.magics import load  # noqa: PLC0415 - IPython is only needed here

    load(shell)


def unload_ipython_extension(shell: "InteractiveShell") -> None:
    """`%unload_ext nbcache`: put everything back."""
    from nbcache.ui.magics import unload  # noqa: PLC0415 - as above

    unload(shell)
