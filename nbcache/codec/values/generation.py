"""A value as the answer of a call, and back."""

import types
from typing import Any

from langchain_core.outputs import Generation

from nbcache.codec.payload import UNREADABLE
from nbcache.codec.values.plain_forms import Reader, Writer
from nbcache.codec.values.shown_text import shown_text
from nbcache.errors import DamagedError, NotStorableError

_VALUE = "value"


def as_generation(value: Any, function: types.FunctionType | None = None) -> Generation:
    """`value` as the answer of a call: what people read of it, and its plain form.

    `function` is the one that returned it: a class that only its annotations or its code name can be found there. Raises
    NotStorableError, which names the part that would not come back exactly.
    """
    form = _plain_form(value, function)
    return Generation(text=shown_text(value), generation_info={_VALUE: form})


def value_in(generation: Generation, function: types.FunctionType | None = None) -> Any:
    """The value in a generation by `as_generation`, as a new object: equal, and of the same type.

    Raises NotStorableError if a class of it is not here, or is another by now, and DamagedError for what is no such value.
    """
    try:
        return Reader(function).value((generation.generation_info or {})[_VALUE])
    except UNREADABLE as error:
        raise DamagedError(f"a value can't be read: {error!r}") from error


def _plain_form(value: Any, function: types.FunctionType | None) -> Any:
    try:
        return Writer(function).form(value)
    except RecursionError:
        raise NotStorableError("it (a value that holds too many others)") from None
