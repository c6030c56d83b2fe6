"""Settings that look new in each run: ids, times and counters. A call that contains one is never a hit."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# A UUID, a long number in hexadecimal, a ULID or KSUID, a time, seconds since the epoch.
_ID = re.compile(
    r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}|[0-9a-f]{16,64}|[0-9A-HJKMNP-TV-Z]{26}|[0-9A-Za-z]{27}"
    r"|\d{4}-\d\d-\d\d[T _-]?\d\d.?\d\d.*|\d{9,19}(\.\d+)?"
)
# A counter, or a text that ends with one. Only a setting with such a name is taken for a counter. Of headers and queries only
# digests are known, so they are judged by their names alone.
_COUNTER = re.compile(r"(.*[-_:/#. ])?([0-9a-f-]{8,36}|\d{1,19})")
_NAME = re.compile(
    r"(^|[-_.])(ids?|uuid|trace|span|session|run|job|request|correlation|time|timestamp|date|nonce|seq|count|counter|attempt|step|turn)"
    r"($|[-_.])",
    re.IGNORECASE,
)
# Settings that are never ids of a run: they name the model, the prompt, tools, files, or an earlier conversation.
_NO_RUN_ID = re.compile(
    r"(^|\.)(model|endpoint|draw|class|code|.*seed|tools|functions|messages|input|contents|system|prompt|response_format"
    r"|previous_response_id|conversation|conversation_id|thread|thread_id|container|cached_content|cachedContent"
    r"|.*(model|file|store|base|assistant|deployment|voice|agent|adapter|guardrail)_?[iI]ds?|!.*)(\[\d+\])?(\.|$)"
)
# Where a call's identity has its headers and its query: those of the call, and those of its client. A request that was built
# by LangChain's class has them as "!headers" and "!query", and its canonical form adds another "!".
_HEADER_OR_QUERY = re.compile(
    r"^(?:(?:client|model_kwargs|client_kwargs|sync_client_kwargs|async_client_kwargs|client_args)\.)?!{0,2}"
    r"(?:(?P<headers>(?:default_|extra_|additional_)?headers)|(?:default_|extra_)?query)(?:\[\d+\])?\.(?P<name>.+)$"
)


def typed_path(name: str) -> str:
    """The path that a user types for the setting `name` of an identity: `headers.x-run` for a header, `query.run` for a query."""
    apart = _HEADER_OR_QUERY.match(name)
    return name if apart is None else f"{'headers' if apart['headers'] else 'query'}.{apart['name']}"


def paths_of_ids(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The paths of the settings that differ between two calls, if they are all ids of a run. Otherwise an empty list.

    `before` and `now` are the settings of the two calls, by the path that a user types.
    """
    names = [name for name in dict.fromkeys([*before, *now]) if before.get(name) != now.get(name)]
    if not all(name in before and name in now and _is_id(name, before[name], now[name]) for name in names):
        return []
    return names


def advice(paths: Sequence[str], ignored: Iterable[str] = ()) -> str:
    """A text that says what to type so that these paths are ignored, besides those that are `ignored` already."""
    settings = " and ".join(f"`{path}`" for path in paths)
    one = len(paths) == 1
    return (
        f"{settings} {'looks' if one else 'look'} new in each run, so that each run pays. If no answer depends on "
        f"{'it' if one else 'them'}: %config NBCache.ignore = {[*sorted(ignored), *paths]!r}"
    )


def _is_id(name: str, before: Any, now: Any) -> bool:
    has_id_name = _NAME.search(name) is not None
    if apart := _HEADER_OR_QUERY.match(name):  # its value is a digest
        return has_id_name and _NO_RUN_ID.search(apart["name"]) is None
    if _NO_RUN_ID.search(name) or isinstance(now, bool):
        return False
    form = _COUNTER if has_id_name else _ID
    return all(isinstance(value, str | int | float) and form.fullmatch(str(value)) for value in (before, now))
