"""Generated arguments of every kind make the same call exactly when they are equal, here and in another process.

Equality is decided by `alike`, which shares nothing with the code that it tests.
"""

import collections
import dataclasses
import datetime as dt
import decimal
import json
import math
import os
import pathlib
import subprocess
import sys
import uuid
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from tests.keys.functions.test_arguments import Color, Fixed, Items, Pair, Plain, Point, Slotted, Verdict, form
from tests.support.paths import ROOT

# Few values of each kind, so that equal ones and near ones meet.
_HASHABLE: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, True, False, ..., Color.RED, Color.BLUE, int, Point]),
    st.sampled_from([0, 1, -1, 2, 2**53, 2**63, 2**64, -(2**63) - 1]),
    st.sampled_from([0.0, -0.0, 1.0, 0.5, 1e16, math.inf, -math.inf]),
    st.builds(float, st.just("nan")),
    st.sampled_from(["", "a", "1", "null", "!tuple", "!", "a\0", "\ud800", "é", "\\ud800"]),
    st.sampled_from([b"", b"a", b"1", 1j, complex(0, -0.0), complex(math.nan, 0)]),
    st.sampled_from([decimal.Decimal(text) for text in ("1", "1.0", "-0", "NaN", "sNaN")]).filter(
        lambda value: not value.is_snan()
    ),
    st.sampled_from([dt.date(2026, 1, 1), dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)]),  # noqa: DTZ001
    st.sampled_from([dt.datetime(2026, 1, 1, fold=1), dt.time(1), dt.timedelta(1), dt.timedelta(hours=24)]),  # noqa: DTZ001
    st.sampled_from([uuid.UUID(int=0), uuid.UUID(int=1), pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("a")]),
    st.sampled_from([range(0), range(1), range(0, 1, 2), np.float64(1), np.int64(1), np.float32(1)]),
    st.sampled_from([pd.Timestamp("2026-01-01"), pd.Timestamp("2026-01-01", tz="UTC"), pd.Timedelta("1D")]),
)
_KEYS = st.one_of(
    st.sampled_from(["a", "b", "!a", "", 1, True, None, 1.0, "\ud800"]), st.tuples(st.sampled_from([1, 1.0]))
)
_NUMBERS = st.lists(st.sampled_from([0.0, -0.0, 1.0, math.nan]), max_size=3)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(inner, max_size=3)
    return st.one_of(
        lists,
        lists.map(tuple),
        lists.map(collections.deque),
        lists.map(Items),
        st.dictionaries(_KEYS, inner, max_size=3),
        st.dictionaries(_KEYS, inner, max_size=3).map(collections.OrderedDict),
        st.sets(_HASHABLE, max_size=3),
        st.frozensets(_HASHABLE, max_size=3),
        st.builds(Point, inner, inner),
        st.builds(Fixed, inner),
        st.builds(Verdict, score=inner),
        st.builds(Pair, inner, inner),
        st.builds(Plain, a=inner),
        st.builds(Slotted, inner),
    )


_ARRAYS = st.one_of(
    st.builds(np.array, _NUMBERS, st.sampled_from(["<f8", ">f8", "<f4", "<c16", object])),
    st.builds(
        np.array, st.lists(st.sampled_from([0, 1]), max_size=3), st.sampled_from(["<i8", "<u1", "?", "M8[s]", "<f8"])
    ),
    st.builds(pd.Series, _NUMBERS, name=st.sampled_from([None, "a"])),
    st.builds(lambda column, name: pd.DataFrame({name: column}), _NUMBERS, st.sampled_from(["a", "b"])),
    st.builds(lambda texts: pd.DataFrame({"a": texts}), st.lists(st.sampled_from(["", "a", "ab", None]), max_size=3)),
)
_VALUES = st.recursive(st.one_of(_HASHABLE, _ARRAYS), _containers, max_leaves=5)


def alike(one: Any, other: Any) -> bool:  # noqa: C901, PLR0912 - one line for each kind
    """Whether two values are equal at every depth, in type and content."""
    cls = type(one)
    if cls is not type(other):
        return False
    if isinstance(one, float | complex | np.floating):
        return _numbers_alike(one, other)
    if isinstance(one, decimal.Decimal):
        return str(one) == str(other)
    if isinstance(one, pd.DataFrame | pd.Series | np.ndarray):
        return _arrays_alike(one, other)
    if isinstance(one, dict):
        return _all_alike([*one.items()], [*other.items()])
    if isinstance(one, list | tuple | collections.deque):
        return _all_alike([*one], [*other])
    if isinstance(one, set | frozenset):
        rest = [*other]
        for item in one:
            same = next((number for number, each in enumerate(rest) if alike(item, each)), None)
            if same is None:
                return False
            del rest[same]
        return not rest
    if isinstance(one, BaseModel):
        return alike(vars(one), vars(other)) and one.model_fields_set == other.model_fields_set
    if dataclasses.is_dataclass(one) and not isinstance(one, type):
        return all(alike(getattr(one, field.name), getattr(other, field.name)) for field in dataclasses.fields(one))
    if isinstance(one, Plain):
        return alike(vars(one), vars(other))
    if isinstance(one, Slotted):
        return alike(one.x, other.x)
    if isinstance(one, dt.datetime | dt.time):
        return str(one) == str(other) and one.fold == other.fold
    if isinstance(one, range):
        return (one.start, one.stop, one.step) == (other.start, other.stop, other.step)
    return bool(one == other)


def _numbers_alike(one: Any, other: Any) -> bool:
    parts = [(number.real, number.imag) for number in (one, other)]
    return all(
        (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
        for a, b in zip(*parts, strict=True)
    )


def _all_alike(some: list[Any], others: list[Any]) -> bool:
    return len(some) == len(others) and all(map(alike, some, others))


def _arrays_alike(one: Any, other: Any) -> bool:
    if isinstance(one, pd.DataFrame):
        return [*one.columns] == [*other.columns] and all(_arrays_alike(one[name], other[name]) for name in one.columns)
    if isinstance(one, pd.Series) and (one.name != other.name or not one.index.equals(other.index)):
        return False
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if one.dtype.kind == "M":
        return bool((one == other).all())
    return _all_alike(one.tolist(), other.tolist())


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(_VALUES, _VALUES)
def test_arguments_make_the_same_call_exactly_if_they_are_equal(one: Any, other: Any) -> None:
    assert (form(one) == form(other)) == alike(one, other)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(_VALUES, st.data())
def test_an_argument_with_one_change_within_is_another_call(value: Any, data: st.DataObject) -> None:
    other = data.draw(_HASHABLE)
    wrapped = [{"a": (value, [value])}, value]
    changed = [{"a": (value, [other])}, value]
    assert (form(wrapped) == form(changed)) == alike(value, other)


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_a_copy_by_json_is_the_same_argument(value: Any) -> None:
    text = json.dumps(value)
    copied = json.loads(text)
    assume(alike(copied, value))
    assert form(copied) == form(value)


_PROGRAM = """
import json, warnings
warnings.simplefilter("ignore")
from tests.keys.functions import test_arguments, test_arrays_and_frames, test_edits
forms = [test_arguments.form(make()) for make in [*test_arguments.MAKERS, *test_arrays_and_frames.MAKERS]]
codes = [test_edits.identity(source).document.decode() for _, source, _, _ in test_edits.EDITED]
print(json.dumps([forms, codes]))
"""


def test_another_process_with_another_hash_seed_makes_the_same_keys() -> None:
    made = [
        subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            check=True,
            capture_output=True,
            text=True,
            timeout=110,
            cwd=ROOT,
        ).stdout
        for seed in ("1", "2")
    ]
    (forms, codes), again = map(json.loads, made)
    assert [forms, codes] == again
    assert len({*forms}) == len(forms) > 250
    assert len(codes) > 80
