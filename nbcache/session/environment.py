"""Settings in the environment: `NBCACHE_MODE` and its siblings."""

import os
from collections.abc import Callable
from typing import TypeVar

from nbcache.errors import warn_once
from nbcache.stores.location import REPORT

_PREFIX = "NBCACHE_"
SETTINGS = frozenset(
    {
        *("MODE", "TTL", "TAGS", "SCOPE", "STORE", "MAX_BYTES", "MAX_ENTRIES", "DIR", "NOTEBOOK", "CASSETTE"),
        REPORT.removeprefix(_PREFIX),
    }
)
# What goes by another name elsewhere, and what is set elsewhere only.
_MEANT = {
    "MAX_SIZE": "write NBCACHE_MAX_BYTES",
    **{
        mode.replace("-", "_").upper(): f"write NBCACHE_MODE={mode}"
        for mode in ("on", "off", "read-only", "refresh", "replay")
    },
    **{
        name.upper(): f"in a notebook type `%config NBCache.{name} = …`"
        for name in ("ignore", "exclude", "normalize", "should_store", "finish_reasons", "secrets", "prices", "footer")
    },
}
_CLOSE = 0.7  # how alike two names are, from 0 to 1, where one may be a slip for the other
_T = TypeVar("_T")


def from_environment(name: str, check: Callable[[str], _T]) -> _T | None:
    """The setting in the environment, checked; None where there is none. Raises ValueError, naming it."""
    value = os.environ.get(f"NBCACHE_{name}")
    if not value:
        return None
    try:
        return check(value)
    except ValueError as error:
        raise ValueError(f"NBCACHE_{name} in the environment: {error}") from None


def comma_separated(text: str) -> list[str]:
    """The words of a list with commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def misspelt() -> dict[str, str]:
    """The variables that look like settings and are none, each with what to write instead."""
    found: dict[str, str] = {}
    for variable in os.environ:
        name = variable.upper().replace("-", "_")
        for prefix in (_PREFIX, "NB_CACHE_", "NBCACHE"):
            if name.startswith(prefix):
                name = name.removeprefix(prefix)
                break
        else:
            continue
        if variable != _PREFIX + name or name not in SETTINGS:
            import difflib  # noqa: PLC0415 - hardly anybody's

            close = difflib.get_close_matches(name, SETTINGS, 1, _CLOSE)
            advice = _MEANT.get(name) or (f"write {_PREFIX}{close[0]}" if close else "")
            found |= {variable: advice} if advice else {}
    return found


def warn_of_misspelt() -> None:
    """Say once which variables of the environment look like settings of ours, and are none. Never raises."""
    for variable, advice in misspelt().items():
        warn_once(f"misspelt {variable}", f"nbcache: {variable} in the environment is no setting: {advice}")
