"""Says of a filter that selects nothing which of its values no entry has, and which values there are."""

from collections.abc import Mapping
from typing import Any

from nbcache.entry.globs import matches
from nbcache.entry.records import Facets
from nbcache.errors import one_line

_NAMES = ("model", "client", "tag", "status", "kind", "function", "cell")
_PATTERNS = {"model", "function"}
_LISTED = 8


def unknown_values(which: Mapping[str, Any], facets: Facets, owner: str | None) -> str:
    """What to write in place of the values of `which` that no entry has. Empty if entries have them, or there are none.

    `which` has the filters by name, and `facets` the values of the entries of `owner`, or of all.
    """
    lines = [
        _line(name, value, getattr(facets, name), owner)
        for name in _NAMES
        if (value := which.get(name)) is not None and not _is_known(name, value, getattr(facets, name))
    ]
    return "\n".join(lines) if facets.status else ""


def _is_known(name: str, value: str, known: tuple[str, ...]) -> bool:
    return value in known or (name in _PATTERNS and any(matches(value, each) for each in known))


def _line(name: str, value: str, known: tuple[str, ...], owner: str | None) -> str:
    import difflib  # noqa: PLC0415 - most filters select something

    whose = "" if owner is None else f" of {one_line(owner)}"
    if not known:
        return f"no entry{whose} has a {name}"
    near = {each.lower(): each for each in known}
    close = difflib.get_close_matches(value.lower(), near, 1)
    shown = ", ".join(map(one_line, known[:_LISTED])) + (", …" if len(known) > _LISTED else "")
    advice = f"; did you mean {one_line(near[close[0]])}?" if close else ""
    return f"no entry{whose} has the {name} {one_line(value)!r}; there {'is' if len(known) == 1 else 'are'}: {shown}{advice}"
