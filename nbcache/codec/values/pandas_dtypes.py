"""The columns of pandas' objects: an array of each dtype as parts for which there are words.

Columns that pandas itself keeps by Arrow (its text dtype, where pyarrow is installed, and `ArrowDtype`) are written as Arrow
IPC. All others consist of NumPy's arrays, so that they need no pyarrow.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nbcache.codec.buffers import SHORTEST, Raw
from nbcache.errors import DamagedError, NotStorableError

if TYPE_CHECKING:
    from nbcache.codec.values.plain_forms import Reader, Writer

_MASKED = {"IntegerArray": pd.arrays.IntegerArray, "FloatingArray": pd.arrays.FloatingArray}
_MASKED["BooleanArray"] = pd.arrays.BooleanArray


def plain_column(values: Any, writer: "Writer") -> Any:
    """The plain form of the array of a column or of an index."""
    dtype = values.dtype
    if isinstance(dtype, np.dtype):
        return writer.form(np.asarray(values))
    for kind, (cls, write, _) in _COLUMNS.items():
        if type(dtype) is cls:
            return {"dtype": kind, **write(values.array if hasattr(values, "array") else values, writer)}
    if type(values.array).__name__ in _MASKED:
        return {"dtype": "masked", **_plain_masked(values.array, writer)}
    raise writer.refused(f"of dtype {dtype}")


def column(form: Mapping[str, Any], reader: "Reader") -> Any:
    """The array of a column, by its plain form."""
    kind = form.get("dtype")
    if kind is None:
        return reader.value(form)
    if kind == "masked":
        return _masked(form, reader)
    if kind not in _COLUMNS:
        raise DamagedError(f"it has a column of {str(kind)[:40]!r}, which a newer nbcache wrote", newer=True)
    return _COLUMNS[kind][2](form, reader)


def _plain_masked(array: Any, writer: "Writer") -> dict[str, Any]:
    mask = np.asarray(array._mask)  # noqa: SLF001 - `isna` would be True of a NaN that is none of the missing numbers
    values = np.asarray(array._data)  # noqa: SLF001 - as above
    return {"class": type(array).__name__, "values": writer.form(values), "mask": writer.form(mask)}


def _masked(form: Mapping[str, Any], reader: "Reader") -> Any:
    return _MASKED[form["class"]](reader.value(form["values"]), reader.value(form["mask"]))


def _plain_categories(array: Any, writer: "Writer") -> dict[str, Any]:
    categories = writer.part(array.categories, ".categories")
    return {"codes": writer.form(np.asarray(array.codes)), "categories": categories, "ordered": bool(array.ordered)}


def _categories(form: Mapping[str, Any], reader: "Reader") -> Any:
    dtype = pd.CategoricalDtype(reader.value(form["categories"]), ordered=form["ordered"])
    return pd.Categorical.from_codes(reader.value(form["codes"]), dtype=dtype)


def _plain_moments(array: Any, writer: "Writer") -> dict[str, Any]:
    """Moments in a time zone: as they are in UTC."""
    return {"utc": writer.form(np.asarray(array.tz_convert(None))), "zone": plain_zone(array.tz, writer)}


def _moments(form: Mapping[str, Any], reader: "Reader") -> Any:
    utc = pd.DatetimeIndex(reader.value(form["utc"]), copy=False)
    return utc.tz_localize("UTC").tz_convert(zone(form["zone"], reader)).array


def plain_zone(value: Any, writer: "Writer") -> Any:
    """A time zone; one of pytz, which pandas 2 prefers, by its name."""
    if type(value).__module__.partition(".")[0] == "pytz":
        return {"name": str(value)}
    return {"form": writer.part(value, ".tz")}


def zone(form: Mapping[str, Any], reader: "Reader") -> Any:
    """The time zone of a plain form."""
    return form["name"] if "name" in form else reader.value(form["form"])


def _plain_periods(array: Any, writer: "Writer") -> dict[str, Any]:
    return {"ordinals": writer.form(np.asarray(array.asi8)), "freq": array.freqstr}


def _periods(form: Mapping[str, Any], reader: "Reader") -> Any:
    return pd.arrays.PeriodArray(reader.value(form["ordinals"]), dtype=pd.PeriodDtype(form["freq"]))


def _plain_intervals(array: Any, writer: "Writer") -> dict[str, Any]:
    ends = {"left": writer.part(array.left, ".left"), "right": writer.part(array.right, ".right")}
    return {**ends, "closed": array.closed}


def _intervals(form: Mapping[str, Any], reader: "Reader") -> Any:
    left, right = reader.value(form["left"]), reader.value(form["right"])
    return pd.arrays.IntervalArray.from_arrays(left, right, closed=form["closed"])


def _plain_texts(array: Any, writer: "Writer") -> dict[str, Any]:
    dtype = array.dtype
    how = {"storage": dtype.storage, "missing": "NA" if dtype.na_value is pd.NA else "NaN"}
    if dtype.storage != "python":
        return {**how, "arrow": _plain_arrow(array)}
    missing = pd.isna(array)
    items = [None if is_missing else item for item, is_missing in zip(array, missing, strict=True)]
    return {**how, "items": writer.items(items)}


def _texts(form: Mapping[str, Any], reader: "Reader") -> Any:
    missing: Any = {"NA": pd.NA, "NaN": np.nan}[form["missing"]]
    if "arrow" in form:
        values = arrow_values(form["arrow"])
        dtype: Any = pd.StringDtype("pyarrow", na_value=missing)
        return dtype.__from_arrow__(values)
    return pd.array(reader.items(form["items"]), dtype=pd.StringDtype("python", na_value=missing))


def _plain_arrow(array: Any) -> Raw:
    """An array of Arrow's as IPC."""
    import pyarrow as pa  # noqa: PLC0415 - the array is of it

    values = array.__arrow_array__()
    table = pa.table({"": values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.combine_chunks())
    data = memoryview(sink.getvalue()).cast("B")
    return data if len(data) >= SHORTEST else bytes(data)


def arrow_values(data: Raw) -> Any:
    """The array of Arrow's in `data`. Raises NotStorableError where there is no pyarrow."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - few values need it
    except ImportError as error:
        raise NotStorableError("a column that needs pyarrow (`pip install nbcache[arrow]`)") from error
    try:
        with pa.ipc.open_stream(pa.py_buffer(data)) as stream:
            table = stream.read_all()
            table.validate(full=True)  # somebody may have written offsets that lead out of the buffer
    except pa.ArrowException as error:
        raise DamagedError(f"a column can't be read: {error}") from error
    return table.column(0)


def _plain_arrow_column(array: Any, _: "Writer") -> dict[str, Any]:
    return {"arrow": _plain_arrow(array)}


def _arrow_column(form: Mapping[str, Any], _: "Reader") -> Any:
    values = arrow_values(form["arrow"])
    dtype: Any = pd.ArrowDtype(values.type)
    return dtype.__from_arrow__(values)


# Of each dtype of pandas': its class, how an array of it is written, and how it is read.
_COLUMNS: dict[str, tuple[type, Callable[[Any, Any], dict[str, Any]], Callable[[Mapping[str, Any], Any], Any]]] = {
    "categories": (pd.CategoricalDtype, _plain_categories, _categories),
    "moments": (pd.DatetimeTZDtype, _plain_moments, _moments),
    "periods": (pd.PeriodDtype, _plain_periods, _periods),
    "intervals": (pd.IntervalDtype, _plain_intervals, _intervals),
    "texts": (pd.StringDtype, _plain_texts, _texts),
    "arrow": (pd.ArrowDtype, _plain_arrow_column, _arrow_column),
}
