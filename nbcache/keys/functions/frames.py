"""The canonical forms of pandas' frames, series, indexes and scalars: by content, types, indexes and names.

pandas is not imported: whoever has a frame has pandas.
"""

import sys
from typing import Any
from zoneinfo import ZoneInfo

from nbcache.keys.functions.arrays import array_parts, dtype_form, items_digest
from nbcache.keys.functions.libraries import releases_of
from nbcache.keys.functions.values import Values
from nbcache.keys.usercode.not_canonical import NotCanonicalError

# What pandas keeps in an object of its own, and of a subclass of the user's.
_OWN = {
    "_mgr",
    "_item_cache",
    "_attrs",
    "_flags",
    "_is_copy",
    "_name",
    "_cache",
    "_data",
    "_id",
    "_references",
    "_index",
}


def pandas_form(values: Values, value: Any) -> Any:
    """The form of a value of one of pandas' classes. None for a kind that has no content of its own."""
    pandas = sys.modules["pandas"]
    cls = type(value)
    if issubclass(cls, pandas.DataFrame):
        parts = _frame(values, value)
    elif issubclass(cls, pandas.Series):
        parts = {
            "!series": [
                index_form(values, value.index),
                array_form(values, value.array),
                values.form(value.name),
                *_flags(values, value),
            ]
        }
    elif issubclass(cls, pandas.Index):
        parts = {"!index": index_form(values, value)}
    elif issubclass(cls, pandas.api.extensions.ExtensionArray):
        parts = {"!values": array_form(values, value)}
    elif issubclass(cls, pandas.api.extensions.ExtensionDtype):
        parts = {"!dtype": _dtype(values, value)}
    else:
        return _scalar(values, value, pandas)
    values.libraries.update(releases_of("pandas"))
    if cls.__module__.partition(".")[0] == "pandas":
        return {"!pandas": [cls.__name__, parts]}
    own = {name: item for name, item in vars(value).items() if name not in _OWN}
    return {"!pandas": [values.name(cls), parts, values.attributes(own)]}


def _frame(values: Values, frame: Any) -> Any:
    columns = [array_form(values, column.array) for _, column in frame.items()]
    return {
        "!frame": [index_form(values, frame.index), index_form(values, frame.columns), columns, *_flags(values, frame)]
    }


def _flags(values: Values, value: Any) -> list[Any]:
    return [values.form(value.attrs), value.flags.allows_duplicate_labels]


def index_form(values: Values, index: Any) -> list[Any]:
    """The form of an index: its class, names and content."""
    pandas = sys.modules["pandas"]
    head = [type(index).__name__, values.items([*index.names])]
    if isinstance(index, pandas.RangeIndex):
        return [*head, index.start, index.stop, index.step]
    if isinstance(index, pandas.MultiIndex):
        levels = [index_form(values, level) for level in index.levels]
        return [*head, levels, [array_parts(values, codes) for codes in index.codes]]
    return [*head, getattr(index, "freqstr", None), array_form(values, index.array)]


def array_form(values: Values, array: Any) -> list[Any]:
    """The form of the values of a column or index."""
    pandas = sys.modules["pandas"]
    numpy = sys.modules["numpy"]
    kinds = pandas.arrays
    if isinstance(array, kinds.NumpyExtensionArray) and not isinstance(array.dtype, pandas.StringDtype):
        return array_parts(values, numpy.asarray(array))
    dtype = _dtype(values, array.dtype)
    if isinstance(array, pandas.Categorical):
        return [dtype, array_parts(values, numpy.asarray(array.codes))]
    if isinstance(array, kinds.DatetimeArray | kinds.TimedeltaArray | kinds.PeriodArray):
        return [dtype, array_parts(values, array.asi8)]
    if isinstance(array, kinds.IntervalArray):
        return [dtype, index_form(values, array.left), index_form(values, array.right)]
    if isinstance(array, kinds.IntegerArray | kinds.FloatingArray | kinds.BooleanArray):
        mask = array.isna()
        content = numpy.where(mask, numpy.zeros(1, array._data.dtype), array._data)  # noqa: SLF001 - a NaN there is not NA
        return [dtype, array_parts(values, content), array_parts(values, numpy.asarray(array._mask))]  # noqa: SLF001
    if isinstance(array, kinds.SparseArray):
        places = array.sp_index.to_int_index().indices
        return [dtype, len(array), array_parts(values, places), array_parts(values, numpy.asarray(array.sp_values))]
    if isinstance(array, kinds.StringArray | kinds.ArrowStringArray | kinds.ArrowExtensionArray):
        return [dtype, len(array), items_digest(values, numpy.asarray(array, dtype=object).tolist())]
    raise NotCanonicalError(f"a {type(array).__module__}.{type(array).__qualname__} object")


def _dtype(values: Values, dtype: Any) -> Any:
    pandas = sys.modules["pandas"]
    if isinstance(dtype, pandas.CategoricalDtype):
        categories = None if dtype.categories is None else index_form(values, dtype.categories)
        return ["category", dtype.ordered, categories]
    if isinstance(dtype, pandas.SparseDtype):
        return ["sparse", dtype_form(values, dtype.subtype), values.form(dtype.fill_value)]
    if isinstance(dtype, pandas.StringDtype):  # where it keeps its texts depends on whether pyarrow is installed
        return ["text", str(dtype)]
    form = [type(dtype).__name__, repr(dtype)]
    if isinstance(dtype, pandas.DatetimeTZDtype) and _is_named_alike(dtype.tz):
        form.append(values.form(dtype.tz))
    return form


def _is_named_alike(zone: Any) -> bool:
    """Whether pandas names a time zone as it names the usual one, of zoneinfo or `datetime.UTC`."""
    return type(zone).__module__.partition(".")[0] == "pytz" or (type(zone) is ZoneInfo and zone.key == "UTC")


def _scalar(values: Values, value: Any, pandas: Any) -> Any:
    cls = type(value)
    if value is pandas.NaT or value is pandas.NA:
        return {"!pandas": str(value)}
    if cls is pandas.Timestamp:
        return {"!Timestamp": [int(value.asm8.astype("i8")), value.unit, value.fold, values.form(value.tzinfo)]}
    if cls is pandas.Timedelta:
        return {"!Timedelta": [int(value.asm8.astype("i8")), value.unit]}
    if cls is pandas.Period:
        return {"!Period": [value.ordinal, value.freqstr]}
    if cls is pandas.Interval:
        return {"!Interval": [value.closed, values.form(value.left), values.form(value.right)]}
    if issubclass(cls, pandas.tseries.offsets.BaseOffset) and cls.__module__.partition(".")[0] == "pandas":
        return {"!offset": [cls.__name__, value.n, value.normalize, values.form(value.kwds)]}
    return None
