"""What is believed of a record that others may have written: only what an honest one can say.

Whoever can write to a shared store can write any figures. These have the right types, are no longer than names are, and are
within what one call, or one cell, can cost and take. Then each can be shown, sorted and added up.
"""

import functools
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from decimal import Decimal, DecimalException
from typing import Any, TypeVar, get_args

from nbcache.entry.durations_and_sizes import LAST_SECOND
from nbcache.entry.records import SessionCall, Spending

LONGEST = 50_000  # letters of a name, also of one that is sealed
_MOST_NAMES = 10_000  # tags or owners
_MOST_USD, _LAST_DIGIT = 10**6, -60  # of US dollars
_MOST_TOKENS = 10**9
_MOST_SECONDS = 10**9  # thirty years
_MOST = 2**53
_MOMENTS = {"created", "expires", "last_hit", "when"}
_SUMMED = (Spending, SessionCall)  # records that may say how much less it is than was said before
_T = TypeVar("_T")
_Check = Callable[[Any], bool]


def believed(record: _T) -> _T:
    """`record`, a data class. Raises ValueError if a field of a plain type has no value that nbcache would write."""
    kind: Any = type(record)
    for name, is_right in _checks(kind):
        if not is_right(getattr(record, name)):
            raise ValueError(f"its {name} can't be right")
    return record


def is_moment(value: object) -> bool:
    """Whether this is a time until the year 9999, in seconds since the epoch."""
    return _is_number(value, 0, LAST_SECOND)


def is_name(value: object) -> bool:
    """Whether this is a text that is no longer than a name."""
    return type(value) is str and len(value) <= LONGEST


@functools.cache
def _checks(cls: Any) -> list[tuple[str, _Check]]:
    least = -1 if cls in _SUMMED else 0  # times what is most
    found: list[tuple[str, _Check]] = []
    for field in fields(cls):
        kinds = get_args(field.type) if type(None) in get_args(field.type) else (field.type,)
        check = _check(field.name, kinds[0], least)
        if check is not None:
            found.append((field.name, _or_none(check) if len(kinds) > 1 else check))
    return found


def _check(name: str, kind: Any, least: int) -> _Check | None:
    if kind is str:
        return _is_charge if name == "charged" else is_name
    if kind is bool:
        return lambda value: type(value) is bool
    if kind is float:
        return is_moment if name in _MOMENTS else lambda value: _is_number(value, least * _MOST_SECONDS, _MOST_SECONDS)
    if kind is int:
        most = _MOST_TOKENS if name.endswith("_tokens") else _MOST
        return lambda value: type(value) is int and least * most <= value <= most
    if kind is Decimal:
        return lambda value: type(value) is Decimal and is_money(value, least * _MOST_USD)
    return _are_names if kind == tuple[str, ...] else None


def is_money(usd: Decimal, least: int = 0) -> bool:
    """Whether an amount is finite, not too large, and not finer than can be added up exactly."""
    return usd.is_finite() and least <= usd <= _MOST_USD and int(usd.as_tuple().exponent) >= _LAST_DIGIT


def _is_charge(text: object) -> bool:
    with suppress(DecimalException):
        return is_name(text) and is_money(Decimal(str(text)))
    return False


def _is_number(value: object, least: float, most: float) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and least <= value <= most  # type: ignore[arg-type, operator]


def _are_names(value: object) -> bool:
    return type(value) is tuple and len(value) <= _MOST_NAMES and all(map(is_name, value))


def _or_none(check: _Check) -> _Check:
    return lambda value: value is None or check(value)
