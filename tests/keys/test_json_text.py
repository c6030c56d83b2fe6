"""JSON that is read, and copies of plain values."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcache.keys.json_text import copied_later, copier, copy_plain, parsed_strictly, written_json

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


@given(value=st.dictionaries(st.text(max_size=3), _VALUES, max_size=4))
def test_what_is_copied_later_is_the_value_as_it_was(value: dict[str, Any]) -> None:
    was = exactly(json.loads(json.dumps(value), parse_constant=lambda _: None))
    make = copied_later(value)
    for item in value.values():
        if isinstance(item, list | dict):
            item.clear()
    value.clear()
    made = make()
    assert exactly(json.loads(json.dumps(made), parse_constant=lambda _: None)) == was


def test_an_object_in_what_is_copied_later_stays_the_same() -> None:
    value = {"a": {"cost": Decimal("0.1"), "b": [1]}, "message": (other := object())}
    make = copied_later(value)
    value["a"]["b"].append(2)  # type: ignore[index]
    assert make() == {"a": {"cost": Decimal("0.1"), "b": [1]}, "message": other}


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


def test_a_value_with_many_containers_is_copied_and_one_that_holds_itself_is_refused() -> None:
    many: dict[str, Any] = {"x": [{"y": [number]} for number in range(2_000)]}
    copied = copier(many)
    first = copied()
    first["x"][1_999]["y"].append(1)
    assert copied() == many != first
    many["x"].append(many)
    with pytest.raises(RecursionError):
        copier(many)


@pytest.mark.parametrize(
    "text", [b'{"a":1,"a":1}', b'[{"a":{"b":1,"c":2,"b":1}}]', b'{"a":1,"\\u0061":2}', b'{"a": 1, "a": 2}']
)
def test_a_name_twice_in_one_object_is_refused(text: bytes) -> None:
    for written in (text, text.decode()):
        with pytest.raises(ValueError, match="twice"):
            parsed_strictly(written)


@pytest.mark.parametrize(
    "text", [b"18446744073709551616", b"1.0", b"-0", b"1e400", b'"\\ud83d"', b"[NaN]", b'{"a": 0.1}']
)
def test_json_read_strictly_is_what_the_standard_library_reads(text: bytes) -> None:
    assert repr(parsed_strictly(text)) == repr(json.loads(text))


def test_canonical_json_is_read_by_the_faster_library(monkeypatch: pytest.MonkeyPatch) -> None:
    value = {"messages": [{"content": 'caf\u00e9 "quoted"', "n": 0.1, "none": None}]}
    written = written_json(value)
    monkeypatch.setattr(json, "loads", None)
    assert parsed_strictly(written) == value
