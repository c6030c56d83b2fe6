"""What is on, and the Python API over it.

`installation.py` installs the cache and removes it, with the settings of `environment.py`.

The functions that users call are in `api.py`, those that change tags and expiry in `entry_changes.py`, and those that return
DataFrames in `dataframes.py`. `memoized_functions.py` has `memoize`, and `wrapping.py` has `wrap`. `warming/` has `warm`, which
makes the calls for many inputs, and `progress_line.py` the line that shows how far it is. `plans.py` says what the calls would
cost now.

Beside these: `worker_processes.py` lets worker processes join, `placeholder_keys.py` sets API keys for `replay`,
`network_block.py` blocks the network for pytest, and `repeated_calls.py` tells of calls that shared an answer.
"""

from typing import TYPE_CHECKING

from nbcache import handed_on

if TYPE_CHECKING:
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
    from nbcache.session.installation import (
        end,
        install,
        installed,
        is_installed,
        join_parent,
        reinstall,
        take_back,
        uninstall,
    )
    from nbcache.session.repeated_calls import tell_repeats
    from nbcache.session.wrapping import wrap

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
_INSTALLATION = (
    "end",
    "install",
    "installed",
    "is_installed",
    "join_parent",
    "reinstall",
    "take_back",
    "uninstall",
)
__getattr__ = handed_on(
    "nbcache.session",
    {name: "installation" if name in _INSTALLATION else "api" for name in __all__}
    | {"tell_repeats": "repeated_calls", "wrap": "wrapping"},
    {"listen": "nbcache.concurrency.change_listeners:listen"},
)
