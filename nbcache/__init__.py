"""Notebook-scoped caching of LLM calls: run a notebook twice and pay once.

`%load_ext nbcache` in a notebook, or `nbcache.install()` in a script. What a magic does is a function here.
"""

from typing import TYPE_CHECKING

from nbcache._names import add_earlier_modules, handed_on

__version__ = "0.5.0"

__all__ = [
    "AmbiguousKeyError",
    "CassetteError",
    "Cleared",
    "DamagedError",
    "EntryMeta",
    "Exported",
    "Imported",
    "Info",
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
    "Why",
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

    from nbcache.cache.misses.explain import Why
    from nbcache.cache.modes import mode
    from nbcache.cache.notebook_cache import NotebookCache
    from nbcache.entry.records import Cleared, EntryMeta, Info, Record, Stats
    from nbcache.errors import (
        AmbiguousKeyError,
        CassetteError,
        DamagedError,
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
    from nbcache.keys.key import cache_key
    from nbcache.replay.export_import_results import Exported, Imported
    from nbcache.session.api import (
        check,
        clear,
        entries,
        evict,
        export_cassette,
        history,
        import_cassette,
        info,
        last,
        plan,
        show,
        stats,
        why,
    )
    from nbcache.session.plans import Plan, PlannedMiss
    from nbcache.session.session import install, installed, uninstall, wrap
    from nbcache.ui.jupyter.html import panel


_HOMES = {
    name: home
    for home, names in {
        "cache.misses.explain": ("Why",),
        "cache.notebook_cache": ("NotebookCache",),
        "cache.modes": ("mode",),
        "entry.records": ("Cleared", "EntryMeta", "Info", "Record", "Stats"),
        "errors": (
            *(
                "AmbiguousKeyError",
                "CassetteError",
                "DamagedError",
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
        "keys.key": ("cache_key",),
        "replay.export_import_results": ("Exported", "Imported"),
        "session.plans": ("Plan", "PlannedMiss"),
        "session.api": (
            *("check", "clear", "entries", "evict", "export_cassette", "history", "import_cassette", "info", "last"),
            *("plan", "show", "stats", "why"),
        ),
        "session.session": ("install", "installed", "uninstall", "wrap"),
        "ui.jupyter.html": ("panel",),
    }.items()
    for name in names
}


__getattr__ = handed_on(__name__, _HOMES)
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
    from nbcache.ui.jupyter.magics import load  # noqa: PLC0415 - IPython is only needed here

    load(shell)


def unload_ipython_extension(shell: "InteractiveShell") -> None:
    """`%unload_ext nbcache`: put everything back."""
    from nbcache.ui.jupyter.magics import unload  # noqa: PLC0415 - as above

    unload(shell)
