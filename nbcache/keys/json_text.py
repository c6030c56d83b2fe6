"""JSON, read and written, and copies of its values."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

import orjson

_CHANGEABLE = frozenset({dict, list, set})
_CONTAINERS = _CHANGEABLE | {tuple}
_STRICT = orjson.OPT_STRICT_INTEGER | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS
_MOST = 1_000  # containers whose places are remembered to copy them


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


def copied_later(value: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """A function that makes a deep copy of `value` as it is now, to be called once. Until then what is nested is kept as JSON.

    In the copy a tuple is a list, a member of an enumeration its value, and NaN None: it is for what providers report.
    """
    nested = {name: item for name, item in value.items() if type(item) in _CONTAINERS}
    try:
        written = orjson.dumps(nested, option=_STRICT)
    except TypeError:  # a value that is not JSON's
        copy = copy_plain(value)
        return lambda: copy
    outer = value.copy()
    for name in nested:
        outer[name] = None
    return lambda: outer | orjson.loads(written)


def copier(value: Any) -> Callable[[], Any]:
    """A function that returns what `copy_plain` makes of `value` as it is now, in less time."""
    if type(value) not in _CHANGEABLE:
        return partial(copy_plain, copy_plain(value))
    containers, parts = [value.copy()], []
    for around, container in enumerate(containers):  # which grows
        for name, item in _items(container):
            cls = type(item)
            if cls is tuple or around > _MOST:  # such as a value that holds itself
                return partial(copy_plain, copy_plain(value))
            if cls in _CHANGEABLE:
                container[name] = part = item.copy()
                parts.append((around, name, part.copy))
                containers.append(part)
    return partial(_copied, containers[0].copy, parts) if parts else containers[0].copy


def _items(container: Any) -> Iterable[tuple[Any, Any]]:
    if type(container) is dict:
        return container.items()
    return enumerate(container) if type(container) is list else ()


def _copied(copy: Callable[[], Any], parts: list[tuple[int, Any, Callable[[], Any]]]) -> Any:
    """A copy of a container and of those in it. Each of `parts` has the number of the container around it."""
    copies = [copy()]
    for around, name, copy_part in parts:
        copies[around][name] = part = copy_part()
        copies.append(part)
    return copies[0]
