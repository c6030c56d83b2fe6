"""pandas' DataFrame, Series, Index and scalars: column by column, with index, names, dtypes and attrs.

Each is read back and compared before it is stored: what would be another in any of these is refused.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nbcache.codec.roundtrip import same
from nbcache.codec.values.frame_columns import frame_of, plain_columns
from nbcache.codec.values.pandas_dtypes import column, plain_column, plain_zone, zone
from nbcache.errors import NotStorableError

if TYPE_CHECKING:
    from nbcache.codec.values.plain_forms import Reader, Writer

_INDEXES = (pd.RangeIndex, pd.MultiIndex, pd.DatetimeIndex, pd.TimedeltaIndex, pd.PeriodIndex, pd.CategoricalIndex)
_Write = Callable[[Any, "Writer"], dict[str, Any]]
_KINDS: dict[type, str] = {
    **{getattr(pd, name): name for name in ("DataFrame", "Series", "Timestamp", "Timedelta", "Period", "Interval")},
    **dict.fromkeys((type(pd.NaT), type(pd.NA)), "pandas constant"),
    **dict.fromkeys((pd.Index, pd.IntervalIndex, *_INDEXES), "Index"),
}
_CONSTANTS = {"NaT": pd.NaT, "<NA>": pd.NA}


def kind_of(cls: type) -> str | None:
    """The kind of the objects of a class of pandas'. None if they are not stored."""
    return _KINDS.get(cls)


def _compared(write: _Write, kind: str, compare: Callable[[Any, Any], None]) -> _Write:
    """`write`, but what it has written is read back, and refused where that is another value."""

    def written(value: Any, writer: "Writer") -> dict[str, Any]:
        if writer.is_compared:  # as a part of what holds it
            return write(value, writer)
        writer.is_compared = True
        form, why = _comparison(value, writer)
        writer.is_compared = False
        if why is not None:
            write(value, writer)  # which refuses the part that is to blame, and names it
            raise writer.refused(f"a {kind} that would come back as another: {why}")
        return form

    def _comparison(value: Any, writer: "Writer") -> tuple[dict[str, Any], str | None]:
        """The plain form, and in what its value would differ, if it does."""
        try:
            form = write(value, writer)
            again = KINDS[kind][1](form, writer.reader())
            compare(again, value)
            is_same = type(again) is type(value) and same(write(again, writer), form)
        except NotStorableError:
            raise
        except Exception as error:  # noqa: BLE001 - pandas raises many kinds
            return {}, str(error)
        return form, None if is_same else "not all that it holds is the same"

    return written


# Tables


def _plain_frame(value: Any, writer: "Writer") -> dict[str, Any]:
    columns = plain_columns(value, writer)
    return {
        "index": writer.part(value.index, ".index"),
        "columns": writer.part(value.columns, ".columns"),
        **columns,
        **_plain_rest(value, writer),
    }


def _frame(form: Mapping[str, Any], reader: "Reader") -> Any:
    index, columns = reader.value(form["index"]), reader.value(form["columns"])
    return _with_rest(frame_of(form, index, columns, reader), form, reader)


def _plain_series(value: Any, writer: "Writer") -> dict[str, Any]:
    return {
        "index": writer.part(value.index, ".index"),
        "name": writer.part(value.name, ".name"),
        "data": writer.within(".values", plain_column, value),
        **_plain_rest(value, writer),
    }


def _series(form: Mapping[str, Any], reader: "Reader") -> Any:
    index, name = reader.value(form["index"]), reader.value(form["name"])
    return _with_rest(_typed(column(form["data"], reader), index).rename(name), form, reader)


def _typed(values: Any, index: Any) -> Any:
    """A column of the dtype that its array has: pandas would make texts of objects that are all texts."""
    return pd.Series(values, index=index, dtype=values.dtype, copy=False)


def _plain_rest(value: Any, writer: "Writer") -> dict[str, Any]:
    rest = {"attrs": writer.part(value.attrs, ".attrs")} if value.attrs else {}
    return rest if value.flags.allows_duplicate_labels else {**rest, "unique": True}


def _with_rest(value: Any, form: Mapping[str, Any], reader: "Reader") -> Any:
    if "attrs" in form:
        value.attrs = reader.value(form["attrs"])
    return value.set_flags(allows_duplicate_labels=False) if "unique" in form else value


# Indexes


def _plain_index(value: Any, writer: "Writer") -> dict[str, Any]:
    if isinstance(value, pd.MultiIndex):
        levels = [writer.part(level, f".levels[{number}]") for number, level in enumerate(value.levels)]
        codes = [writer.form(np.asarray(each)) for each in value.codes]
        return {"levels": levels, "codes": codes, "names": writer.items([*value.names], ".names")}
    name = {"name": writer.part(value.name, ".name")}
    if isinstance(value, pd.RangeIndex):
        return {"range": [value.start, value.stop, value.step], **name}
    freq = getattr(value, "freq", None) if isinstance(value, pd.DatetimeIndex | pd.TimedeltaIndex) else None
    data = writer.within(".values", plain_column, value)
    return {"data": data, **name} if freq is None else {"data": data, "freq": freq.freqstr, **name}


def _index(form: Mapping[str, Any], reader: "Reader") -> Any:
    if "levels" in form:
        codes = [reader.value(each) for each in form["codes"]]
        levels, names = reader.items(form["levels"]), reader.items(form["names"])
        return pd.MultiIndex(levels=levels, codes=codes, names=names, verify_integrity=True)
    name = reader.value(form["name"])
    if "range" in form:
        start, stop, step = form["range"]
        return pd.RangeIndex(start, stop, step, name=name)
    values = column(form["data"], reader)
    index: Any = pd.Index(values, dtype=values.dtype, name=name, copy=False, tupleize_cols=False)
    if "freq" in form:
        index.freq = form["freq"]
    return index


# Scalars


def _plain_timestamp(value: Any, writer: "Writer") -> dict[str, Any]:
    utc = value if value.tz is None else value.tz_convert(None)
    form = {"utc": writer.form(utc.to_datetime64()), "fold": value.fold}
    return form if value.tz is None else {**form, "zone": plain_zone(value.tz, writer)}


def _timestamp(form: Mapping[str, Any], reader: "Reader") -> Any:
    moment: Any = pd.Timestamp(reader.value(form["utc"]))
    if "zone" in form:
        return moment.tz_localize("UTC").tz_convert(zone(form["zone"], reader))
    return moment.replace(fold=form["fold"]) if form["fold"] else moment


def _interval(ends: list[Any], closed: Any) -> Any:
    left, right = ends
    return pd.Interval(left, right, closed=closed)


def _compare_scalars(again: Any, value: Any) -> None:
    if again != value or repr(again) != repr(value):
        raise ValueError(repr(again))


def _compare_indexes(again: Any, value: Any) -> None:
    pd.testing.assert_index_equal(again, value, exact=True, check_exact=True)
    if getattr(again, "freq", None) != getattr(value, "freq", None):
        raise ValueError(f"its freq is {value.freq!r}")


def _compare_series(again: Any, value: Any) -> None:
    _compare_indexes(again.index, value.index)
    if again.dtype != value.dtype:
        raise ValueError(f"its dtype is {value.dtype}")


def _compare_frames(again: Any, value: Any) -> None:
    _compare_indexes(again.index, value.index)
    _compare_indexes(again.columns, value.columns)
    if again.dtypes.tolist() != value.dtypes.tolist():
        raise ValueError(f"its dtypes are {value.dtypes.tolist()}")


KINDS: dict[str, tuple[Callable[[Any, Any], dict[str, Any]], Callable[[Any, Any], Any]]] = {
    "DataFrame": (_compared(_plain_frame, "DataFrame", _compare_frames), _frame),
    "Series": (_compared(_plain_series, "Series", _compare_series), _series),
    "Index": (_compared(_plain_index, "Index", _compare_indexes), _index),
    "Timestamp": (_compared(_plain_timestamp, "Timestamp", _compare_scalars), _timestamp),
    "Timedelta": (
        _compared(lambda value, writer: {"value": writer.form(value.to_timedelta64())}, "Timedelta", _compare_scalars),
        lambda form, reader: pd.Timedelta(reader.value(form["value"])),
    ),
    "Period": (
        _compared(lambda value, _: {"ordinal": value.ordinal, "freq": value.freqstr}, "Period", _compare_scalars),
        lambda form, _: pd.Period(ordinal=form["ordinal"], freq=form["freq"]),
    ),
    "Interval": (
        _compared(
            lambda value, writer: {"ends": writer.items([value.left, value.right]), "closed": value.closed},
            "Interval",
            _compare_scalars,
        ),
        lambda form, reader: _interval(reader.items(form["ends"]), form["closed"]),
    ),
    "pandas constant": (lambda value, _: {"name": repr(value)}, lambda form, _: _CONSTANTS[form["name"]]),
}
