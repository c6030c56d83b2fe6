"""JSON, read and written, and copies of its values."""

import json
from collections import Counter
from typing import Any

import orjson

_CONTAINERS = frozenset({dict, list, tuple, set})


def parsed(text: str | bytes) -> Any:
    """The value that JSON stands for. Raises ValueError."""
    try:
        return orjson.loads(text)
    except ValueError:  # half of an emoji, or NaN
        return json.loads(text)


def parsed_strictly(text: str | bytes) -> Any:
    """The same, of objects that have no name twice: who reads one would take the first, JSON takes the last."""
    return json.loads(text, object_pairs_hook=_named_once)


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told = dict(pairs)
    if len(told) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"it has {twice!r} twice in one object")
    return told


def written_json(value: Any) -> bytes:
    """`value` as the canonical forms are written."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return plain_json(value)


def plain_json(value: Any) -> bytes:
    """The same by the standard library alone, with NaN and long integers as they are."""
    return json.dumps(value, separators=(",", ":")).encode()


def copy_plain(value: Any) -> Any:
    """A copy of lists and dicts all the way down; what can't be changed is shared."""
    cls = type(value)
    if cls is dict:
        copy = value.copy()
        for name, item in value.items():
            if type(item) in _CONTAINERS:
                copy[name] = copy_plain(item)
        return copy
    if cls is list:
        return [copy_plain(item) if type(item) in _CONTAINERS else item for item in value]
    if cls is tuple:
        return tuple(map(copy_plain, value))
    return set(value) if cls is set else value
