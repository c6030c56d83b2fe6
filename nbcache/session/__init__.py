"""What is on, and the Python API over it."""

from typing import TYPE_CHECKING

from nbcache._names import handed_on

if TYPE_CHECKING:
    from nbcache.session.session import (
        check,
        clear,
        end,
        entries,
        evict,
        export_cassette,
        history,
        import_cassette,
        info,
        install,
        installed,
        is_installed,
        join_parent,
        last,
        plan,
        reinstall,
        show,
        stats,
        take_back,
        tell_repeats,
        uninstall,
        why,
        wrap,
    )

__all__ = [
    "check",
    "clear",
    "end",
    "entries",
    "evict",
    "export_cassette",
    "history",
    "import_cassette",
    "info",
    "install",
    "installed",
    "is_installed",
    "join_parent",
    "last",
    "plan",
    "reinstall",
    "show",
    "stats",
    "take_back",
    "tell_repeats",
    "uninstall",
    "why",
    "wrap",
]
__getattr__ = handed_on(
    "nbcache.session", dict.fromkeys(__all__, "session"), {"listen": "nbcache.concurrency.change_listeners:listen"}
)
