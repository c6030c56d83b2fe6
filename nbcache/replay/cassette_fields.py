"""The fields of a recording that say how its answer was made, checked when they are read: usage, prices, times, calls inside."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from nbcache.codec.header import known_fields
from nbcache.entry.kind import FUNCTION, TOOL
from nbcache.entry.records import InnerCall, Usage
from nbcache.errors import CassetteError
from nbcache.replay.answer_validation import dicts

AHEAD = 86_400.0  # seconds by which another machine's clock may be ahead
USAGE_TEXTS = {"provider", "model", "service_tier", "speed", "charged", "mixed"}
NAMED_KINDS = (FUNCTION, TOOL)  # the field of this name says which one made the answer
_MOST_SECONDS = 86_400.0  # that an answer may have taken
_PRICE = re.compile(r"\d{1,6}(\.\d{1,30})?")
_USAGE = {each.name: each.default for each in fields(Usage)}
_USAGE_FLAGS = {"estimated", "local"}


def usage_in(values: Any) -> Usage:
    """What a call used. Raises CassetteError, as all functions here do."""
    if not isinstance(values, dict):
        raise CassetteError("its tokens aren't what nbcache writes")
    values = known_fields(Usage, values)
    for name, value in values.items():
        if name == "charged":
            is_right = isinstance(value, str) and _PRICE.fullmatch(value) is not None
        elif name in USAGE_TEXTS:
            is_right = isinstance(value, str)
        elif name in _USAGE_FLAGS:
            is_right = isinstance(value, bool)
        else:
            is_right = type(value) is int and 0 <= value < 2**53
        if not is_right:
            raise CassetteError(f"its tokens say {name}: {value!r}")
    return Usage(**values)


def when_in(text: Any) -> float:
    """A time in seconds since the epoch. Raises ValueError, too."""
    if not isinstance(text, str):
        raise CassetteError("it says no time at which it was recorded")
    when = datetime.fromisoformat(text).timestamp()
    if not 0 <= when <= time.time() + AHEAD:
        raise CassetteError(f"it says that it was recorded at {text}")
    return when


def price_in(value: Any) -> Decimal | None:
    """US dollars."""
    if value is not None and not (isinstance(value, str) and _PRICE.fullmatch(value)):
        raise CassetteError(f"its price is {value!r}")
    return None if value is None else Decimal(value)


def seconds_in(value: Any) -> float | None:
    """The seconds that an answer took."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (is_number and 0 <= value <= _MOST_SECONDS):
        raise CassetteError(f"its seconds are {value!r}")
    return None if value is None else float(value)


def texts_in(value: Any, name: str) -> tuple[str, ...]:
    """The texts of the field `name`."""
    if not isinstance(value, list) or not all(isinstance(text, str) and text and "\x1f" not in text for text in value):
        raise CassetteError(f"its {name} are no texts")
    return tuple(value)


def kind_in(values: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The kind of the recording, and the name of the function or the tool. None if it is neither: then its call says it."""
    kind = next((each for each in NAMED_KINDS if each in values), None)
    if kind is None:
        return None, None
    if not isinstance(name := values[kind], str) or not name:
        raise CassetteError(f"its {kind} is {name!r}")
    return kind, name


def calls_in(value: Any) -> tuple[InnerCall, ...] | None:
    """The calls that were made inside of a function. None if it is none's answer."""
    return None if value is None else tuple(map(_call_in, dicts(value, "calls")))


def _call_in(values: dict[str, Any]) -> InnerCall:
    model = values.get("model", "")
    if not isinstance(model, str):
        raise CassetteError(f"its calls name the model {model!r}")
    usage = usage_in(values["tokens"]) if "tokens" in values else None
    return InnerCall(None, model, usage, seconds_in(values.get("seconds")))


def written_usage(usage: Usage | None) -> dict[str, Any]:
    """What a call used, without what is as usual. As in `written_seconds`, what isn't known isn't written."""
    if usage is None or usage == Usage():
        return {}
    return {"tokens": {name: value for name, default in _USAGE.items() if (value := getattr(usage, name)) != default}}


def written_seconds(seconds: float | None) -> dict[str, Any]:
    """The seconds that an answer took."""
    return {} if seconds is None or seconds > _MOST_SECONDS else {"seconds": round(seconds, 3)}


def written_calls(calls: Sequence[InnerCall] | None) -> dict[str, Any]:
    """The calls inside of a function, without their keys: these are of prompts with the secrets that an export takes out."""
    if calls is None:
        return {}
    return {
        "calls": [
            ({"model": call.model} if call.model else {}) | written_usage(call.usage) | written_seconds(call.seconds)
            for call in calls
        ]
    }
