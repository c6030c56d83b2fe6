"""Arrays and frames count by content, types, indexes and names."""

import collections
import subprocess
import sys
import typing
from collections.abc import Callable
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from nbcache.errors import UnstableIdentityError
from tests.keys.functions.test_arguments import form

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of np.matrix

A = np.arange(12, dtype="<i8").reshape(3, 4)
PADDED = np.dtype({"names": ["a", "b"], "formats": ["i1", "<f8"], "offsets": [0, 8], "itemsize": 16})


class Own(np.ndarray):
    pass


class OwnFrame(pd.DataFrame):
    _metadata = ["note"]  # noqa: RUF012


def masked(data: Any, mask: Any) -> Any:
    return np.ma.array(data, mask=mask)


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns or {"a": [1, 2], "b": ["x", None]})


MAKERS: list[Callable[[], Any]] = [
    A.copy,
    lambda: A.astype("<i4"),
    lambda: A.astype(">i8"),
    lambda: A.astype("<f8"),
    lambda: A.reshape(4, 3),
    A.ravel,
    A.T.copy,
    A.tolist,
    lambda: A[:0],
    lambda: A[:, :0],
    lambda: np.array(1),
    lambda: np.array(1.0),
    lambda: np.array([1]),
    lambda: np.int64(1),
    lambda: np.int32(1),
    lambda: np.float64(1),
    lambda: np.bool_(True),
    lambda: np.str_("a"),
    lambda: np.bytes_(b"a"),
    lambda: np.array([0.0]),
    lambda: np.array([-0.0]),
    lambda: np.array([np.nan]),
    lambda: np.array([np.nan, 1]),
    lambda: np.array([complex(1, np.nan)]),
    lambda: np.array([1], "longdouble"),
    lambda: np.array([1], "clongdouble"),
    lambda: np.array(["a", "b"]),
    lambda: np.array(["a", "bc"]),
    lambda: np.array([b"a", b"b"]),
    lambda: np.array(["a", "b"], object),
    lambda: np.array(["ab", ""], object),
    lambda: np.array(["a", None], object),
    lambda: np.array(["a", np.nan], object),
    lambda: np.array([1, 1.0], object),
    lambda: np.array([1, True], object),
    lambda: np.array([[1], (1,)], object),
    lambda: np.array(["2026-01-01"], "M8[D]"),
    lambda: np.array(["2026-01-01"], "M8[s]"),
    lambda: np.array(["NaT"], "M8[D]"),
    lambda: np.array([1], "m8[s]"),
    lambda: np.array([(1, 2.0)], "i4,f8"),
    lambda: np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]),
    lambda: np.array([(1, 2.0)], np.dtype([("a", "i4"), ("b", "f8")], align=True)),
    lambda: np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    lambda: np.array([(1, 2.0)], PADDED),
    lambda: np.array([(1, [2, 3])], [("a", "i4"), ("b", "f8", (2,))]),
    lambda: np.matrix([[1]]),
    lambda: np.array([1]).view(Own),
    *(partial(masked, *of) for of in (([1, 2], [False, True]), ([1, 2], [True, False]), ([1, 3], [False, True]))),
    lambda: np.dtype("i4"),
    lambda: np.dtype("i8"),
    lambda: np.int64,
    lambda: np.add,
    lambda: np.mean,
    lambda: np.array(["a"], np.dtypes.StringDType()),
    frame,
    lambda: frame(a=[1, 2]),
    lambda: frame(a=[1.0, 2.0]),
    lambda: frame(a=[1, 3]),
    lambda: frame(b=[1, 2]),
    lambda: frame(a=[1, 2], b=[3, 4]),
    lambda: frame(b=[3, 4], a=[1, 2]),
    lambda: pd.DataFrame({"a": [1, 2]}, index=pd.Index([0, 1])),
    lambda: frame(a=[1, 2]).set_index(pd.Index([0, 2])),
    lambda: frame(a=[1, 2]).rename_axis("i"),
    lambda: frame(a=[1, 2]).rename_axis("c", axis=1),
    lambda: frame(a=[1, 2]).set_flags(allows_duplicate_labels=False),
    lambda: frame(a=["x", "y"]),
    lambda: frame(a=["x", None]),
    lambda: frame(a=["x", None]).astype("string"),
    lambda: frame(a=["x", None]).astype(object),
    lambda: frame(a=["x", "y"]).astype("category"),
    lambda: frame(a=["x", "y"]).astype(pd.CategoricalDtype(["y", "x"])),
    lambda: frame(a=["x", "y"]).astype(pd.CategoricalDtype(["x", "y"], ordered=True)),
    lambda: frame(a=["x", "y"]).astype(pd.CategoricalDtype(["x", "y", "z"])),
    lambda: frame(a=[1, None]),
    lambda: frame(a=[1, None]).astype("Int64"),
    lambda: frame(a=[1, 0]).astype("Int64"),
    lambda: frame(a=[1.5, None]).astype("Float64"),
    lambda: frame(a=[True, None]).astype("boolean"),
    lambda: frame(a=pd.to_datetime(["2026-01-01"])),
    lambda: frame(a=pd.to_datetime(["2026-01-01"]).tz_localize("UTC")),
    lambda: frame(a=pd.to_datetime(["2026-01-01"]).tz_localize(ZoneInfo("UTC"))),
    lambda: frame(a=pd.to_datetime(["2026-01-01"]).tz_localize("Europe/Berlin")),
    lambda: frame(a=pd.to_timedelta(["1s"])),
    lambda: frame(a=pd.period_range("2026-01", periods=2, freq="M")),
    lambda: frame(a=pd.interval_range(0, 2)),
    lambda: frame(a=pd.arrays.SparseArray([0, 1])),
    lambda: frame(a=[[1], [2]]),
    pd.DataFrame,
    lambda: pd.DataFrame(index=[1]),
    lambda: pd.DataFrame(np.zeros((2, 2))),
    lambda: pd.DataFrame([[1, 2]], columns=["a", "a"]),
    lambda: OwnFrame({"a": [1, 2]}),
    lambda: pd.Series([1, 2]),
    lambda: pd.Series([1, 2], name="a"),
    lambda: pd.Series([1, 2], index=["x", "y"]),
    lambda: pd.Index([1, 2]),
    lambda: pd.Index([1, 2], name="a"),
    lambda: pd.RangeIndex(1, 3),
    lambda: pd.MultiIndex.from_tuples([(1, "a"), (2, "b")]),
    lambda: pd.MultiIndex.from_tuples([(1, "a"), (2, "b")], names=["x", "y"]),
    lambda: pd.MultiIndex.from_tuples([(1, "a"), (1, "b")]),
    lambda: pd.date_range("2026-01-01", periods=3),
    lambda: pd.DatetimeIndex(["2026-01-01", "2026-01-02", "2026-01-03"]),
    lambda: pd.CategoricalIndex(["a"]),
    lambda: pd.Timestamp("2026-01-01"),
    lambda: pd.Timestamp("2026-01-01", tz="UTC"),
    lambda: pd.Timedelta("1s"),
    lambda: pd.NaT,
    lambda: pd.NA,
    lambda: pd.Period("2026-01"),
    lambda: pd.Interval(0, 1),
    lambda: pd.offsets.Day(2),
    lambda: pd.offsets.Hour(2),
    lambda: pd.DateOffset(days=1),
    lambda: pd.DateOffset(months=1),
    lambda: pd.array([1, None]),
    lambda: pd.Categorical(["a"]),
    lambda: pd.CategoricalDtype(["a"]),
    pd.StringDtype,
]


def test_equal_arrays_and_frames_make_equal_calls() -> None:
    for number, make in enumerate(MAKERS):
        assert form(make()) == form(make()), (number, make())


def test_arrays_and_frames_that_differ_make_different_calls() -> None:
    forms = collections.defaultdict(list)
    for make in MAKERS:
        forms[form(make())].append(make())
    assert [alike for alike in forms.values() if len(alike) > 1] == []


@pytest.mark.parametrize(
    "make", [lambda: A, lambda: np.random.default_rng(1).random((300, 500)), lambda: np.zeros((1, 2, 90000))]
)
def test_the_order_in_memory_does_not_count(make: Callable[[], Any]) -> None:
    array = make()
    fortran = np.asfortranarray(array)
    wide = np.zeros((*array.shape[:-1], array.shape[-1] * 2), array.dtype)
    wide[..., ::2] = array
    assert form(array) == form(fortran) == form(wide[..., ::2])
    assert form(array[::-1]) == form(array[::-1].copy())
    assert form(pd.DataFrame(array.reshape(array.shape[0], -1)[:, :9])) == form(
        pd.DataFrame(fortran.reshape(array.shape[0], -1)[:, :9])
    )


def test_where_texts_are_kept_does_not_count() -> None:
    pytest.importorskip("pyarrow")
    dtype: Any = pd.StringDtype
    for missing in (np.nan, pd.NA):
        kept = [pd.array(["a", None, "bc"], dtype(storage, na_value=missing)) for storage in ("python", "pyarrow")]
        assert form(pd.Series(kept[0])) == form(pd.Series(kept[1])) != form(pd.Series(kept[0][:2]))


def test_columns_of_arrow_count_by_type_and_content() -> None:
    arrow, dtype, series = (
        pytest.importorskip("pyarrow"),
        typing.cast("Any", pd.ArrowDtype),
        typing.cast("Any", pd.Series),
    )
    makers: list[Any] = [
        lambda: series([1, None], dtype=dtype(arrow.int64())),
        lambda: series([1, None], dtype=dtype(arrow.int32())),
        lambda: series([1, 2], dtype=dtype(arrow.int64())),
        lambda: series([1, 2], dtype=dtype(arrow.int16())),
        lambda: series(["a", "b"], dtype=dtype(arrow.string())),
    ]
    assert [form(make()) for make in makers] == [form(make()) for make in makers]
    assert len({form(make()) for make in makers}) == len(makers)


def test_all_nan_are_alike() -> None:
    made = np.array([0x7FF8000000000000, 0xFFF8000000000001, 0x7FF0000000000001], "<u8").view("<f8")
    assert form(made) == form(np.full(3, np.nan))
    assert form(pd.Series(made)) == form(pd.Series([np.nan] * 3))
    assert form(float(made[1])) == form(float("nan"))


def test_bytes_between_the_fields_of_an_array_do_not_count() -> None:
    first, second = (np.frombuffer(bytearray([n] * 16), PADDED) for n in (0, 1))
    for array in (first, second):
        array["a"], array["b"] = 1, 2.0
    assert first.tobytes() != second.tobytes()
    assert form(first) == form(second)


def test_what_is_hidden_by_a_gap_does_not_count() -> None:
    first, second = pd.array([1, 2], "Int64"), pd.array([1, 3], "Int64")
    first[1] = second[1] = None
    assert form(pd.Series(first)) == form(pd.Series(second))


def test_an_attribute_of_a_frame_counts() -> None:
    one, other = frame(), frame()
    other.attrs["source"] = "a"
    assert form(one) != form(other)
    own = OwnFrame({"a": [1]})
    vars(own)["note"] = "b"
    assert form(own) != form(OwnFrame({"a": [1]}))


@pytest.mark.parametrize(
    "make", [lambda: np.random.default_rng(1), lambda: np.nditer(A), lambda: np.frompyfunc(str, 1, 1)]
)
def test_what_of_numpy_can_not_be_told_apart_has_no_key(make: Callable[[], Any]) -> None:
    with pytest.raises(UnstableIdentityError, match="ignore="):
        form(make())


def test_people_read_the_size_of_a_frame() -> None:
    from nbcache.keys.functions.call_text import call_text

    text = call_text("judge", {"table": frame(), "array": A, "column": pd.Series([1])})
    assert (
        text
        == "judge(table=DataFrame of 2 rows \N{MULTIPLICATION SIGN} 2 columns, array=int64 array of 3 \N{MULTIPLICATION SIGN} 4, column=Series of 1 row)"
    )


def test_numpy_and_pandas_are_not_imported_for_arguments_without_them() -> None:
    program = (
        "import sys\nfrom nbcache.keys.functions import FunctionKey, FunctionRules\n"
        "before = {'numpy', 'pandas'} & {*sys.modules}\n"
        "def f(a): return a\n"
        "class C: pass\n"
        "FunctionKey(f, FunctionRules()).call(([1, {'a': C()}],), {})\n"
        "assert {'numpy', 'pandas'} & {*sys.modules} == before\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
