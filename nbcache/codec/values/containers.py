"""Collections of other values, besides lists, tuples and plain dicts."""

import builtins
import json
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbcache.codec.values.plain_forms import Reader, Writer

# What may make the missing items of a defaultdict: nothing of the user's is called.
_FACTORIES: dict[str, type] = {
    name: getattr(builtins, name)
    for name in (
        "bool",
        "bytearray",
        "bytes",
        "complex",
        "dict",
        "float",
        "frozenset",
        "int",
        "list",
        "set",
        "str",
        "tuple",
    )
} | {"Counter": Counter, "OrderedDict": OrderedDict, "deque": deque}
_NAMES = {cls: name for name, cls in _FACTORIES.items()}


def _plain_set(value: AbstractSet[Any], writer: "Writer") -> dict[str, Any]:
    """The items in an order that is the same in each process."""
    return {"items": sorted((writer.part(item, "{…}") for item in value), key=_written)}


def _written(form: Any) -> tuple[str, str]:
    return type(form).__name__, json.dumps(form, default=repr)


def _plain_defaultdict(value: "defaultdict[Any, Any]", writer: "Writer") -> dict[str, Any]:
    factory: Any = value.default_factory
    if factory is not None and factory not in _NAMES:
        raise writer.refused("a default_factory that is not a class of Python's own")
    return {"factory": None if factory is None else _NAMES[factory], "items": writer.pairs(value)}


def _defaultdict(form: Mapping[str, Any], reader: "Reader") -> "defaultdict[Any, Any]":
    factory = None if form["factory"] is None else _FACTORIES[form["factory"]]
    return defaultdict(factory, reader.pairs(form["items"]))


def _plain_slice(value: slice, writer: "Writer") -> dict[str, Any]:
    return {"args": [writer.part(getattr(value, name), f".{name}") for name in ("start", "stop", "step")]}


def _counter(form: Mapping[str, Any], reader: "Reader") -> "Counter[Any]":
    counter: Counter[Any] = Counter()
    dict.update(counter, reader.pairs(form["items"]))
    return counter


def _pairs(value: Mapping[Any, Any], writer: "Writer") -> dict[str, Any]:
    return {"items": writer.pairs(value)}


KINDS: dict[str, tuple[Callable[[Any, Any], dict[str, Any]], Callable[[Any, Any], Any]]] = {
    "dict": (_pairs, lambda form, reader: dict(reader.pairs(form["items"]))),
    "OrderedDict": (_pairs, lambda form, reader: OrderedDict(reader.pairs(form["items"]))),
    "Counter": (_pairs, _counter),
    "defaultdict": (_plain_defaultdict, _defaultdict),
    "deque": (
        lambda value, writer: {"items": writer.items(value), "maxlen": value.maxlen},
        lambda form, reader: deque(reader.items(form["items"]), form["maxlen"]),
    ),
    "set": (_plain_set, lambda form, reader: set(reader.items(form["items"]))),
    "frozenset": (_plain_set, lambda form, reader: frozenset(reader.items(form["items"]))),
    "slice": (_plain_slice, lambda form, reader: slice(*reader.items(form["args"]))),
    "bytearray": (lambda value, _: {"data": bytes(value)}, lambda form, _: bytearray(form["data"])),
}
KIND_OF: dict[type, str] = {
    dict: "dict",
    OrderedDict: "OrderedDict",
    Counter: "Counter",
    defaultdict: "defaultdict",
    deque: "deque",
    set: "set",
    frozenset: "frozenset",
    slice: "slice",
    bytearray: "bytearray",
}
