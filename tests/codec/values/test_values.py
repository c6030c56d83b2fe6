"""The value of a function comes back equal, of the same type and as a new object, or is refused; nothing is executed."""

import collections
import dataclasses
import math
import re
import subprocess
import sys
import types
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.outputs import Generation
from langchain_openai import ChatOpenAI

from nbcache.codec.payload import encode, read
from nbcache.codec.values import as_generation, value_in
from nbcache.errors import DamagedError, NotStorableError
from tests.codec.test_payload import HEADER, KEY
from tests.codec.values import examples
from tests.codec.values.examples import EXAMPLES, Box, Colour, Node, Pair, Point, Slotted, Verdict, exactly
from tests.support.paths import ROOT


def stored(value: Any, function: types.FunctionType | None = None) -> bytes:
    """The payload of an entry that holds `value`."""
    return encode([as_generation(value, function)], HEADER, reusable=True, classes=())


def loaded(payload: bytes, function: types.FunctionType | None = None) -> Any:
    (generation,) = read(payload, KEY).generations()
    return value_in(generation, function)


def back(value: Any) -> Any:
    return loaded(stored(value))


def refusal(value: Any) -> str:
    with pytest.raises(NotStorableError) as caught:
        as_generation(value)
    return str(caught.value)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_value_comes_back_equal_and_of_the_same_type(name: str) -> None:
    value = EXAMPLES[name]
    assert exactly(back(value), value)
    assert exactly(back([{"x": value}]), [{"x": value}])


def test_a_value_comes_back_in_another_process(tmp_path: Path) -> None:
    for number, value in enumerate(EXAMPLES.values()):
        (tmp_path / f"{number}.bin").write_bytes(stored(value))
    program = (
        "import sys, pathlib\n"
        "import logging\n"
        "from tests.codec.values.examples import EXAMPLES, LOG, exactly\n"
        "from tests.codec.values.test_values import loaded\n"
        "ran = []\n"
        "logging.getLogger(LOG).addFilter(ran.append)\n"
        "for number, (name, value) in enumerate(EXAMPLES.items()):\n"
        "    came = loaded((pathlib.Path(sys.argv[1]) / f'{number}.bin').read_bytes())\n"
        "    assert exactly(came, value), name\n"
        "assert not ran, ran\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert not done.returncode, done.stderr


def test_each_value_is_a_new_object() -> None:
    value = {"list": [1], "set": {1}, "model": Verdict(score=1), "node": Node([])}
    payload = stored(value)
    one, other = loaded(payload), loaded(payload)
    one["list"].append(2)
    one["set"].add(2)
    one["model"].score = 5
    one["node"].children.append(one["node"])
    assert exactly(other, {"list": [1], "set": {1}, "model": Verdict(score=1), "node": Node([])})
    (generation,) = read(payload, KEY).generations()
    value_in(generation)["list"].append(3)
    assert value_in(generation)["list"] == [1]


def test_a_value_that_is_changed_after_it_was_written_comes_back_as_it_was() -> None:
    value: Any = [[1], {"a": [2]}]
    generation = as_generation(value)
    value[0].append(9)
    value[1]["a"].append(9)
    assert value_in(generation) == [[1], {"a": [2]}]


def test_a_list_that_is_there_twice_comes_back_as_two_equal_lists() -> None:
    part = [1]
    one, other = back([part, part])
    assert one == other == [1]
    assert one is not other


def test_neither_a_constructor_nor_a_validator_runs(caplog: pytest.LogCaptureFixture) -> None:
    value = [Point(1.0), Verdict(score=1)]
    payload = stored(value)
    assert {record.message for record in caplog.records} == {"Point", "Verdict"}
    caplog.clear()
    came = loaded(payload)
    assert not caplog.records
    assert exactly(came, value)


_WHEN = st.datetimes(timezones=st.one_of(st.none(), st.just(UTC), st.timezones()), allow_imaginary=True)
_LEAVES = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), st.binary(max_size=6000)),
    *(
        st.text(st.characters(codec=None)),
        st.decimals(),
        st.fractions(),
        st.uuids(),
        st.dates(),
        st.timedeltas(),
        _WHEN,
    ),
    *(st.times(), st.sampled_from(Colour), st.builds(Point, st.floats(), st.floats())),
)
_HASHABLE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(), st.binary(max_size=9), st.sampled_from(Colour)
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        *(st.lists(inner, max_size=5), st.lists(inner, max_size=5).map(tuple)),
        *(st.dictionaries(st.text(), inner, max_size=5), st.dictionaries(_HASHABLE, inner, max_size=5)),
        *(st.sets(_HASHABLE), st.frozensets(_HASHABLE), st.builds(collections.deque, st.lists(inner, max_size=3))),
        *(st.builds(Slotted, st.text(), st.lists(inner, max_size=3)), st.builds(Pair, inner, inner)),
        st.builds(lambda part: Box[Any](content=part), inner),
    ),
    max_leaves=12,
)


@given(_VALUES)
@settings(max_examples=300, deadline=None)
def test_any_value_comes_back_equal_and_of_the_same_type(value: Any) -> None:
    assert exactly(back(value), value)


def test_long_bytes_are_kept_raw() -> None:
    data = bytes(range(256)) * 4096
    noise = b"".join(number.to_bytes(4, "big") for number in range(0, 2**32, 2**14 + 7))
    payload = stored({"data": noise, "again": [data]})
    assert noise in payload
    assert len(payload) < len(noise) + len(data) / 3
    assert payload[3] == 4
    assert stored({"data": b"short"})[3] == 3


# What is refused


class Plain:
    """A class that is no data."""


@dataclasses.dataclass
class Guarded:
    """A dataclass whose objects do something at their end."""

    x: int = 1

    def __del__(self) -> None:
        self.x = 0


def made_in_a_function() -> Any:
    @dataclasses.dataclass
    class Local:
        x: int = 1

    return Local()


def holding_itself() -> list[Any]:
    value: list[Any] = [1]
    value.append({"again": (value,)})
    return value


class Text(str):
    """A text with a class of its own."""

    __slots__ = ()


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "an object": (Plain, r"it \(a tests.codec.values.test_values.Plain object\)"),
    "a part": (lambda: {"table": [0, {"b": Plain()}]}, r'its \["table"\]\[1\]\["b"\] \(a .*Plain object\)'),
    "an attribute": (lambda: [Slotted("x", [1, Plain()])], r"its \[0\]\.items\[1\] "),
    "a private attribute": (lambda: Box[Any](content={"a": Plain()}), r'its \.content\["a"\]'),
    "a name": (lambda: {Plain: 1, Plain(): 2}, r"its \[<tests.*\(a .*Plain object\)"),
    "an exception": (lambda: ValueError("x"), "ValueError"),
    "a function": (lambda: {"f": len}, "builtin_function_or_method"),
    "a generator": (lambda: (each for each in "ab"), "generator"),
    "a class made in a function": (made_in_a_function, "Local object, whose class is defined in a function"),
    "a text of another class": (lambda: [Text("x")], r"its \[0\] \(a .*Text object\)"),
    "a factory of the user's": (lambda: collections.defaultdict(Plain), "default_factory"),
    "what holds itself": (holding_itself, "it holds itself"),
    "a model": (lambda: ChatOpenAI(api_key="x", model="gpt-4o"), "no data"),
    "what acts at its end": (Guarded, "when it is deleted"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_not_come_back_is_refused_and_named(name: str) -> None:
    make, message = REFUSED[name]
    assert re.search(message, refusal(make()))


def test_what_is_nested_too_deeply_is_refused() -> None:
    value: Any = []
    for _ in range(5000):
        value = [value]
    assert "levels" in refusal(value)


# Classes


def test_a_class_that_is_gone_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = stored(Slotted("x"))
    monkeypatch.delattr(examples, "Slotted")
    with pytest.raises(NotStorableError, match="Slotted object, whose class is not here"):
        loaded(payload)


def test_a_class_that_is_another_by_now_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = stored(Slotted("x"))
    code = "import dataclasses\n@dataclasses.dataclass(slots=True)\nclass Slotted:\n    name: str\n    items: int = 3\n"
    place = {"__name__": examples.__name__}
    exec(code, place)
    monkeypatch.setattr(examples, "Slotted", place["Slotted"])
    with pytest.raises(NotStorableError, match="Slotted object, whose class is another by now"):
        loaded(payload)


def test_a_class_is_never_imported() -> None:
    (form,) = read(stored(Slotted("x")), KEY).plain()
    form["info"]["value"]["class"]["module"] = "antigravity"
    with pytest.raises(NotStorableError, match="not here"):
        value_in(Generation(text="", generation_info=form["info"]))
    assert "antigravity" not in sys.modules


def test_a_class_that_only_the_function_names_is_found_there() -> None:
    code = "import dataclasses\n@dataclasses.dataclass\nclass Found:\n    x: int\ndef find() -> list[Found]:\n    return [Found(1)]\n"
    place: dict[str, Any] = {"__name__": "no_such_module"}
    exec(code, place)
    find = place["find"]
    with pytest.raises(NotStorableError):
        as_generation(find())
    (came,) = loaded(stored(find(), find), find)
    assert type(came) is place["Found"]
    assert came == place["Found"](1)


# What somebody may have written

HOSTILE: dict[str, Any] = {
    "an unknown kind": {"#kind": "of tomorrow"},
    "a kind that is none": {"#kind": ["set"]},
    "a function as a class": {"#kind": "dataclass", "class": {"module": "os", "name": "system"}, "fields": {}},
    "a class that runs something": {
        "#kind": "dataclass",
        "class": {"module": "subprocess", "name": "Popen"},
        "fields": {},
    },
    "a class as a member": {"#kind": "enum", "class": {"module": "subprocess", "name": "Popen"}, "name": "x"},
    "no member": {"#kind": "enum", "class": {"module": "uuid", "name": "SafeUUID"}, "name": "__init__"},
    "a zone that is a path": {"#kind": "zone", "key": "../../etc/passwd"},
    "no zone": {"#kind": "zone", "key": 3},
    "a list in a set": {"#kind": "set", "items": [[1]]},
    "a wrong pattern": {"#kind": "pattern", "pattern": "(" * 5000, "flags": 0},
    "a wrong number": {"#kind": "int", "hex": "x"},
    "nothing": {"#kind": "datetime"},
    "a wrong class": {"#kind": "pydantic", "class": 3},
    "no pydantic class": {"#kind": "pydantic", "class": {"module": "uuid", "name": "SafeUUID"}},
    "a client": {
        "#kind": "pydantic",
        "class": {"module": "langchain_openai.chat_models.base", "name": "ChatOpenAI"},
        "fields": {"openai_api_base": "https://evil.example"},
        "set": [],
        "lacking": [],
        "extra": None,
        "private": None,
    },
    "depth": None,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_form_is_damage_or_missed_and_runs_nothing(name: str) -> None:
    form: Any = HOSTILE[name]
    if name == "depth":
        for _ in range(100_000):
            form = [form]
    with pytest.raises((DamagedError, NotStorableError)):
        value_in(Generation(text="", generation_info={"value": form}))


def test_what_is_no_value_is_damage() -> None:
    with pytest.raises(DamagedError):
        value_in(Generation(text="x"))


# What people read


def test_people_read_what_a_function_returned() -> None:
    assert as_generation("plain").text == "plain"
    assert as_generation("").text == "''"
    assert as_generation(None).text == "None"
    assert as_generation({"a": [1, "b\nc"], "d": (Point(1.0), Colour.RED)}).text == (
        "{'a': [1, 'b\nc'], 'd': (Point(x=1.0, y=0.0, sum=1.0), <Colour.RED: 1>)}"
    )
    assert as_generation(b"x" * 9000).text == "bytes of 9,000 bytes"


def test_the_text_of_a_large_value_is_bounded() -> None:
    assert len(as_generation("x" * 100_000).text) <= 10_001
    assert len(as_generation([{"name": "x" * 50}] * 100_000).text) <= 10_001
    assert len(as_generation(list(range(100_000))).text) <= 10_001


def test_a_value_whose_text_fails_is_stored_all_the_same() -> None:
    assert back(EXAMPLES["int of many digits"]) == EXAMPLES["int of many digits"]
    assert math.isnan(back(math.nan))


def test_an_edited_class_of_a_cell_is_missed() -> None:
    """A pydantic class that is defined anew with another field does not take the stored object."""
    module = types.ModuleType("cell_of_a_test")
    sys.modules["cell_of_a_test"] = module
    try:
        exec("from pydantic import BaseModel\nclass City(BaseModel):\n    name: str\n", vars(module))
        city: Any = vars(module)["City"]
        payload = stored(city(name="Bonn"))
        assert loaded(payload) == city(name="Bonn")
        exec("class City(BaseModel):\n    name: str\n    size: int = 3\n", vars(module))
        with pytest.raises(NotStorableError, match="another by now"):
            loaded(payload)
    finally:
        del sys.modules["cell_of_a_test"]
