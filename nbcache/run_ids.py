"""Settings that look new in each run: ids, times and counters. A call that holds one is paid each time."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

# A UUID, a long number in hexadecimal, a ULID or KSUID, a time, seconds since the epoch.
_ID = re.compile(
    r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}|[0-9a-f]{16,64}|[0-9A-HJKMNP-TV-Z]{26}|[0-9A-Za-z]{27}"
    r"|\d{4}-\d\d-\d\d[T _-]?\d\d.?\d\d.*|\d{9,19}(\.\d+)?"
)
# What may be a counter, or end with one, where its name says so. Of a header only a digest is known, so its name tells all.
_COUNTED = re.compile(r"(.*[-_:/#. ])?([0-9a-f-]{8,36}|\d{1,19})")
_NAME = re.compile(
    r"(^|[-_.])(ids?|uuid|trace|span|session|run|request|correlation|time|timestamp|date|nonce|seq|count|counter|attempt|step|turn)"
    r"($|[-_.])",
    re.IGNORECASE,
)
_NEVER = ("model", "endpoint", "draw", "class", "seed")  # another of these is another call
# Where a call's identity has its headers: those of the call, and of the client that makes it.
_HEADER = re.compile(r"^(?:client\.)?(?:!?headers|default_headers|extra_headers)(?:\[\d+\])?\.(.+)$")


def paths_of_ids(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The settings that differ between two calls, as `ignore` names them; none where one of them is no id.

    `before` and `now` are the settings by their paths.
    """
    names = [name for name in dict.fromkeys([*before, *now]) if before.get(name) != now.get(name)]
    if not all(name in before and name in now and _is_id(name, before[name], now[name]) for name in names):
        return []
    return list(dict.fromkeys(_HEADER.sub(r"headers.\1", name) for name in names))


def advice(paths: Sequence[str]) -> str:
    """What to type so that these don't count."""
    told = " and ".join(f"`{path}`" for path in paths)
    one = len(paths) == 1
    return (
        f"{told} {'looks' if one else 'look'} new in each run, so that each run pays. If no answer depends on "
        f"{'it' if one else 'them'}: %config NBCache.ignore = {[*paths]!r}"
    )


def _is_id(name: str, before: Any, now: Any) -> bool:
    is_named_so = _NAME.search(name) is not None
    if _HEADER.match(name):
        return is_named_so
    if name.partition(".")[0] in _NEVER or isinstance(now, bool):
        return False
    form = _COUNTED if is_named_so else _ID
    return all(isinstance(value, str | int | float) and form.fullmatch(str(value)) for value in (before, now))
