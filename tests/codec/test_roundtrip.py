"""What is stored comes back as it was: same values of the same types. What doesn't is not kept, and said once."""

import enum
import json
import subprocess
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import openai
import pytest
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, Generation
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion
from openai.types.completion_usage import CompletionTokensDetails, PromptTokensDetails
from pydantic import BaseModel

import nbcache
from nbcache.codec import messages
from nbcache.codec import payload as codec
from nbcache.codec.json_values import from_plain, to_plain
from nbcache.codec.roundtrip import same
from nbcache.errors import NbcacheWarning, NotStorableError
from tests.codec.test_payload import HEADER
from tests.servers.provider import Provider

USAGE = CompletionUsage(
    prompt_tokens=3,
    completion_tokens=5,
    total_tokens=8,
    completion_tokens_details=CompletionTokensDetails(reasoning_tokens=2),
    prompt_tokens_details=PromptTokensDetails(cached_tokens=1),
)
VALUE: Any = None


class Mine(BaseChatModel):
    """Keeps a value in its answers, somewhere."""

    place: str = "response_metadata"

    @property
    def _llm_type(self) -> str:
        return "mine"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"place": self.place}

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        told = {"value": VALUE}
        if self.place == "generation_info":
            return ChatResult(generations=[ChatGeneration(message=AIMessage("hi"), generation_info=told)])
        if self.place == "llm_output":
            return ChatResult(generations=[ChatGeneration(message=AIMessage("hi"))], llm_output=told)
        return ChatResult(generations=[ChatGeneration(message=AIMessage("hi", **{self.place: told}))])

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk(content="hi"))
        yield ChatGenerationChunk(message=AIMessageChunk(content="", response_metadata={"value": VALUE}))


def kept(message: AIMessage) -> Any:
    return {**message.response_metadata, **message.additional_kwargs}["value"]


@pytest.fixture(autouse=True)
def installed(tmp_path: Path) -> Iterator[None]:
    nbcache.install(tmp_path / "store")
    yield
    globals()["VALUE"] = None


PLACES = ("response_metadata", "additional_kwargs", "generation_info", "llm_output")


@pytest.mark.parametrize("place", PLACES)
def test_an_answer_that_keeps_the_sdks_usage_is_a_hit(place: str) -> None:
    global VALUE  # noqa: PLW0603 - what the model answers
    VALUE = USAGE
    model = Mine(place=place)
    live, hit = model.invoke("q"), model.invoke("q")
    assert same(kept(hit), kept(live))
    assert type(kept(hit)) is CompletionUsage
    assert kept(hit) is not kept(model.invoke("q"))  # whoever changes one changes no other
    kept(hit).total_tokens = 0
    assert kept(model.invoke("q")) == USAGE
    assert (nbcache.stats().hits, nbcache.stats().misses) == (3, 1)
    assert not nbcache.plan().misses


def test_a_streamed_answer_that_keeps_it_is_played() -> None:
    global VALUE  # noqa: PLW0603 - as above
    VALUE = USAGE
    live, hit = list(Mine().stream("q")), list(Mine().stream("q"))
    assert [same(chunk.response_metadata, other.response_metadata) for chunk, other in zip(live, hit, strict=True)] == [
        True
    ] * 3
    assert nbcache.stats().hits == 1


def test_a_whole_response_of_the_sdk_is_a_hit_and_is_replayed(provider: Provider, tmp_path: Path) -> None:
    global VALUE  # noqa: PLW0603 - as above
    with nbcache.mode("off"):
        VALUE = openai.OpenAI(**provider.openai).chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}]
        )
    live = Mine().invoke("q")
    assert nbcache.export_cassette(tmp_path / "x.jsonl").entries == 1
    nbcache.install("memory://", mode="replay", cassette=tmp_path / "x.jsonl")
    hit = Mine().invoke("q")
    assert type(kept(hit)) is ChatCompletion
    assert same(kept(hit), kept(live))
    assert kept(hit).choices[0].message.content == kept(live).choices[0].message.content


def test_where_the_sdk_is_not_imported_it_is_a_miss_and_nothing_is_imported(tmp_path: Path) -> None:
    script = """
import sys
from nbcache.errors import NotStorableError
from nbcache.codec.json_values import from_plain
import json
try: from_plain(json.loads(sys.argv[1]))
except NotStorableError as error: print(error)
print("openai" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(to_plain(USAGE))], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "a openai.types.completion_usage.CompletionUsage object, whose class is not imported here",
        "False",
    ]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("openai.types.completion_usage", "BaseModel"),  # stands there, but is another module's
        ("openai.types.completion_usage", "CompletionUsage.__init__"),
        ("openai", "OpenAI"),
        ("langchain_core.documents.base", "Document"),
        ("langchain_openai.chat_models.base", "ChatOpenAI"),
        ("os", "environ"),
        ("openai.types.nowhere", "X"),
        (3, "X"),
    ],
)
def test_a_planted_object_of_another_class_is_refused(module: Any, name: str) -> None:
    told = {"module": module, "name": name, "lacking": [], "fields": {}, "set": [], "extra": None, "private": None}
    with pytest.raises(NotStorableError):
        from_plain({"!object": told})


def test_no_code_of_the_class_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    told = to_plain(USAGE)

    def runs(*args: Any, **kwargs: Any) -> None:
        raise AssertionError

    for name in ("__init__", "__setattr__", "model_validate", "model_validate_json", "model_construct"):
        monkeypatch.setattr(CompletionUsage, name, runs)
    assert same(from_plain(told), USAGE)


def test_a_field_that_the_class_has_gained_since_has_its_default() -> None:
    told = to_plain(USAGE)
    del told["!object"]["fields"]["prompt_tokens_details"]
    assert from_plain(told).prompt_tokens_details is None
    del told["!object"]["fields"]["total_tokens"]  # it has none
    with pytest.raises(NotStorableError):
        from_plain(told)


class AttrDict(dict[str, Any]): ...


class Text(str):
    __slots__ = ()


class Number(int): ...


class Colour(enum.Enum):
    RED = 1


class Word(enum.StrEnum):
    RED = "red"


class Pair(NamedTuple):
    a: int
    b: int


@dataclass
class Counts:
    tokens: int


class Inner(BaseModel):
    tokens: int


class Outer(BaseModel):
    inner: Inner
    others: list[Inner]
    when: datetime


class Silent(BaseModel):
    """Its JSON doesn't give it back."""

    value: Any = None


class Own(AIMessage):
    mine: int = 0


COMES_BACK = {
    "nan": float("nan"),
    "infinity": float("-inf"),
    "minus zero": -0.0,
    "a huge number": 2**200,
    "bytes": b"\0\xff",
    "sets": {"a": {1, 2}, "b": frozenset({"x"})},
    "a tuple": (1, (2, [3])),
    "an offset": datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2))),
    "utc": datetime(2026, 1, 1, tzinfo=UTC),
    "a decimal": Decimal("1.10"),
    "a uuid": UUID(int=7),
    "keys that are no texts": {1: "a", None: "b", (1, 2): "c"},
    "what looks like a tag": {"!int": "3", "!!x": 1, "!object": {}},
    "nested pydantic": Outer(inner=Inner(tokens=1), others=[Inner(tokens=2)], when=datetime(2026, 1, 1, tzinfo=UTC)),
    "half an emoji": "\ud83d",
    "deep": json.loads("[" * 200 + "]" * 200),
}
DOES_NOT: dict[str, Callable[[], Any]] = {
    "a named zone": lambda: datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Zurich")),
    "a float of numpy": lambda: np.float64(1.5),
    "an array": lambda: np.arange(3),
    "an enum": lambda: Colour.RED,
    "a text enum": lambda: Word.RED,
    "a class's own text": lambda: Text("x"),
    "a class's own number": lambda: Number(3),
    "a bool of numpy": lambda: np.bool_(True),
    "attributes": lambda: AttrDict(a=1),
    "an ordered dict": lambda: OrderedDict(a=1),
    "a default dict": lambda: defaultdict(int, a=1),
    "a named tuple": lambda: Pair(1, 2),
    "a dataclass": lambda: Counts(3),
    "any object": lambda: SimpleNamespace(a=1),
    "a model that loses something": lambda: Silent(value=(1, 2)),
    "a message": lambda: HumanMessage("x"),
    "a document": lambda: Document("x"),
    "a class that is nowhere": lambda: _local()(tokens=1),
    "in a list": lambda: [{"a": [1, Counts(3)]}],
}


def _local() -> type[BaseModel]:
    class Local(BaseModel):
        tokens: int

    return Local


@pytest.mark.parametrize("name", COMES_BACK)
@pytest.mark.parametrize("place", PLACES)
def test_what_has_a_form_comes_back_as_it_was(name: str, place: str) -> None:
    global VALUE  # noqa: PLW0603 - as above
    VALUE = COMES_BACK[name]
    live, hit = Mine(place=place).invoke("q"), Mine(place=place).invoke("q")
    assert nbcache.stats().hits == 1
    assert same(kept(hit), kept(live))


@pytest.mark.parametrize("name", DOES_NOT)
@pytest.mark.parametrize("place", PLACES)
def test_what_has_none_is_not_kept_and_named_once(name: str, place: str) -> None:
    global VALUE  # noqa: PLW0603 - as above
    VALUE = DOES_NOT[name]()
    model = Mine(place=place)
    with pytest.warns(NbcacheWarning, match=r"is not cached, because its \S*\.value\S* \(a \S+ object\)") as warned:
        assert kept(model.invoke("q")) is VALUE
    model.invoke("q")
    assert len(warned) == 1
    assert (nbcache.stats().entries, nbcache.stats().hits, nbcache.stats().errors) == (0, 0, 0)


def test_a_message_of_a_class_of_ones_own_is_not_kept() -> None:
    class Answers(Mine):
        def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
            return ChatResult(generations=[ChatGeneration(message=Own(content="hi", mine=3))])

    with pytest.warns(NbcacheWarning, match=r"because it \(a .*Own object\) would not come back"):
        assert isinstance(Answers().invoke("q"), Own)
    assert nbcache.stats().entries == 0


def test_each_shape_is_read_back_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Any] = []
    restored = messages.restored

    def counted(*args: Any, **options: Any) -> Any:
        reads.append(args)
        return restored(*args, **options)

    monkeypatch.setattr("nbcache.codec.payload.restored", counted)
    for tokens in range(3):
        value = USAGE.model_copy(update={"total_tokens": tokens})
        codec.encode([Generation(text="x", generation_info={"never seen": value})], HEADER, reusable=True, classes=())
    assert len(reads) == 1
    with pytest.raises(NotStorableError):  # another shape
        codec.encode(
            [Generation(text="x", generation_info={"never seen": HumanMessage("x")})], HEADER, reusable=True, classes=()
        )
