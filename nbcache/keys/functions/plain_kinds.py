"""The canonical forms of Python's own kinds of values, a function for each.

Each reads an object of a subclass, too, by the methods of the kind itself: those of the subclass are the user's.
"""

import functools
import hashlib
import math
import re
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from types import FunctionType, MappingProxyType, MethodType, SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from nbcache.keys.usercode.not_canonical import NotCanonicalError

if TYPE_CHECKING:
    from nbcache.keys.functions.values import Values

Write = Callable[["Values", Any], Any]
_SHORT = 64  # bytes that are written as they are
_factory: Any = vars(defaultdict)["default_factory"].__get__
_offset: Any = vars(timezone)["__getinitargs__"]
_maxlen: Any = vars(deque)["maxlen"].__get__


def digest_of(content: bytes | bytearray | memoryview) -> str:
    """The digest of some bytes that counts in their place."""
    return hashlib.sha256(content).hexdigest()[:32]


def _float(values: "Values", value: float) -> Any:
    number = float.__float__(value)
    return number if math.isfinite(number) else {"!float": "nan" if number != number else repr(number)}  # noqa: PLR0124


def _text(values: "Values", value: str) -> Any:
    return values.form(str.__str__(value))


def _int(values: "Values", value: int) -> Any:
    return values.form(int.__int__(value))


def _complex(values: "Values", value: complex) -> Any:
    number = complex.__complex__(value)
    return {"!complex": [_float(values, number.real), _float(values, number.imag)]}


def bytes_form(content: bytes | bytearray | memoryview) -> Any:
    """The form of some bytes: short ones as they are."""
    return content.hex() if len(content) <= _SHORT else [len(content), digest_of(content)]


def _bytes(values: "Values", value: bytes) -> Any:
    return {"!bytes": bytes_form(bytes.__getitem__(value, slice(None)))}


def _bytearray(values: "Values", value: bytearray) -> Any:
    return {"!bytearray": bytes_form(bytearray.__getitem__(value, slice(None)))}


def _memoryview(values: "Values", value: memoryview) -> Any:
    content = value.cast("B") if value.c_contiguous and value.nbytes else value.tobytes()
    return {"!memoryview": [value.format, [*(value.shape or ())], value.readonly, bytes_form(content)]}


def _list(values: "Values", value: list[Any]) -> Any:
    return values.nested(_items_of_list, value)


def _items_of_list(values: "Values", value: list[Any]) -> Any:
    return values.items(list.__getitem__(value, slice(None)) if type(value) is not list else value)


def _tuple(values: "Values", value: tuple[Any, ...]) -> Any:
    return values.nested(_items_of_tuple, value)


def _items_of_tuple(values: "Values", value: tuple[Any, ...]) -> Any:
    return {"!tuple": values.items(tuple.__getitem__(value, slice(None)))}


def _dict(values: "Values", value: dict[Any, Any]) -> Any:
    return values.nested(_items_of_dict, value)


def _items_of_dict(values: "Values", value: dict[Any, Any]) -> Any:
    pairs = [*dict.items(value)]
    if not values.is_exact and all(type(key) is str and not key.startswith("!") for key, _ in pairs):
        form = values.form
        return {key: form(item) for key, item in pairs}
    return {"!dict": values.pairs(pairs)}


def _set(values: "Values", value: set[Any]) -> Any:
    return {"!set": values.nested(_items_of_set, value)}


def _frozenset(values: "Values", value: frozenset[Any]) -> Any:
    return {"!frozenset": values.nested(_items_of_set, value)}


def _items_of_set(values: "Values", value: set[Any] | frozenset[Any]) -> Any:
    cls: Any = set if isinstance(value, set) else frozenset
    return values.unordered([*cls.__iter__(value)])


def _range(values: "Values", value: range) -> Any:
    return {"!range": values.items([value.start, value.stop, value.step])}


def _slice(values: "Values", value: slice) -> Any:
    return {"!slice": values.items([value.start, value.stop, value.step])}


def _singleton(values: "Values", value: Any) -> Any:
    return {"!singleton": repr(value)}


def _ordered(values: "Values", value: OrderedDict[Any, Any]) -> Any:
    return {"!OrderedDict": values.nested(_pairs_of, [*OrderedDict.items(value)])}


def _counter(values: "Values", value: Counter[Any]) -> Any:
    return {"!Counter": values.nested(_pairs_of, [*dict.items(value)])}


def _default(values: "Values", value: defaultdict[Any, Any]) -> Any:
    factory = _factory(value)
    return {"!defaultdict": [values.form(factory), values.nested(_pairs_of, [*dict.items(value)])]}


def _proxy(values: "Values", value: MappingProxyType[Any, Any]) -> Any:
    return {"!mappingproxy": values.nested(_pairs_of, [*value.items()])}


def _pairs_of(values: "Values", value: list[tuple[Any, Any]]) -> Any:
    return values.pairs(value)


def _deque(values: "Values", value: deque[Any]) -> Any:
    return {"!deque": [_maxlen(value), values.nested(_items_of_list, [*deque.__iter__(value)])]}


def _namespace(values: "Values", value: SimpleNamespace) -> Any:
    return {"!SimpleNamespace": values.attributes(value.__dict__)}


def _date(values: "Values", value: date) -> Any:
    return {"!date": date.isoformat(value)}


def _datetime(values: "Values", value: datetime) -> Any:
    text = datetime.isoformat(datetime.replace(value, tzinfo=None))
    return {"!datetime": [text, value.fold, values.form(value.tzinfo)]}


def _time(values: "Values", value: time) -> Any:
    return {"!time": [time.isoformat(time.replace(value, tzinfo=None)), value.fold, values.form(value.tzinfo)]}


def _timedelta(values: "Values", value: timedelta) -> Any:
    return {"!timedelta": [value.days, value.seconds, value.microseconds]}


def _timezone(values: "Values", value: timezone) -> Any:
    return {"!timezone": values.items(_offset(value))}


def _zone(values: "Values", value: ZoneInfo) -> Any:
    if value.key is None:
        raise NotCanonicalError("a ZoneInfo without a key")
    return {"!ZoneInfo": value.key}


def _decimal(values: "Values", value: Decimal) -> Any:
    return {"!Decimal": Decimal.__str__(value)}


def _fraction(values: "Values", value: Fraction) -> Any:
    return {"!Fraction": [hex(value.numerator), hex(value.denominator)]}


def _uuid(values: "Values", value: UUID) -> Any:
    return {"!UUID": hex(value.int)}


def _path(values: "Values", value: Any) -> Any:
    text = str(value)
    return {"!path": [type(value).__name__, values.form(text)]}


def _pattern(values: "Values", value: re.Pattern[Any]) -> Any:
    return {"!pattern": [values.form(value.pattern), value.flags]}


def _class(values: "Values", value: type) -> Any:
    return {"!class": values.name(value)}


def _function(values: "Values", value: FunctionType) -> Any:
    from nbcache.keys.functions.objects import function_form  # noqa: PLC0415 - most arguments are plain

    return function_form(values, value)


def _method(values: "Values", value: MethodType) -> Any:
    return {"!method": [values.form(value.__func__), values.form(value.__self__)]}


def _partial(values: "Values", value: functools.partial[Any]) -> Any:
    parts = [value.func, value.args, value.keywords, value.__dict__]
    return {"!partial": [values.form(part) for part in parts]}


KINDS: dict[type, Write] = {
    float: _float,
    complex: _complex,
    bytes: _bytes,
    bytearray: _bytearray,
    memoryview: _memoryview,
    list: _list,
    tuple: _tuple,
    dict: _dict,
    set: _set,
    frozenset: _frozenset,
    range: _range,
    slice: _slice,
    type(...): _singleton,
    type(NotImplemented): _singleton,
    OrderedDict: _ordered,
    Counter: _counter,
    defaultdict: _default,
    MappingProxyType: _proxy,
    deque: _deque,
    SimpleNamespace: _namespace,
    datetime: _datetime,
    date: _date,
    time: _time,
    timedelta: _timedelta,
    timezone: _timezone,
    ZoneInfo: _zone,
    Decimal: _decimal,
    Fraction: _fraction,
    UUID: _uuid,
    **dict.fromkeys((PosixPath, WindowsPath, PurePosixPath, PureWindowsPath), _path),
    re.Pattern: _pattern,
    type: _class,
    FunctionType: _function,
    MethodType: _method,
    functools.partial: _partial,
}
# What an object of a subclass holds as one of these does. A subclass of `bool` can't be.
CONTENT: dict[type, Write] = {
    str: _text,
    int: _int,
    **{cls: write for cls, write in KINDS.items() if cls not in {type, FunctionType, MethodType}},
}
