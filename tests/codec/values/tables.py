"""Arrays and tables of every kind, and an exact comparison of two."""

import math
from typing import Any

import numpy as np
import pandas as pd

from tests.codec.values.examples import Point, exactly

_ZONE = "Europe/Berlin"
_RECORDS = np.zeros(2, dtype=[("a", "<i4"), ("b", "U3", (2,)), ("é", "f2")])
_RECORDS["b"][0] = ["x", "yz"]
_NOISE = np.random.default_rng(0).normal(size=(2_000, 3))


def _whole_table() -> pd.DataFrame:
    """A table with a column of each dtype."""
    table = pd.DataFrame(
        {
            "int": np.array([1, 2, 3], dtype="i1"),
            "float": [1.5, math.nan, -0.0],
            "text": ["a", None, "c 🌧"],
            "mixed": pd.Series([1, "x", (2, [None])], dtype=object),
            "ordered": pd.Categorical(["b", "a", None], categories=["b", "a", "z"], ordered=True),
            "numbers": pd.Categorical([1, 2, 1]),
            "zoned": pd.date_range("2025-10-26", periods=3, freq="h", tz=_ZONE),
            "date": pd.array(["2025-01-01", None, "1700-01-01"], dtype="datetime64[s]"),
            "span": pd.to_timedelta([1, None, 3], unit="s"),
            "nullable int": pd.array([1, None, 3], dtype="Int64"),
            "nullable float": pd.array([1.5, None, 2], dtype="Float32"),
            "nullable bool": pd.array([True, None, False], dtype="boolean"),
            "string": pd.array(["a", None, "b"], dtype="string"),
            "python string": pd.array(["a", None, "b"], dtype=pd.StringDtype("python", na_value=math.nan)),
            "period": pd.period_range("2025", periods=3, freq="M"),
            "interval": pd.interval_range(0, 3, closed="both"),
            "complex": np.array([1j, complex(math.nan, -0.0), 0]),
        }
    )
    table.attrs = {"source": ["x", {"n": 1}]}
    return table


_TABLE = _whole_table()
TABLES: dict[str, Any] = {
    "array": np.arange(10),
    "large array": _NOISE,
    "array in columns": np.asfortranarray(_NOISE),
    "array of no dimensions": np.array(3.5),
    "empty array": np.empty((0, 3), dtype="f4"),
    "array of texts": np.array([["é", "bcd"]]),
    "array of bytes": np.array([b"a", b"\xff\x00b"]),
    "array of dates": np.array(["2025-01-01", "NaT"], dtype="M8[D]"),
    "array of the other byte order": np.arange(3, dtype=">i2"),
    "array of records": _RECORDS,
    "array of aligned records": np.zeros(2, dtype=np.dtype([("a", "i1"), ("b", "i8")], align=True)),
    "array of objects": np.array([1, "x", [2], {3}, None, Point(1.0)], dtype=object).reshape(2, 3),
    "array of objects in columns": np.asfortranarray(np.array([[1, "x"], [None, 2.5]], dtype=object)),
    "array of arrays": pd.Series([np.arange(2), np.arange(3.0)]).to_numpy(),
    "array of complex numbers": np.array([1 + 2j, complex(math.nan, -0.0)], dtype="c8"),
    "array of void": np.array([b"abc"], dtype="V5"),
    "scalars": [np.float32(0.1), np.int64(3), np.bool_(True), np.str_("x"), np.datetime64("NaT"), np.float64("nan")],
    "scalars of C's types": [np.longlong(3), np.ulonglong(4), np.intc(5)],
    "record": _RECORDS[0],
    "table": _TABLE,
    "table of noise": pd.DataFrame(_NOISE, columns=["a", "b", "c"]),
    "table of many columns": pd.DataFrame(np.random.default_rng(1).normal(size=(20, 300))),
    "table in rows": pd.DataFrame(np.asfortranarray(_NOISE)),
    "table of columns that take turns": pd.DataFrame(
        {n: np.arange(3).astype(("f8", "i4", "?", "M8[s]", "O")[n % 5]) for n in range(15)}
    ),
    "table without rows": _TABLE.iloc[:0],
    "table without columns": pd.DataFrame(index=[3, 4]),
    "empty table": pd.DataFrame(),
    "table with a column twice": pd.DataFrame([[1, 2.5]], columns=["a", "a"]),
    "table with columns of other names": pd.DataFrame({1: [1], "a": [2], None: [3], ("x", 2): [4], 2.5: [5]}),
    "table with numbered columns": pd.DataFrame(np.zeros((2, 2))),
    "table with levels of rows": _TABLE.set_index(["text", "int"]),
    "table with levels of columns": pd.DataFrame(
        [[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)], names=["x", None])
    ),
    "table of moments": _TABLE.set_index("zoned"),
    "table with a step of time": pd.DataFrame(
        {"x": [1, 2]}, index=pd.date_range("2025", periods=2, freq="2h", tz=_ZONE)
    ),
    "table of unique labels": pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False),
    "rows of a table": _TABLE[1:],
    "column": _TABLE["mixed"],
    "column without a name": pd.Series([1, 2], dtype="int8"),
    "column with a name that is a tuple": pd.Series([1.5], name=("a", 1), index=["x"]),
    "column of lists": pd.Series([[1], {"a": np.arange(3)}, None, math.nan]),
    "range of rows": pd.RangeIndex(2, 10, 3, name="r"),
    "index": pd.Index([1, "a", None, 2.5], dtype=object, name="i"),
    "index of texts": pd.Index(["a", "b"]),
    "index of moments": pd.date_range("2025", periods=3, freq="D", tz=_ZONE, name="when"),
    "index of spans": pd.timedelta_range("1s", periods=3),
    "index of periods": pd.period_range("2025", periods=3, freq="Q"),
    "index of intervals": pd.interval_range(0, 3, closed="left", name="x"),
    "index of categories": pd.CategoricalIndex(["a", "b", "a"], ordered=True),
    "index of levels": pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["x", "y"]),
    "moments": [
        pd.Timestamp("2025-01-01 03:00", tz=_ZONE),
        pd.Timestamp("2025-10-26 02:30").tz_localize(_ZONE, ambiguous=False),
        pd.Timestamp("2025-01-01").as_unit("s"),
        *(pd.Timedelta("1s"), pd.NA, pd.NaT, pd.Period("2025-01", "M"), pd.Interval(0, 1, closed="left")),
    ],
}


def exactly_table(one: Any, other: Any) -> bool:
    """Whether two arrays, tables or lists of these are the same in type, dtypes, labels and content."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(exactly_table, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(exactly_table(one[name], other[name]) for name in one)
    if isinstance(one, np.ndarray | np.generic):
        return _exactly_array(np.asarray(one), np.asarray(other))
    if isinstance(one, pd.DataFrame):
        columns = [exactly_table(one.iloc[:, n], other.iloc[:, n]) for n in range(one.shape[1])]
        return all(columns) and exactly_table(one.columns, other.columns) and _exactly_labelled(one, other)
    if isinstance(one, pd.Series):
        is_named = exactly(one.name, other.name)
        return is_named and _exactly_labelled(one, other) and _exactly_values(one.array, other.array)
    if isinstance(one, pd.MultiIndex):
        return _exactly_index(one, other) and all(map(exactly_table, one.levels, other.levels))
    if isinstance(one, pd.Index):
        return _exactly_index(one, other) and _exactly_values(one.array, other.array)
    return repr(one) == repr(other) or exactly(one, other)


def _exactly_array(one: Any, other: Any) -> bool:
    if (one.dtype, one.dtype.isalignedstruct, one.shape) != (other.dtype, other.dtype.isalignedstruct, other.shape):
        return False
    if one.flags.f_contiguous != other.flags.f_contiguous or not one.flags.writeable:
        return False
    if one.dtype == object:
        return all(map(exactly_table, one.ravel().tolist(), other.ravel().tolist()))
    if one.dtype.names is not None:  # what is between the fields doesn't count
        return repr(one.tolist()) == repr(other.tolist())
    return bool(one.tobytes() == other.tobytes())


def _exactly_labelled(one: Any, other: Any) -> bool:
    same_flags = one.flags.allows_duplicate_labels == other.flags.allows_duplicate_labels
    return exactly_table(one.index, other.index) and exactly(one.attrs, other.attrs) and same_flags


def _exactly_index(one: Any, other: Any) -> bool:
    freq = getattr(one, "freq", None), getattr(other, "freq", None)
    return exactly([*one.names], [*other.names]) and freq[0] == freq[1]


def _exactly_values(one: Any, other: Any) -> bool:
    if repr(one.dtype) != repr(other.dtype) or one.dtype != other.dtype:
        return False
    if one.dtype == "category" and not exactly_table(one.categories, other.categories):
        return False
    return len(one) == len(other) and all(map(exactly_table, list(one), list(other)))
