"""The setting `ttl_rules`: how long entries are kept, by their model, tag, function, or the chain around their call."""

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

from nbcache.cache.settings_table import GivenTTLs
from nbcache.entry.durations_and_sizes import seconds

TTLRules = dict[str, float | None]

MODEL, TAG, FUNCTION, RUN = KINDS = ("model", "tag", "function", "run")
_EXAMPLE = '{"gpt-4o*": "7d", "tag:news": "1h", "function:judge": "30d", "run:draft": "none"}'


def checked_rules(given: GivenTTLs) -> TTLRules:
    """The seconds for each pattern, in the order in which they are given; None for `none`, no TTL. Raises ValueError."""
    if not isinstance(given, Mapping):
        raise ValueError(f"ttl_rules={given!r}: write {_EXAMPLE}")  # noqa: TRY004 - one error for wrong settings
    for pattern in given:
        _parsed(pattern)
    return {pattern: _checked_ttl(pattern, ttl) for pattern, ttl in given.items()}


def rules_from_text(text: str) -> Any:
    """The rules in the text of a JSON object. Raises ValueError."""
    with suppress(json.JSONDecodeError, RecursionError):
        return json.loads(text, object_pairs_hook=_without_repeats)
    raise ValueError(f"ttl_rules={text!r}: write a JSON object, such as {_EXAMPLE}")


def first_ttl(rules: TTLRules, otherwise: float | None, names: Callable[[str], Iterable[str]]) -> float | None:
    """The TTL of the first rule that matches, in seconds or None for no TTL; `otherwise` if none does.

    `names` returns the names that an entry has of a kind, one of `KINDS`.
    """
    for rule, ttl in rules.items():
        kind, pattern = _parsed(rule)
        if any(name == pattern or fnmatchcase(name, pattern) for name in names(kind)):
            return ttl
    return otherwise


def concern_runs(rules: TTLRules) -> bool:
    """Whether a rule is for the calls within a chain."""
    return any(_parsed(rule)[0] == RUN for rule in rules)


def _parsed(rule: str) -> tuple[str, str]:
    """The kind and the pattern of a rule. A colon may also be part of a model's name, as in `llama3:8b`. Raises ValueError."""
    if not isinstance(rule, str) or not rule.strip():
        raise ValueError(f"ttl_rules: {rule!r} is no pattern; write rules such as {_EXAMPLE}")
    kind, colon, pattern = (part.strip() for part in rule.partition(":"))
    if not colon or kind not in KINDS[1:]:
        if colon and (right := kind.lower().removesuffix("s")) in KINDS[1:]:
            raise ValueError(f"ttl_rules: {rule!r}: write {right}:{pattern}")
        return MODEL, rule.strip()
    if not pattern:
        raise ValueError(f"ttl_rules: {rule!r}: write a name or a pattern after the colon, such as {kind}:news")
    return kind, pattern


def _checked_ttl(pattern: str, ttl: float | str | timedelta | None) -> float | None:
    if ttl is None or (isinstance(ttl, str) and ttl.strip().lower() == "none"):
        return None
    try:
        return seconds(ttl, f"ttl_rules[{pattern!r}]")
    except ValueError as error:
        raise ValueError(f"{error}; or none, for no TTL") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"ttl_rules: {name!r} is there twice: write each rule once")
    return dict(pairs)
