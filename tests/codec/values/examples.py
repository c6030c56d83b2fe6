"""Values of every kind that a function may return, and an exact comparison of two values."""

import collections
import dataclasses
import enum
import logging
import math
import pathlib
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import pydantic.dataclasses
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult
from langchain_core.prompt_values import ChatPromptValue, StringPromptValue
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, RootModel

T = TypeVar("T")
LOG = "tests.codec.values"  # where the classes below say that their code runs


class Verdict(BaseModel):
    """A model with all that a model may have."""

    model_config = ConfigDict(extra="allow")
    score: int
    reason: str = Field(default="none", alias="why")
    _seen: list[int] = PrivateAttr(default_factory=list)

    def model_post_init(self, context: Any) -> None:
        """Say that it runs."""
        logging.getLogger("tests.codec.values").warning("Verdict")


class Box(BaseModel, Generic[T]):
    """A generic model."""

    content: T


class Scores(RootModel[list[float]]):
    """A model that is a list."""


class Tally(BaseModel):
    """A model with a model in it."""

    verdicts: list[Verdict]
    by_name: dict[str, tuple[int, ...]] = {}


@dataclasses.dataclass(frozen=True)
class Point:
    """A frozen dataclass."""

    x: float
    y: float = 0.0
    sum: float = dataclasses.field(init=False, default=0.0)

    def __post_init__(self) -> None:
        logging.getLogger("tests.codec.values").warning("Point")
        object.__setattr__(self, "sum", self.x + self.y)


@dataclasses.dataclass(slots=True)
class Slotted:
    """A dataclass without a dict."""

    name: str
    items: list[Any] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Node:
    """A dataclass of dataclasses, with an attribute that is no field."""

    children: list["Node"]
    label: str = ""

    def __post_init__(self) -> None:
        self.depth: int = 1 + max((child.depth for child in self.children), default=0)


@pydantic.dataclasses.dataclass
class Checked:
    """A dataclass of pydantic's."""

    number: int


class Colour(enum.Enum):
    """Members with values of several kinds."""

    RED = 1
    GREEN = ("g", [1])


class Access(enum.Flag):
    """Members that can be united."""

    READ = 1
    WRITE = 2


class Level(enum.IntEnum):
    """Members that are numbers."""

    LOW = 1


class Pair(NamedTuple):
    """A named tuple with types."""

    first: Any
    second: Any = None


class Labelled(collections.namedtuple("Labelled", "name")):  # noqa: PYI024, SLOT002 - as users write it
    """A named tuple with a dict."""


class Outer:
    """A class with one within."""

    @dataclasses.dataclass
    class Inner:
        """A dataclass within."""

        x: int


def verdict() -> Verdict:
    """A model with a private attribute, and a value beyond its fields."""
    made = Verdict(score=3, why="so", beyond=[1, (2,)])
    made._seen.append(7)
    return made


def labelled() -> Labelled:
    """A named tuple with an attribute."""
    made = Labelled("a")
    made.extra = 1  # type: ignore[attr-defined]
    return made


_DAY = datetime.fromisoformat("2025-10-26T02:30")
EXAMPLES: dict[str, Any] = {
    "none": None,
    "bool": True,
    "int": -7,
    "int of 64 bits": 2**63,
    "int of many digits": -(10**6000) + 7,
    "float": 0.1,
    "nan": math.nan,
    "infinity": -math.inf,
    "minus zero": -0.0,
    "complex": complex(-0.0, math.nan),
    "text": "What is a 🌧?",
    "empty text": "",
    "half an emoji": "\ud83d",
    "bytes": b"\x00\xff",
    "long bytes": bytes(range(256)) * 40,
    "bytearray": bytearray(b"abc" * 2000),
    "tuple": (1, (1.0, True), [None]),
    "list": [1, [2, [3.5, "x"]], {}],
    "dict": {"b": 1, "a": {"c": [None]}},
    "dict with our names": {"#kind": "set", "items": [1]},
    "dict with the codec's names": {"!tuple": [1], "!!x": {"!bytes": "eA=="}, "!": 2},
    "dict with other names": {1: "a", (1, "x"): 2, None: 3, 2.5: 4, Colour.RED: 5, Point(1.0): 6},
    "ordered dict": collections.OrderedDict([("b", 1), ("a", (2,))]),
    "default dict": collections.defaultdict(list, {"a": [1], 2: []}),
    "default dict without a factory": collections.defaultdict(None, {"a": 1}),
    "counter": collections.Counter({"a": 3, "b": -1, "c": 0}),
    "deque": collections.deque([1, "a", (2,)], maxlen=5),
    "deque without an end": collections.deque(),
    "set": {1, "a", None, (1, 2)},
    "frozenset": frozenset({frozenset({1}), Level.LOW, Pair(1, "a")}),
    "range": range(10, 2**70, 3),
    "slice": slice(None, (1, 2), 3),
    "datetime": datetime.fromisoformat("2025-01-02T03:04:05.000006"),
    "datetime in UTC": datetime(2025, 1, 2, tzinfo=UTC),
    "datetime at an offset": datetime(2025, 1, 2, tzinfo=timezone(timedelta(hours=-3, seconds=7), "X")),
    "datetime in a zone": datetime(2025, 7, 2, tzinfo=ZoneInfo("Europe/Berlin")),
    "the second of two equal hours": _DAY.replace(tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
    "date": date(1, 1, 1),
    "time": time(23, 59, 59, 999999, fold=1),
    "time at an offset": time(1, tzinfo=UTC),
    "timedelta": timedelta(days=-1, microseconds=1),
    "timezone": timezone(timedelta(minutes=90)),
    "zone": ZoneInfo("Asia/Kathmandu"),
    "decimal": Decimal("1.500"),
    "decimal nan": Decimal("sNaN12"),
    "decimal minus zero": Decimal("-0E+3"),
    "fraction": Fraction(-(10**30), 7),
    "uuid": UUID("12345678-1234-5678-1234-567812345678"),
    "path": pathlib.Path("/tmp/ä"),
    "pure path": pathlib.PureWindowsPath("C:\\x"),
    "pattern": re.compile(r"(?i)a+", re.MULTILINE),
    "pattern of bytes": re.compile(b"\xff"),
    "ellipsis": [..., NotImplemented],
    "enum": [Colour.RED, Colour.GREEN, Level.LOW],
    "flag": [Access.READ | Access.WRITE, Access(0), Access.READ],
    "named tuple": Pair(Point(1.0, 2.0), {"x": {1}}),
    "named tuple with attributes": labelled(),
    "dataclass": Point(1.5, math.nan),
    "dataclass with slots": Slotted("x", [Slotted("y")]),
    "dataclass with other attributes": Node([Node([]), Node([Node([])])], "root"),
    "dataclass of pydantic's": Checked(3),
    "dataclass within a class": Outer.Inner(1),
    "classes": [int, Verdict, Point, Outer.Inner, Document],
    "pydantic object": verdict(),
    "pydantic objects": Tally(verdicts=[verdict(), Verdict(score=1)], by_name={"x": (1, 2)}),
    "pydantic object of a generic class": Box[int](content=1),
    "pydantic object of generic classes": Box[Box[Verdict]](content=Box[Verdict](content=verdict())),
    "pydantic object that is a list": Scores([1.0, math.inf]),
    "messages": [
        HumanMessage("hi"),
        AIMessage("ho", id="run-1", tool_calls=[{"name": "f", "args": {"x": [1]}, "id": "1"}]),
        ToolMessage("result", tool_call_id="1", artifact={"found": (1, 2)}),
        AIMessageChunk(content="part", id="x"),
    ],
    "documents": [Document("text", id="d1", metadata={"page": 3, "tags": {"a"}})],
    "generations": [ChatGeneration(message=AIMessage("x", id="y")), Generation(text="z")],
    "result of a model": LLMResult(generations=[[Generation(text="a", generation_info={"n": 1})]], llm_output={"x": 1}),
    "prompt values": [StringPromptValue(text="a"), ChatPromptValue(messages=[HumanMessage("hi", id="7")])],
}


def exactly(one: Any, other: Any) -> bool:
    """Whether two values are the same in type and content all the way down, by another way than the codec's."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float | complex | Decimal):
        return repr(one) == repr(other)
    if isinstance(one, enum.Enum | type) or one is ... or one is NotImplemented:
        return one is other
    if isinstance(one, Mapping):
        same_items = len(one) == len(other) and all(
            exactly(*pair) for pair in zip([*one.items()], [*other.items()], strict=True)
        )
        return same_items and getattr(one, "default_factory", 0) == getattr(other, "default_factory", 0)
    if isinstance(one, list | tuple | collections.deque):
        inside = getattr(one, "maxlen", 0), getattr(other, "maxlen", 0), vars_of(one), vars_of(other)
        same_parts = inside[0] == inside[1] and exactly_or_empty(inside[2], inside[3])
        return len(one) == len(other) and same_parts and all(map(exactly, one, other))
    if isinstance(one, AbstractSet):
        return len(one) == len(other) and all(any(exactly(item, each) for each in other) for item in one)
    if isinstance(one, BaseModel):
        return exactly(_inside(one), _inside(other))
    if dataclasses.is_dataclass(one):
        names = {*vars_of(one), *(field.name for field in dataclasses.fields(one))}
        return all(exactly(getattr(one, name), getattr(other, name)) for name in sorted(names))
    if isinstance(one, datetime | time):
        return (repr(one), one.fold, repr(one.tzinfo)) == (repr(other), other.fold, repr(other.tzinfo))
    return bool(one == other)


def exactly_or_empty(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """As `exactly`, for the attributes of two objects, which most have not."""
    return one.keys() == other.keys() and all(exactly(one[name], other[name]) for name in one)


def vars_of(value: Any) -> dict[str, Any]:
    """The attributes of an object."""
    return getattr(value, "__dict__", {})


def _inside(model: BaseModel) -> list[Any]:
    fields = sorted(model.__pydantic_fields_set__)
    return [dict(sorted(vars(model).items())), fields, model.__pydantic_extra__, model.__pydantic_private__]
