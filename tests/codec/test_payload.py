"""Answers come back exactly as they were, or are not stored, or are found to be damaged; nothing is executed."""

import json
import math
import os
import pickle
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.load import dumpd
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk
from pydantic import BaseModel, ConfigDict, Field, create_model

from nbcache.codec import payload as codec
from nbcache.codec.header import EntryHeader
from nbcache.codec.json_values import from_plain, to_plain
from nbcache.codec.messages import copies_of
from nbcache.codec.payload import Payload, encode, read
from nbcache.entry.records import EntryMeta
from nbcache.errors import DamagedError, NotStorableError
from tests.support.naming import shown
from tests.support.paths import GOLDEN, ROOT

KEY = "0123456789abcdef0123456789abcdef01234567"
HEADER = EntryHeader(
    EntryMeta(KEY, "gpt-4o", "What is a monad?", "A monad is …", "ok", 1767225600.25, ("a", "b"), ("n.ipynb",), "c1"),
    prompt="What is a monad? 🌧",
    identity='{"fields":{}}',
    endpoint="https://api.openai.com/v1",
)


def payload(*generations: Generation, reusable: bool = True) -> bytes:
    return encode(generations, HEADER, reusable=reusable)


def back(*generations: Generation, classes: tuple[type[BaseModel], ...] = ()) -> list[Generation]:
    return read(payload(*generations), KEY).generations(classes)


def chat(message: BaseMessage, info: dict[str, Any] | None = None) -> ChatGeneration:
    return ChatGeneration(message=message, generation_info=info)


def value_back(value: Any, *classes: type[BaseModel]) -> Any:
    """`value` after a trip through an answer's `generation_info`."""
    (came,) = back(Generation(text="", generation_info={"value": value}), classes=classes)
    assert came.generation_info is not None
    return came.generation_info["value"]


def same(one: Any, two: Any) -> bool:
    """Equal all the way down, types included: 1 is neither 1.0 nor True, and nan is nan."""
    if type(one) is not type(two):
        return False
    if isinstance(one, dict):
        pairs = zip(one.items(), two.items(), strict=False)
        return len(one) == len(two) and all(same(a, c) and same(b, d) for (a, b), (c, d) in pairs)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(two)) or (one == two and math.copysign(1, one) == math.copysign(1, two))
    return bool(one == two) or repr(one) == repr(two)


def assert_same_message(came: BaseMessage, went: BaseMessage) -> None:
    """Equal in every respect but the id, which is new."""
    assert type(came) is type(went)
    assert came.id != went.id
    assert came.id is not None
    for told in ("__dict__", "__pydantic_extra__"):
        one, two = dict(getattr(came, told) or {}), dict(getattr(went, told) or {})
        assert one.keys() == two.keys()
        for name in one.keys() - {"id"}:
            assert same(one[name], two[name]), name


# What language models return


CALL: Any = {"name": "weather", "args": {"city": "Köln", "days": 2}, "id": "call_1", "type": "tool_call"}
USAGE = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12, "input_token_details": {"cache_read": 3}}
LOOKS_SERIALISED = {
    "lc": 1,
    "type": "constructor",
    "id": ["langchain", "schema", "messages", "AIMessage"],
    "kwargs": {},
}
BLOCKS: list[Any] = [
    {"type": "reasoning", "reasoning": "hm", "id": "rs_1", "extras": {"signature": "abc=="}},
    {"type": "thinking", "thinking": "hm", "signature": "xyz"},
    {"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png"},
    {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
    {
        "type": "text",
        "text": "Berlin",
        "annotations": [{"type": "citation", "url": "https://x", "start_index": 0, "end_index": 3, "cited_text": "x"}],
    },
    "and a plain string",
]
MESSAGES: dict[str, BaseMessage] = {
    "text": AIMessage("Hello 🌧"),
    "nothing": AIMessage(""),
    "empty content list": AIMessage([]),
    "content blocks": AIMessage(BLOCKS),
    "tool call": AIMessage("", tool_calls=[CALL]),
    "several tool calls": AIMessage(
        "", tool_calls=[{"name": "f", "args": {}, "id": "1"}, {"name": "f", "args": {"x": None}, "id": None}]
    ),
    "invalid tool call": AIMessage(
        "", invalid_tool_calls=[{"name": "f", "args": '{"x', "id": "1", "error": "JSON", "type": "invalid_tool_call"}]
    ),
    "additional_kwargs": AIMessage("", additional_kwargs={"refusal": None, "function_call": {"arguments": "{}"}}),
    "response_metadata": AIMessage("x", response_metadata={"model_name": "gpt-4o", "n": 1, "f": 1.0, "nothing": None}),
    "usage": AIMessage("x", usage_metadata=cast("Any", USAGE)),
    "logprobs": AIMessage("x", response_metadata={"logprobs": {"content": [{"token": "x", "logprob": -1e-7}]}}),
    "name and extras": AIMessage("x", name="bot", of_tomorrow=[1], another={"!model": 1}, example=True),
    "chunk": AIMessageChunk(
        content="x",
        tool_call_chunks=[{"name": "f", "args": '{"a": 1}', "id": "1", "index": 0, "type": "tool_call_chunk"}],
        usage_metadata=cast("Any", USAGE),
        chunk_position="last",
    ),
    "looks serialised": AIMessage("x", additional_kwargs={"a": LOOKS_SERIALISED}, response_metadata=LOOKS_SERIALISED),
    "half an emoji": AIMessage("\ud83d", response_metadata={"\ud83d": "\ude00"}),
    "long": AIMessage("All work and no play makes Jack a dull boy. " * 1000),
    "human": HumanMessage("x", name="me"),
    "system": SystemMessage("x"),
    "other role": ChatMessage(content="x", role="narrator"),
    "function": FunctionMessage(content="x", name="f"),
    "tool": ToolMessage("x", tool_call_id="1", artifact={"a": (1,)}, status="error"),
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES.keys())
def test_messages_come_back_as_they_were(message: BaseMessage) -> None:
    cls = ChatGenerationChunk if isinstance(message, AIMessageChunk) else ChatGeneration
    went = cls(message=message, generation_info={"finish_reason": "stop", "logprobs": None})
    (came,) = back(went)
    assert type(came) is cls
    assert isinstance(came, ChatGeneration)
    assert same(came.generation_info, went.generation_info)
    assert came.text == went.text
    assert_same_message(came.message, message)
    (copied,) = copies_of([came])()
    assert isinstance(copied, ChatGeneration)
    assert_same_message(copied.message, came.message)
    assert (type(copied), copied.text) == (cls, went.text)


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES.keys())
def test_messages_that_came_back_behave_as_before(message: BaseMessage) -> None:
    (came,) = back(chat(message))
    assert isinstance(came, ChatGeneration)
    came.message.id = message.id
    assert came.message == message
    assert came == chat(message)
    assert json.dumps(dumpd(came.message), sort_keys=True) == json.dumps(dumpd(message), sort_keys=True)
    assert [block["type"] for block in came.message.content_blocks] == [b["type"] for b in message.content_blocks]
    assert came.message.text == message.text
    assert came.message.pretty_repr() == message.pretty_repr()
    assert came.message.model_copy(deep=True) == message


def test_a_message_that_came_back_is_shown_as_before() -> None:
    message = AIMessage("hi", response_metadata={"a": 1}, usage_metadata=cast("Any", USAGE), id="1")
    (came,) = back(chat(message))
    assert isinstance(came, ChatGeneration)
    came.message.id = "1"
    assert repr(came) == repr(chat(message))
    assert came.message.model_dump_json() == message.model_dump_json()


@pytest.mark.parametrize(
    "generation",
    [
        Generation(text="x"),
        Generation(text=""),
        Generation(text="x", generation_info={}),
        Generation(text="x", generation_info={"finish_reason": "length", "logprobs": {"tokens": ["a"], "top": [-0.0]}}),
        GenerationChunk(text="x", generation_info={"done": True}),
    ],
    ids=repr,
)
def test_completions_come_back_as_they_were(generation: Generation) -> None:
    (came,) = back(generation)
    assert type(came) is type(generation)
    assert (came.text, came.type) == (generation.text, generation.type)
    assert same(came.generation_info, generation.generation_info)
    assert copies_of([came])() == [came] == [generation]


def test_several_generations_come_back_in_order() -> None:
    went = [chat(AIMessage("a")), chat(AIMessage("b", tool_calls=[{"name": "f", "args": {}, "id": "1"}]))]
    came = back(*went)
    assert [one.text for one in came] == ["a", "b"]
    assert len({one.message.id for one in came if isinstance(one, ChatGeneration)}) == 2
    assert back() == []


def test_text_that_is_not_the_messages_comes_back() -> None:
    went = chat(AIMessage([{"type": "text", "text": "a"}, "b"]))
    assert back(went)[0].text == went.text == "ab"
    went.text = "changed"
    assert back(went)[0].text == "changed"


@given(
    st.builds(
        AIMessage,
        content=st.text() | st.lists(st.text() | st.dictionaries(st.text(), st.text(), max_size=2), max_size=3),
        additional_kwargs=st.dictionaries(st.text(), st.integers() | st.none() | st.binary(), max_size=3),
        response_metadata=st.dictionaries(st.text(), st.floats() | st.tuples(st.booleans()), max_size=3),
        name=st.none() | st.text(),
    )
)
def test_any_message_comes_back_as_it_was(message: AIMessage) -> None:
    (came,) = back(chat(message))
    assert isinstance(came, ChatGeneration)
    assert_same_message(came.message, message)


# Values


VALUES: list[Any] = [
    *({"!model": 1}, {"!!x": 1}, {"!x": 1, "y": 2}, {"!": {"!!": {"!!!": 1}}}, {"!int": "3"}, {"!pairs": [[1, 2]]}),
    *({1: "a"}, {"a": 1, 2: 3}, {None: 1}, {True: 1, "true": 2}, {(1, 2): {3: b"x"}}, {frozenset({1}): 1}, {}),
    *((), (1, (2,)), {1, 2}, set(), frozenset({"a"}), [(), [()]], b"", b"\x00\xff"),
    *(datetime(2026, 1, 2, 3, 4, 5, 6, UTC), datetime(2026, 1, 2), date(2026, 1, 2), time(1, 2, 3)),  # noqa: DTZ001
    *(datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=-5, minutes=-30))), UUID(int=5)),
    *(Decimal("1.10"), Decimal("NaN"), Decimal("-Infinity"), Decimal("1E+400")),
    *(math.nan, math.inf, -math.inf, -0.0, 1e-320, 0.1, 1.0, 1, True),
    *(2**63, -(2**63), -(2**63) - 1, 2**64, 10**300, "\ud800", "a\ud800b", "\x00", "\u2028"),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_come_back_as_they_were(value: Any) -> None:
    assert same(value_back(value), value)
    assert same(value_back({"deep": [value]}), {"deep": [value]})


def plain_values() -> st.SearchStrategy[Any]:
    names = st.text(max_size=4) | st.sampled_from(["!model", "!!x", "!", "!tuple", "lc"])
    leaves: st.SearchStrategy[Any] = st.one_of(
        *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=5)),
        *(st.decimals(allow_nan=False), st.datetimes().map(lambda told: told.replace(fold=0)), st.dates(), st.uuids()),
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.tuples(inner, inner)
            | st.dictionaries(names, inner, max_size=3)
            | st.dictionaries(st.integers() | st.tuples(names), inner, max_size=2)
        ),
        max_leaves=10,
    )


@given(plain_values())
def test_any_value_comes_back_as_it_was(value: Any) -> None:
    assert same(from_plain(json.loads(json.dumps(to_plain(value)))), value)
    assert same(value_back(value), value)


class Opaque:
    """Something of the user's own."""


class Colour(str, Enum):  # noqa: UP042 - an Enum that is a str is what this is about
    RED = "red"


class Dictionary(dict[str, int]):
    """A dict with more to it."""


class OwnMessage(AIMessage):
    """A message with more to it."""

    mood: str = "good"


class OwnGeneration(ChatGeneration):
    """A generation with more to it."""


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Opaque(), "test_payload.Opaque"),
        ([{"deep": (Opaque(),)}], "test_payload.Opaque"),
        (Colour.RED, "Colour"),
        (Dictionary(a=1), "Dictionary"),
        (bytearray(b"x"), "bytearray"),
        (timedelta(1), "timedelta"),
        (Opaque, "type"),
        (len, "builtin_function_or_method"),
    ],
    ids=shown,
)
def test_what_would_not_come_back_is_not_stored_and_is_named(value: Any, named: str) -> None:
    with pytest.raises(NotStorableError, match=named):
        payload(chat(AIMessage("x", additional_kwargs={"value": value})))


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 10, 25, 2, 30, fold=1),  # noqa: DTZ001
        time(2, 30, fold=1),
        datetime(2026, 1, 2, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=1), "CET")),
    ],
    ids=repr,
)
def test_a_time_comes_back_as_it_was_or_is_not_stored(value: Any) -> None:
    try:
        came = value_back(value)
    except NotStorableError:
        return
    assert repr(came) == repr(value)


def test_a_message_or_generation_of_another_class_is_not_stored_and_is_named() -> None:
    with pytest.raises(NotStorableError, match="OwnMessage"):
        payload(chat(OwnMessage(content="x")))
    with pytest.raises(NotStorableError, match="OwnGeneration"):
        payload(OwnGeneration(message=AIMessage("x")))
    pretender = type("AIMessage", (AIMessage,), {"__module__": "langchain_core.messages.ai"})
    with pytest.raises(NotStorableError, match="AIMessage"):
        payload(chat(pretender("x")))


def test_a_value_that_holds_itself_is_not_stored() -> None:
    loop: list[Any] = []
    loop.append(loop)
    message = AIMessage("x")
    message.additional_kwargs["loop"] = loop
    with pytest.raises(NotStorableError):
        payload(chat(message))


# Objects of the caller's classes


class Point(BaseModel):
    """A place."""

    x: int
    label: str = Field(default="", alias="theLabel")


class City(BaseModel):
    """A city."""

    name: str
    at: Point | None = None
    founded: date = date(1, 1, 1)


BONN = City(name="Bonn", at=Point(x=1, theLabel="b"), founded=date(11, 1, 1))


def parsed(value: Any, *classes: type[BaseModel]) -> Any:
    (came,) = back(chat(AIMessage("x", additional_kwargs={"parsed": value})), classes=classes)
    assert isinstance(came, ChatGeneration)
    return came.message.additional_kwargs["parsed"]


def test_a_parsed_object_comes_back_as_an_instance_of_the_callers_class() -> None:
    came = parsed(BONN, City)
    assert type(came) is City
    assert came == BONN
    assert came is not BONN
    assert type(came.at) is Point


def test_a_parsed_object_of_a_class_that_was_defined_anew_is_an_instance_of_the_new_class() -> None:
    old, new = (create_model("Town", __module__="__main__", name=(str, ...)) for _ in range(2))
    assert type(parsed(old(name="Bonn"), new)) is new
    assert type(parsed(old(name="Bonn"), City, new)) is new


def test_a_parsed_object_is_found_by_its_class_where_the_caller_named_none() -> None:
    assert type(parsed(BONN)) is City


def test_a_parsed_object_whose_class_is_gone_or_edited_is_no_answer() -> None:
    gone = create_model("Gone", __module__="__main__", name=(str, ...))
    edited = create_model("Gone", __module__="__main__", name=(str, ...), country=(str, ""))
    other_name = create_model("Other", __module__="__main__", name=(str, ...))
    for classes in ((), (edited,), (other_name,)):
        with pytest.raises(NotStorableError, match="Gone"):
            parsed(gone(name="Bonn"), *classes)


def test_a_parsed_object_is_no_instance_of_another_class_with_an_equal_schema() -> None:
    titled = ConfigDict(title="Town")
    town, village = (create_model(name, __config__=titled, name=(str, ...)) for name in ("Town", "Village"))
    with pytest.raises(NotStorableError, match="Town"):
        parsed(town(name="Bonn"), village)


def test_a_class_is_never_imported_for_an_object() -> None:
    told = {"module": "antigravity", "name": "Flight", "schema": "0" * 16, "data": {}}
    with pytest.raises(NotStorableError, match="Flight"):
        from_plain({"!model": told})
    assert "antigravity" not in sys.modules
    with pytest.raises(NotStorableError, match="Popen"):
        from_plain({"!model": {**told, "module": "subprocess", "name": "Popen"}})


class Bag(BaseModel):
    """Holds anything."""

    content: Any


@pytest.mark.parametrize("content", [(1, 2), {1}, b"\xff", Decimal(1), Point(x=1), Opaque(), math.inf], ids=shown)
def test_an_object_that_its_json_does_not_give_back_is_not_stored(content: Any) -> None:
    with pytest.raises(NotStorableError, match="Bag"):
        parsed(Bag(content=content), Bag)


def test_an_object_tells_which_of_its_fields_were_set_as_before() -> None:
    sparse = City(name="Bonn")
    assert parsed(sparse, City).model_dump(exclude_unset=True) == {"name": "Bonn"}
    assert parsed(sparse, City) == sparse


def test_a_structured_answer_is_an_instance_of_the_callers_class_in_a_new_process(tmp_path: Path) -> None:
    stored = payload(chat(AIMessage("x", additional_kwargs={"parsed": BONN})))
    (tmp_path / "payload").write_bytes(stored)
    script = (
        "import sys, nbcache.codec.payload as codec\n"
        "from tests.codec.test_payload import BONN, City, KEY\n"
        "(one,) = codec.read(open(sys.argv[1], 'rb').read(), KEY).generations([City])\n"
        "assert type(one.message.additional_kwargs['parsed']) is City\n"
        "assert one.message.additional_kwargs['parsed'] == BONN\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "payload")], env=environment, check=True)


# A hit is a fresh object


def test_every_reading_has_an_id_of_its_own() -> None:
    stored = payload(chat(AIMessage("x", id="run-1")))
    messages = [one.message for _ in range(3) for one in cast("list[Any]", read(stored, KEY).generations())]
    kept = messages[0]
    messages += [one.message for _ in range(3) for one in cast("list[Any]", copies_of([chat(kept)])())]
    assert len({message.id for message in messages} - {"run-1"}) == 6


def test_editing_what_was_handed_out_changes_nothing_stored() -> None:
    def answer() -> ChatGeneration:
        metadata = {"deep": {"list": [1, {"a": 1}], "tuple": ([1],), "set": {1}}}
        message = AIMessage(
            [{"type": "text", "text": "x", "annotations": [{"a": 1}]}],
            tool_calls=[{"name": "f", "args": {"x": [1]}, "id": "1"}],
            response_metadata=metadata,
            usage_metadata=cast("Any", USAGE),
            extra={"list": [1]},
        )
        return chat(message, {"logprobs": [1]})

    def spoil(generation: Any) -> None:
        message = generation.message
        message.content[0]["annotations"][0]["a"] = 2
        message.content.append("more")
        message.tool_calls[0]["args"]["x"].append(2)
        message.response_metadata["deep"]["list"][1]["a"] = 2
        message.response_metadata["deep"]["tuple"][0].append(2)
        message.response_metadata["deep"]["set"].add(2)
        message.usage_metadata["total_cost"] = 0
        message.additional_kwargs["new"] = 1
        message.extra["list"].append(2)
        message.mood = "new"
        generation.generation_info["logprobs"].append(2)
        generation.text = "changed"

    kept = [answer()]
    for _ in range(2):
        (copied,) = copies_of(kept)()
        assert_same_message(cast("Any", copied).message, answer().message)
        assert (copied.text, copied.generation_info) == (answer().text, {"logprobs": [1]})
        spoil(copied)
    stored = read(payload(answer()), KEY)
    spoil(stored.generations()[0])
    assert_same_message(cast("Any", stored.generations()[0]).message, answer().message)
    defaults = read(payload(chat(AIMessage("x"))), KEY)
    cast("Any", defaults.generations()[0]).message.additional_kwargs["new"] = 1
    assert cast("Any", defaults.generations()[0]).message.additional_kwargs == {}


# The payload


def test_what_an_entry_is_about_can_be_read_from_its_payload() -> None:
    whole = read(payload(chat(AIMessage("x"))), KEY)
    assert whole.header() == HEADER
    assert (whole.key, whole.created, whole.reusable, whole.holds_objects) == (KEY, HEADER.meta.created, True, False)
    assert not read(payload(chat(AIMessage("x")), reusable=False), KEY).reusable
    assert read(payload(chat(AIMessage("x", additional_kwargs={"parsed": BONN}))), KEY).holds_objects


def test_a_prompt_and_an_answer_with_half_an_emoji_can_be_stored() -> None:
    header = replace(HEADER, prompt="\ud83d", meta=replace(HEADER.meta, answer="\ude00"))
    whole = read(encode([chat(AIMessage("\ud83d"))], header, reusable=True), KEY)
    assert whole.header() == header
    assert whole.generations()[0].text == "\ud83d"


def test_an_answer_can_be_shown_without_its_class() -> None:
    gone = create_model("Gone", __module__="__main__", name=(str, ...))
    whole = read(payload(chat(AIMessage("Bonn", additional_kwargs={"parsed": gone(name="x")}))), KEY)
    assert whole.plain()[0]["message"]["fields"]["content"] == "Bonn"


def test_large_answers_are_compressed() -> None:
    text = "All work and no play makes Jack a dull boy. " * 1000
    assert len(payload(chat(AIMessage(text)))) < len(text) / 20
    noise = os.urandom(5000)
    assert len(payload(chat(AIMessage("", additional_kwargs={"noise": noise})))) < 1.5 * len(noise)


def test_equal_answers_have_equal_payloads() -> None:
    assert payload(chat(AIMessage("x", id="1"))) == payload(chat(AIMessage("x", id="2")))


def damaged(data: bytes, key: str = KEY) -> DamagedError:
    """How this payload is refused, at the latest when it is read out."""
    with pytest.raises(DamagedError) as refused:
        read(data, key).generations()
    return refused.value


SMALL = payload(chat(AIMessage("x" * 300)))


def test_every_truncation_is_noticed() -> None:
    for length in range(len(SMALL)):
        assert not damaged(SMALL[:length]).newer
    damaged(SMALL + b"\x00")


def test_every_flipped_bit_is_noticed() -> None:
    for position in range(len(SMALL)):
        for bit in range(8):
            data = bytearray(SMALL)
            data[position] ^= 1 << bit
            assert not damaged(bytes(data)).newer


def test_the_payload_of_another_key_is_damage() -> None:
    damaged(SMALL, "f" * 40)
    assert KEY[:8] in str(damaged(SMALL[:-1]))


def resealed(data: bytes, version: int | None = None) -> bytes:
    """`data` with a checksum that is right: damage that no checksum shows, or somebody's forgery."""
    head, body = bytearray(data[: codec._PREAMBLE.size]), data[codec._START :]
    if version is not None:
        head[3] = version
    return bytes(head) + struct.pack(">I", zlib.crc32(body, zlib.crc32(bytes(head)))) + body


def forged(answers: bytes, flags: int = 0, version: int = 1, rest: bytes = b"") -> bytes:
    head = codec._PREAMBLE.pack(b"NBC", version, flags, bytes.fromhex(KEY), 1.0, len(answers))
    return resealed(head + b"\x00" * 4 + answers + rest)


def test_the_payload_of_a_newer_version_is_not_called_damaged() -> None:
    assert damaged(resealed(SMALL, version=codec.FORMAT_VERSION + 1)).newer
    assert not damaged(b"NBC").newer


ONE = {"type": "Generation", "text": "x"}
MESSAGE = {"type": "AIMessage", "fields": {"content": "x"}}


@pytest.mark.parametrize(
    "answers",
    [
        b"",
        b"garbage",
        b"{}",
        b"3",
        b"[1]",
        b"[[]]",
        b"[{}]",
        orjson.dumps([{**ONE, "type": "os.system"}]),
        orjson.dumps([{"type": "Generation"}]),
        orjson.dumps([{"type": "ChatGeneration", "message": {**MESSAGE, "type": "Popen"}}]),
        orjson.dumps([{"type": "ChatGeneration", "message": {"type": "AIMessage"}}]),
        orjson.dumps([{"type": "ChatGeneration", "message": 1}]),
        orjson.dumps([{**ONE, "info": {"x": {"!int": "three"}}}]),
        orjson.dumps([{**ONE, "info": {"x": {"!decimal": "three"}}}]),
        orjson.dumps([{**ONE, "info": {"x": {"!datetime": 3}}}]),
        orjson.dumps([{**ONE, "info": {"x": {"!set": [[]]}}}]),
        orjson.dumps([{**ONE, "info": {"x": {"!pairs": [1]}}}]),
        orjson.dumps([{**ONE, "info": {"x": {"!model": 1}}}]),
        b"[" * 100_000,
        b"\xff\xfe",
    ],
    ids=lambda answers: answers[:60],
)
def test_garbage_under_a_right_checksum_is_damage(answers: bytes) -> None:
    damaged(forged(answers))


def test_what_is_no_compressed_data_is_damage() -> None:
    for flags in (codec._COMPRESSED_ANSWERS, 3):
        damaged(forged(b"no zstandard at all", flags))
        with pytest.raises(DamagedError):
            read(forged(b"no zstandard at all", flags), KEY).plain()


@pytest.mark.parametrize("rest", [b"", b"garbage", b"{}", b"[]", b'{"meta": {}}', b'{"meta": {"tags": 1}}'])
def test_an_unreadable_record_of_what_an_entry_is_about_is_damage(rest: bytes) -> None:
    with pytest.raises(DamagedError):
        Payload(KEY, 1.0, 0, b"[]", rest).header()
    with pytest.raises(DamagedError):
        Payload(KEY, 1.0, codec._COMPRESSED_HEADER, b"[]", rest or b"x").header()


def test_an_unknown_tag_is_not_taken_for_a_value() -> None:
    with pytest.raises((NotStorableError, DamagedError)):
        read(forged(orjson.dumps([{**ONE, "info": {"x": {"!of_tomorrow": 1}}}])), KEY).generations()


class _Trap:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.putenv, ("NBCACHE_TRAP", "sprung")


def test_a_pickle_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object, **options: object) -> None:
        raise AssertionError("pickle was used")

    trap = pickle.dumps(_Trap())
    for name in ("load", "loads", "dump", "dumps", "Unpickler", "Pickler"):
        monkeypatch.setattr(pickle, name, never)
    damaged(trap)
    damaged(forged(trap))
    damaged(b"NBC" + trap)
    back(chat(AIMessage("x", additional_kwargs={"parsed": BONN, "tuple": (1,)})), classes=(City,))


# Golden: what any version has ever written is read by every later one


def golden_answers() -> dict[str, list[Generation]]:
    """What the golden payloads of version 1 hold."""
    return {
        "chat": [
            chat(
                AIMessage(
                    BLOCKS,
                    name="bot",
                    tool_calls=[CALL],
                    invalid_tool_calls=[
                        {"name": "f", "args": "{", "id": "2", "error": "JSON", "type": "invalid_tool_call"}
                    ],
                    usage_metadata=cast("Any", USAGE),
                    response_metadata={"finish_reason": "stop", "logprobs": None, "lc": LOOKS_SERIALISED},
                    of_tomorrow=1,
                ),
                {"finish_reason": "stop"},
            ),
            chat(AIMessage("second")),
        ],
        "values": [
            Generation(text="a completion \ud83d", generation_info={str(i): value for i, value in enumerate(VALUES)}),
            GenerationChunk(text="chunk"),
        ],
        "object": [chat(AIMessage("", additional_kwargs={"parsed": BONN}))],
        "chunk": [ChatGenerationChunk(message=cast("Any", MESSAGES["chunk"]))],
    }


@pytest.mark.parametrize("name", golden_answers())
def test_golden_payloads_are_read(name: str) -> None:
    whole = read((GOLDEN / f"payload_v1_{name}.bin").read_bytes(), KEY)
    expected = golden_answers()[name]
    came = whole.generations([City])
    assert len(came) == len(expected)
    for one, two in zip(came, expected, strict=True):
        assert type(one) is type(two)
        assert one.text == two.text
        assert same(one.generation_info, two.generation_info)
        if isinstance(two, ChatGeneration):
            assert isinstance(one, ChatGeneration)
            assert_same_message(one.message, two.message)
    assert whole.header() == HEADER
    assert whole.reusable
    assert whole.plain() == json.loads((GOLDEN / f"payload_v1_{name}.json").read_text())


def test_there_is_a_golden_payload_of_each_kind() -> None:
    assert {path.stem for path in GOLDEN.glob("payload_v1_*.bin")} == {
        f"payload_v1_{name}" for name in golden_answers()
    }
