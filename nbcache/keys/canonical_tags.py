"""The tags of canonical JSON, which stand for values that JSON has no form for: a set, a class, infinity.

No value of a user's can look like one: a name of a user's that begins with "!" gets another "!" in front. A name of our own
is a `Tag`.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, time
from enum import Enum
from typing import Any
from uuid import UUID

_TAG = re.compile(rb'"!(?:(?:[^"\\]|\\.)*":|!*secret")')  # a name with one, or the text that stands for a secret
_SECRET = re.compile("!+secret")
_PLAIN = frozenset({str, int, bool, type(None)})


class Tag(str):
    """A name that begins with "!" and is none of a user's."""

    __slots__ = ()


def is_unambiguous(written: bytes, value: Any) -> bool:
    """Whether `value` as it was `written` can't be taken for another one: it has no tags, and no number for which JSON says null."""
    if type(value) is str:  # as most of what is written is: a prompt, a message
        return value[:1] != "!" or _SECRET.fullmatch(value) is None
    # One byte is found in a tenth of the time that two take.
    if b"!" in written and b'"!' in written and _TAG.search(written) is not None:
        return False
    may_differ = b"null" in written or b"NaN" in written or b"Infinity" in written
    return not may_differ or (b'"null":' not in written and _is_finite(value))


def _is_finite(value: Any) -> bool:
    """Whether a value consists of JSON's types, and its numbers are finite. False for all that may hold others."""
    waiting = [value]
    for each in waiting:  # which grows
        cls = type(each)
        if cls is dict:
            waiting += each.values()
        elif cls is list or cls is tuple:
            waiting += each
        elif cls is float:
            if not math.isfinite(each):
                return False
        elif cls not in _PLAIN:
            return False
    return True


def escaped(value: Any, tagged: Callable[[Any], Any]) -> Any:
    """`value` with a tag for each infinite number, and with the user's own names and texts escaped that look like a tag.

    `tagged` gives the form of a value without one in JSON.
    """
    if isinstance(value, Enum):
        return escaped(value.value, tagged)
    if isinstance(value, str):
        return f"!{value}" if _SECRET.fullmatch(value) else value
    if isinstance(value, float) and not math.isfinite(value):
        return {"!float": repr(float(value))}
    if value is None or isinstance(value, int | date | time | UUID):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {_name(name): escaped(item, tagged) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [escaped(item, tagged) for item in value]
    form = tagged(value)
    if isinstance(form, dict):
        return {name: escaped(item, tagged) for name, item in form.items()}
    return form


def _name(name: Any) -> Any:
    if isinstance(name, str) and name.startswith("!") and type(name) is not Tag:
        return f"!{name}"
    return f"!float:{name!r}" if isinstance(name, float) and not math.isfinite(name) else name
