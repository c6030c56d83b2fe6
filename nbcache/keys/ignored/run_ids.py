"""Settings that look new in each run: ids, times and counters. A call that holds one is paid each time."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# A UUID, a long number in hexadecimal, a ULID or KSUID, a time, seconds since the epoch.
_ID = re.compile(
    r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}|[0-9a-f]{16,64}|[0-9A-HJKMNP-TV-Z]{26}|[0-9A-Za-z]{27}"
    r"|\d{4}-\d\d-\d\d[T _-]?\d\d.?\d\d.*|\d{9,19}(\.\d+)?"
)
# What may be a counter, or end with one, where its name says so. Of headers and queries only digests are known, so their names
# tell all.
_COUNTED = re.compile(r"(.*[-_:/#. ])?([0-9a-f-]{8,36}|\d{1,19})")
_NAME = re.compile(
    r"(^|[-_.])(ids?|uuid|trace|span|session|run|request|correlation|time|timestamp|date|nonce|seq|count|counter|attempt|step|turn)"
    r"($|[-_.])",
    re.IGNORECASE,
)
# Another of these is another call: what is asked, by which model, with what at hand, and what went before.
_NEVER = re.compile(
    r"(^|\.)(model|endpoint|draw|class|code|.*seed|tools|functions|messages|input|contents|system|prompt|response_format"
    r"|previous_response_id|conversation|conversation_id|thread|thread_id|container|cached_content|cachedContent"
    r"|.*(model|file|store|base|assistant|deployment|voice|agent|adapter|guardrail)_?[iI]ds?|!.*)(\[\d+\])?(\.|$)"
)
# Where a call's identity has its headers and its query: those of the call, and of the client that makes it.
_SENT_APART = re.compile(
    r"^(?:client\.)?(?:!?(?P<headers>headers|default_headers|extra_headers)|!?(?:query|default_query|extra_query))(?:\[\d+\])?\.(?P<name>.+)$"
)


def paths_of_ids(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The settings that differ between two calls, as `ignore` names them; none where one of them is no id.

    `before` and `now` are the settings by their paths.
    """
    names = [name for name in dict.fromkeys([*before, *now]) if before.get(name) != now.get(name)]
    if not all(name in before and name in now and _is_id(name, before[name], now[name]) for name in names):
        return []
    return list(dict.fromkeys(map(_path, names)))


def _path(name: str) -> str:
    apart = _SENT_APART.match(name)
    return name if apart is None else f"{'headers' if apart['headers'] else 'query'}.{apart['name']}"


def advice(paths: Sequence[str], ignored: Iterable[str] = ()) -> str:
    """What to type so that these don't count, nor what is `ignored` already."""
    told = " and ".join(f"`{path}`" for path in paths)
    one = len(paths) == 1
    return (
        f"{told} {'looks' if one else 'look'} new in each run, so that each run pays. If no answer depends on "
        f"{'it' if one else 'them'}: %config NBCache.ignore = {[*sorted(ignored), *paths]!r}"
    )


def _is_id(name: str, before: Any, now: Any) -> bool:
    is_named_so = _NAME.search(name) is not None
    if apart := _SENT_APART.match(name):  # its value is a digest
        return is_named_so and _NEVER.search(apart["name"]) is None
    if _NEVER.search(name) or isinstance(now, bool):
        return False
    form = _COUNTED if is_named_so else _ID
    return all(isinstance(value, str | int | float) and form.fullmatch(str(value)) for value in (before, now))
