"""JSON, read and written, and copies of its values."""

import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson

_CONTAINERS = frozenset({dict, list, tuple, set})


def parsed(text: str | bytes) -> Any:
    """Read JSON. Raises ValueError."""
    try:
        return orjson.loads(text)
    except ValueError:  # a lone surrogate, or NaN
        return json.loads(text)


def parsed_strictly(text: str | bytes) -> Any:
    """Read JSON, but refuse an object with a name twice. Raises ValueError: a person would read the first value, Python the last."""
    if isinstance(text, str) and not text.startswith("\ufeff"):  # which json.loads refuses
        return _decode_strictly(text)
    return json.loads(text, object_pairs_hook=_without_duplicates)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"it has {twice!r} twice in one object")
    return values


def written_json(value: Any) -> bytes:
    """Write JSON as the canonical forms need it."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return plain_json(value)


def plain_json(value: Any) -> bytes:
    """Write JSON by the standard library, which keeps NaN and integers over 64 bits."""
    return json.dumps(value, separators=(",", ":")).encode()


_decode_strictly = json.JSONDecoder(object_pairs_hook=_without_duplicates).decode  # to make one takes 3 µs


def copy_plain(value: Any) -> Any:
    """A deep copy of lists, dicts, tuples and sets. Other values are shared."""
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


def copier(value: Any) -> Callable[[], Any]:
    """A function that returns what `copy_plain` makes of `value`, in half the time. The value must not be changed any more."""
    cls = type(value)
    if cls not in _CONTAINERS:
        return lambda: value
    if cls is tuple or cls is set:
        return partial(copy_plain, value)
    items = value.items() if cls is dict else enumerate(value)
    inner = [(place, copier(item)) for place, item in items if type(item) in _CONTAINERS]
    copied: Callable[[], Any] = value.copy
    return partial(_copied_deeply, copied, inner) if inner else copied


def _copied_deeply(copied: Callable[[], Any], inner: list[tuple[Any, Callable[[], Any]]]) -> Any:
    """A copy, and in it copies of the containers at these places."""
    copy = copied()
    for place, copied_item in inner:
        copy[place] = copied_item()
    return copy
