"""JSON, read and written, and copies of its values."""

import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
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
    if isinstance(text, bytes):
        with suppress(ValueError, TypeError):  # no JSON, or what orjson can't read or write
            value = orjson.loads(text)
            if orjson.dumps(value) == text:  # a canonical form, and nothing in it was lost
                return value
    elif not text.startswith("\ufeff"):  # which json.loads refuses
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
    """A function that returns what `copy_plain` makes of `value` as it is now, in less time.

    What is nested in a dict is kept as JSON, if it comes back from that as it is.
    """
    copy = copy_plain(value) if type(value) is not dict else value.copy()
    if type(copy) is dict and (inner := {name: item for name, item in copy.items() if type(item) in _CONTAINERS}):
        with suppress(TypeError):  # orjson refuses a value
            written = orjson.dumps(inner)
            if orjson.loads(written) == inner:
                return partial(_completed, {**copy, **dict.fromkeys(inner)}, written)
        return partial(copy_plain, copy_plain(copy))
    return copy.copy if type(copy) is dict else partial(copy_plain, copy)


def _completed(outer: dict[str, Any], inner: bytes) -> dict[str, Any]:
    copy = outer.copy()
    copy.update(orjson.loads(inner))
    return copy
