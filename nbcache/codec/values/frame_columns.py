"""The columns of a DataFrame. Those of numbers that are alike are one array, as pandas itself keeps them.

A table of a thousand columns is so written and read in little more than the time that its bytes take.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nbcache.codec.values.pandas_dtypes import column, plain_column
from nbcache.errors import DamagedError

if TYPE_CHECKING:
    from nbcache.codec.values.plain_forms import Reader, Writer

_NUMBERS = "biufc"  # NumPy's kinds of which arrays are kept together
_KINDS = frozenset(_NUMBERS + "mMO")  # that a column has
# Since pandas 3. Without it each column is an array of its own.
_of_blocks: Any = getattr(getattr(pd.api, "internals", None), "create_dataframe_from_blocks", None)


def plain_columns(frame: pd.DataFrame, writer: "Writer") -> dict[str, Any]:
    """The plain forms of the columns. In place of one that is the next row of the array `blocks[n]` there is n."""
    alike: dict[Any, list[int]] = defaultdict(list)
    for place, dtype in enumerate(frame.dtypes):
        if isinstance(dtype, np.dtype) and dtype.kind in _NUMBERS and dtype.metadata is None:
            alike[dtype].append(place)
    groups = [places for places in alike.values() if len(places) > 1]
    block_of = {place: number for number, places in enumerate(groups) for place in places}
    return {
        "blocks": [writer.form(_block(frame, places)) for places in groups],
        "data": [
            block_of[n] if n in block_of else writer.within(f".columns[{n}]", plain_column, frame.iloc[:, n])
            for n in range(frame.shape[1])
        ],
    }


def _block(frame: pd.DataFrame, places: list[int]) -> Any:
    alike = frame if len(places) == frame.shape[1] else frame.iloc[:, places]
    return alike.to_numpy().T


def frame_of(form: Mapping[str, Any], index: pd.Index, columns: pd.Index, reader: "Reader") -> pd.DataFrame:
    """The table with these plain forms of its columns. Raises DamagedError."""
    data = form["data"]
    if len(data) != len(columns):
        raise DamagedError("a table has another number of columns than names")
    places: dict[int, list[int]] = defaultdict(list)
    parts = []
    for place, each in enumerate(data):
        if type(each) is int:
            places[each].append(place)
        else:
            parts.append((_checked(column(each, reader), (len(index),)), [place]))
    for number, block in enumerate(form.get("blocks", ())):
        parts.append((_checked(reader.value(block), (len(places[number]), len(index))), places.pop(number)))
    if places:
        raise DamagedError("a table lacks an array of its columns")
    return _assembled(parts, index, columns)


def _checked(values: Any, shape: tuple[int, ...]) -> Any:
    """`values`, which has to be what a table may consist of: pandas takes it as it is."""
    is_array = isinstance(values, np.ndarray)
    if not (is_array or isinstance(values, pd.api.extensions.ExtensionArray)) or values.shape != shape:
        raise DamagedError("a column is no array, or of another length than its table")
    if is_array and values.dtype.kind not in _KINDS:
        raise DamagedError(f"a table has a column of {values.dtype!r}")
    return values


def _assembled(parts: Sequence[tuple[Any, list[int]]], index: pd.Index, columns: pd.Index) -> pd.DataFrame:
    if _of_blocks is not None:
        blocks = [
            (values.reshape(len(places), -1) if isinstance(values, np.ndarray) else values, np.array(places))
            for values, places in parts
            if places
        ]
        if all(values.size for values, _ in blocks) and blocks:
            return _of_blocks(blocks, index=index, columns=columns)  # type: ignore[no-any-return]
    data = {}
    for values, places in parts:
        for place, each in zip(places, values if len(values.shape) > 1 else [values], strict=True):
            data[place] = pd.Series(
                each, index=index, dtype=each.dtype, copy=False
            )  # pandas would make texts of objects
    frame = pd.DataFrame({place: data[place] for place in sorted(data)}, index=index, copy=False)
    frame.columns = columns
    return frame
