"""Copies of plain values."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcache.keys.json_text import copier, copy_plain

_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(["\ud800", 2**70])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=4)),
)


def exactly(value: Any) -> str:
    """A text that tells 1 from True and from 1.0, and NaN from null."""
    return repr(value)


@given(value=st.dictionaries(st.text(max_size=3), _VALUES, max_size=4))
def test_a_copier_makes_what_a_deep_copy_is(value: dict[str, Any]) -> None:
    was = exactly(value)
    copied = copier(value)
    assert exactly(copied()) == was == exactly(copy_plain(value))


@pytest.mark.parametrize(
    "inner",
    [[1, True, 1.0], {"a": {"b": [{}]}}, [float("nan")], {1: 2}, (1, [2]), {1, 2}, [Decimal(1)], [2**70], ["\ud800"]],
    ids=repr,
)
def test_neither_the_value_nor_a_copy_is_changed_with_another(inner: Any) -> None:
    value = {"x": inner, "y": 1, "z": {"w": [1]}}
    was = exactly(value)
    copied = copier(value)
    value["z"]["w"].append(2)
    value["y"] = 2
    first = copied()
    assert exactly(first) == was
    first["z"]["w"].append(3)
    first["x"] = None
    assert exactly(copied()) == was
