"""The JSON of an answer, as its payload has it.

Nearly all answers consist of values that JSON has words for. They are written as they are: to make their plain form first, which
is equal, takes more than twice as long.
"""

import json
import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import orjson
from langchain_core.outputs import Generation

from nbcache.codec.buffers import Raw
from nbcache.codec.messages import form, plain

# An integer of more than 53 bits, a dataclass, and an instance of a class that is derived from one of JSON's raise TypeError.
_STRICT = orjson.OPT_STRICT_INTEGER | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS
_TAG = b'"!'  # what begins so may be a tag


def json_of(generations: Sequence[Generation]) -> tuple[bytes, list[Raw]]:
    """The JSON of the plain forms of `generations`, and their buffers.

    Raises NotStorableError where they would not come back exactly.
    """
    with suppress(TypeError, RecursionError):
        written = orjson.dumps([form(generation, _unchanged) for generation in generations], option=_STRICT)
        if _TAG not in written:
            return written, []
    buffers: list[Raw] = []
    plain_forms = [plain(generation, buffers) for generation in generations]
    try:
        return orjson.dumps(plain_forms), buffers
    except TypeError:  # a lone surrogate: half of an emoji that a provider cut in two
        return json.dumps(plain_forms).encode(), buffers


def _unchanged(value: dict[str, Any]) -> dict[str, Any]:
    """`value`, if it is its own plain form as far as that depends on the types of its values. Raises TypeError if not."""
    if type(value) is not dict or not _are_plain(value.values()):
        raise TypeError("JSON has no word for a value in it")
    return value


def _are_plain(values: Iterable[Any]) -> bool:
    for value in values:
        cls = type(value)
        if cls is str or cls is int or value is None or cls is bool:
            continue
        if cls is dict:
            if not _are_plain(value.values()):
                return False
        elif cls is list:
            if not _are_plain(value):
                return False
        elif cls is not float or not math.isfinite(value):
            return False
    return True
