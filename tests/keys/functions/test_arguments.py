"""Which arguments make the same call: those that are equal at every depth, in type and content."""

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import io
import itertools
import math
import pathlib
import random
import re
import socket
import sqlite3
import threading
import types
import typing
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from pydantic import BaseModel, HttpUrl, SecretStr

from nbcache.errors import UnstableIdentityError
from nbcache.keys.functions import FunctionKey, FunctionRules, class_digest


def judge(value: Any, other: Any = 2) -> Any:
    return value


def form(value: Any) -> str:
    """What counts of a call with this argument."""
    call = FunctionKey(typing.cast("types.FunctionType", judge), FunctionRules()).call((value,), {})
    return f"{call.identity.counted_prompt}{call.identity.document!r}"


class Color(enum.Enum):
    RED = 1
    BLUE = "blue"


class Level(enum.IntEnum):
    ONE = 1


class Way(enum.Flag):
    IN = 1
    OUT = 2


@dataclasses.dataclass
class Point:
    x: Any = 1
    y: Any = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Fixed:
    x: Any = 1


class Verdict(BaseModel):
    score: Any = 1
    why: str = ""


class Other(BaseModel):
    score: Any = 1
    why: str = ""


class Items(list[Any]):
    pass


class Names(dict[str, Any]):
    pass


class Text(str):
    note = ""
    __slots__ = ()


class Plain:
    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


class Slotted:
    __slots__ = ("x", "y")

    def __init__(self, x: Any) -> None:
        self.x = x


Pair = collections.namedtuple("Pair", "a b")  # noqa: PYI024


class Bare:
    pass


class Loud:
    """Its methods must not be needed to tell what it is."""

    def __init__(self, x: Any) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        raise AssertionError

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        raise AssertionError

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise AssertionError

    def __getattr__(self, name: str) -> Any:
        raise AssertionError


def helper() -> str:
    return "a"


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


UTC, CET = dt.UTC, zoneinfo.ZoneInfo("Europe/Berlin")
SHARED = [1, 2]
# Each makes a value, and makes an equal one when it is called again. No two make equal ones.
MAKERS: list[Callable[[], Any]] = [
    *(
        lambda value=value: value
        for value in (None, True, False, 0, 1, 1.0, 0.0, -0.0, 2**62, 2**64, -(2**64), 10**5000)
    ),
    *(
        lambda value=value: value
        for value in (math.inf, -math.inf, 1j, complex(1, -0.0), "", "1", "a", "é", "\ud800", "null")
    ),
    lambda: float("nan"),
    lambda: complex(math.nan, 1),
    lambda: "x" * 5000,
    lambda: "x" * 5001,
    lambda: b"a",
    lambda: b"a" * 5000,
    lambda: bytearray(b"a"),
    lambda: memoryview(b"a"),
    lambda: memoryview(bytearray(b"a")),
    lambda: memoryview(b"abcd").cast("H"),
    list,
    tuple,
    dict,
    set,
    frozenset,
    lambda: [1],
    lambda: [1.0],
    lambda: [True],
    lambda: [None],
    lambda: ["1"],
    lambda: [float("nan")],
    lambda: [-0.0, 0.0],
    lambda: (1,),
    lambda: ([1],),
    lambda: [(1,)],
    lambda: [[1, 2], [1, 2]],
    lambda: [[1, 2], (1, 2)],
    lambda: {"a": 1, "b": 2},
    lambda: {"b": 2, "a": 1},
    lambda: {"a": [1]},
    lambda: {1: "a"},
    lambda: {"1": "a"},
    lambda: {True: "a"},
    lambda: {None: "a"},
    lambda: {(1, 2): "a"},
    lambda: {"!tuple": [1]},
    lambda: {"!dict": [["a", 1]]},
    lambda: {"!!tuple": [1]},
    lambda: [["a", 1]],
    lambda: {"a": "\ud800"},
    lambda: {"\ud800": "a"},
    lambda: {"a": 2**70},
    lambda: {1, 2},
    lambda: {1.0, 2},
    lambda: {"1", "2"},
    lambda: {*map(str, range(100))},
    lambda: frozenset({1, 2}),
    lambda: {frozenset({1}), frozenset({2})},
    lambda: range(3),
    lambda: range(0, 3, 2),
    lambda: slice(1, 2),
    lambda: slice(1, 2, 3),
    lambda: ...,
    lambda: NotImplemented,
    lambda: collections.OrderedDict(a=1, b=2),
    lambda: collections.OrderedDict(b=2, a=1),
    lambda: collections.defaultdict(int, a=1),
    lambda: collections.defaultdict(list, a=1),
    lambda: collections.Counter(a=1),
    lambda: collections.deque([1]),
    lambda: collections.deque([1], maxlen=2),
    lambda: types.MappingProxyType({"a": 1}),
    lambda: types.SimpleNamespace(a=1),
    lambda: collections.UserDict(a=1),
    lambda: collections.ChainMap({"a": 1}),
    lambda: dt.date(2026, 1, 1),
    lambda: dt.datetime(2026, 1, 1),  # noqa: DTZ001
    lambda: dt.datetime(2026, 1, 1, microsecond=1),  # noqa: DTZ001
    lambda: dt.datetime(2026, 1, 1, tzinfo=UTC),
    lambda: dt.datetime(2026, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))),
    lambda: dt.datetime(2026, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1), "CET")),
    lambda: dt.datetime(2026, 1, 1, 1, tzinfo=CET),
    lambda: dt.datetime(2026, 10, 25, 2, 30, tzinfo=CET),
    lambda: dt.datetime(2026, 10, 25, 2, 30, tzinfo=CET, fold=1),
    lambda: dt.time(1),
    lambda: dt.time(1, tzinfo=UTC),
    lambda: dt.timedelta(1),
    lambda: dt.timedelta(seconds=1),
    lambda: UTC,
    lambda: CET,
    lambda: decimal.Decimal("1.0"),
    lambda: decimal.Decimal("1.00"),
    lambda: decimal.Decimal("NaN"),
    lambda: fractions.Fraction(1, 2),
    lambda: uuid.UUID(int=1),
    lambda: pathlib.PurePosixPath("a"),
    lambda: pathlib.Path("a"),
    lambda: pathlib.PureWindowsPath("a"),
    lambda: Color.RED,
    lambda: Color.BLUE,
    lambda: Level.ONE,
    lambda: Way.IN,
    lambda: Way.IN | Way.OUT,
    lambda: re.compile("a"),
    lambda: re.compile("a", re.IGNORECASE),
    lambda: re.compile(b"a"),
    lambda: int,
    lambda: Color,
    lambda: Point,
    lambda: Verdict,
    lambda: Other,
    lambda: list[int],
    lambda: list[str],
    lambda: typing.List[int],  # noqa: UP006
    lambda: int | None,
    lambda: typing.Literal["a"],
    lambda: typing.Literal[1],
    lambda: typing.Annotated[int, "a"],
    lambda: typing.Annotated[int, "b"],
    lambda: typing.Any,
    lambda: Callable[[int], str],
    Point,
    lambda: Point(2),
    lambda: Point([1]),
    Fixed,
    lambda: Fixed(2),
    Verdict,
    lambda: Verdict(score=1.0),
    lambda: Verdict(score=Verdict()),
    Other,
    lambda: Pair(1, 2),
    lambda: (1, 2),
    Items,
    lambda: Items([1]),
    lambda: Names(a=1),
    lambda: Text("a"),
    lambda: Plain(a=1),
    lambda: Plain(a=1, b=2),
    lambda: Plain(a=Plain()),
    lambda: Slotted(1),
    lambda: Slotted([2]),
    Bare,
    lambda: Loud(1),
    lambda: Loud(2),
    lambda: helper,
    lambda: lambda: 1,
    lambda: len,
    lambda: "a".upper,
    lambda: str.upper,
    lambda: Loud(1).__getattr__,
    lambda: functools.partial(helper),
    lambda: functools.partial(helper, *[1]),
    lambda: SecretStr("a"),
    lambda: SecretStr("b"),
    lambda: HttpUrl("https://example.com/a"),
    lambda: HumanMessage("a"),
    lambda: HumanMessage("a", id="1"),
    lambda: AIMessage("a"),
    lambda: Document("a"),
    lambda: Document("a", metadata={"b": 1}),
    lambda: ChatPromptTemplate.from_messages([("human", "{a}")]),
    lambda: ChatPromptTemplate.from_messages([("human", "{b}")]),
    lambda: nested(60),
    lambda: nested(61),
]


def test_equal_arguments_make_equal_calls() -> None:
    for number, make in enumerate(MAKERS):
        assert form(make()) == form(make()), (number, make())


def test_arguments_that_differ_make_different_calls() -> None:
    forms = collections.defaultdict(list)
    for make in MAKERS:
        forms[form(make())].append(make())
    assert [alike for alike in forms.values() if len(alike) > 1] == []


def test_a_value_that_stands_in_two_places_is_as_two_equal_ones() -> None:
    assert form([SHARED, SHARED]) == form([[1, 2], [1, 2]])


def test_a_value_that_is_shared_at_each_of_many_levels_takes_no_time() -> None:
    value: Any = []
    for _ in range(80):
        value = [value, value]
    assert form(value)


def test_how_arguments_are_written_does_not_count() -> None:
    def f(a: int, b: int = 2, *rest: int, c: int = 3, **others: int) -> None: ...
    def g(a: int, /, b: int = 2) -> None: ...

    def form_of(function: Any, *args: Any, **kwargs: Any) -> str | None:
        return FunctionKey(function, FunctionRules()).call(args, kwargs).identity.counted_prompt

    assert form_of(f, 1) == form_of(f, a=1) == form_of(f, 1, 2) == form_of(f, b=2, a=1) == form_of(f, 1, c=3)
    assert form_of(f, 1, x=1, y=2) == form_of(f, 1, y=2, x=1) != form_of(f, 1, x=2, y=1)
    assert form_of(f, 1, 2, 3, 4) != form_of(f, 1, 2, 4, 3)
    assert form_of(g, 1) == form_of(g, 1, b=2)


@pytest.mark.parametrize("given", [((), {}), ((1, 2, 3), {}), ((1,), {"a": 1}), ((1,), {"z": 1})], ids=str)
def test_arguments_that_the_function_does_not_take_raise_its_type_error(given: Any) -> None:
    def f(a: int, b: int = 2) -> None: ...

    with pytest.raises(TypeError):
        FunctionKey(typing.cast("types.FunctionType", f), FunctionRules()).call(*given)


def recursive() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


def in_circles() -> Any:
    value = Plain()
    value.other = {"a": [value, value]}  # type: ignore[attr-defined]
    return value


UNSTABLE: list[Callable[[], Any]] = [
    object,
    lambda: io.StringIO("a"),
    lambda: io.BytesIO(b"a"),
    lambda: iter([1]),
    lambda: (number for number in range(3)),
    lambda: map(str, [1]),
    itertools.count,
    threading.Lock,
    threading.RLock,
    threading.Event,
    threading.local,
    lambda: sqlite3.connect(":memory:"),
    socket.socket,
    random.Random,
    lambda: Plain(lock=threading.Lock()),
    lambda: [{"a": (threading.Lock(),)}],
    recursive,
    in_circles,
    lambda: ValueError("a"),
    lambda: types.FunctionType(compile("x", "", "eval"), globals()).__code__,
]


@pytest.mark.parametrize("make", UNSTABLE, ids=map(str, range(len(UNSTABLE))))
def test_what_can_not_be_told_apart_has_no_key_and_the_error_names_the_argument(make: Callable[[], Any]) -> None:
    value = make()
    with pytest.raises(UnstableIdentityError, match=r"judge .*'value'.*ignore=\('value',\)"):
        form(value)
    if hasattr(value, "close"):
        value.close()


def test_an_ignored_argument_does_not_count() -> None:
    def f(client: Any, question: str, **others: Any) -> None: ...

    key = FunctionKey(typing.cast("types.FunctionType", f), FunctionRules(ignore=frozenset({"client", "lock"})))
    call = key.call((threading.Lock(), "a"), {"lock": threading.Lock()})
    assert call.identity == key.call((None, "a"), {}).identity != key.call((None, "b"), {}).identity
    assert "client" not in call.prompt


def test_people_read_the_call_without_its_secrets() -> None:
    def ask(question: str, api_key: str, options: Any, secret: Any) -> None: ...

    key = FunctionKey(typing.cast("types.FunctionType", ask), FunctionRules())
    call = key.call(("Why?", "sk-one", {"password": "two", "n": 1}, SecretStr("three")), {})
    assert call.prompt.endswith(
        "ask(question='Why?', api_key='**********', options={'password': '**********', 'n': 1}, "
        "secret=SecretStr('**********'))"
    )
    stored = f"{call.prompt}{call.identity.counted_prompt}{call.identity.document!r}"
    assert not any(secret in stored for secret in ("sk-one", "two", "three"))
    assert call.identity != key.call(("Why?", "sk-two", {"password": "two", "n": 1}, SecretStr("three")), {}).identity


def test_a_class_is_recognised_by_its_code() -> None:
    def made(body: str) -> type:
        namespace: dict[str, Any] = {"__name__": "__main__"}
        exec(f"class C:\n    {body}", namespace)
        return typing.cast("type", namespace["C"])

    assert class_digest(made("x = 1")) == class_digest(made("x = 1")) != class_digest(made("x = 2"))
    assert class_digest(int) == class_digest(int) != class_digest(float)
    assert class_digest(BaseModel) != class_digest(Document)


def test_an_object_of_another_class_of_the_same_name_is_another_argument() -> None:
    def made(body: str) -> Any:
        namespace: dict[str, Any] = {"__name__": "__main__"}
        exec(f"class C:\n    def x(self): return {body}", namespace)
        return namespace["C"]()

    assert form(made("1")) == form(made("1")) != form(made("2"))


def test_a_cached_property_that_was_computed_does_not_count() -> None:
    class Judge:
        def __init__(self) -> None:
            self.x = 1

        @functools.cached_property
        def lock(self) -> Any:
            return threading.Lock()

    value = Judge()
    before = form(value)
    assert value.lock
    assert form(value) == before
