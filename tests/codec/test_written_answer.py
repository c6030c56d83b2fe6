"""An answer is written byte for byte as by way of its plain form, or refused as that is."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation

from nbcache.codec.messages import plain
from nbcache.codec.written_answer import json_of
from nbcache.errors import NotStorableError


class _Text(str):
    __slots__ = ()


class _Word(StrEnum):
    STOP = "stop"


class _Number(IntEnum):
    ONE = 1


class _Other(Enum):
    A = "a"


class _Dict(dict[str, Any]):
    pass


@dataclass
class _Data:
    a: int = 1


_UNUSUAL = [
    *((1,), [(1,)], {"a": (1,)}, {1, 2}, b"a", Decimal("1.0"), UUID(int=1), datetime(2026, 1, 1, tzinfo=UTC)),
    *(_Text("a"), _Word.STOP, _Number.ONE, _Other.A, _Dict(a=1), _Data(), {"a": _Word.STOP}, [_Number.ONE], object()),
    *(2**53, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, math.nan, math.inf, -0.0, 1.0, True),
    *(
        {"!a": 1},
        {"!": {}},
        {"!!a": 1},
        {"a": "!b"},
        {"a": '"!'},
        {1: "a"},
        {None: 1},
        {_Text("a"): 1},
        {"\ud83d": 1},
        "\ud83d",
    ),
]
_texts = st.text() | st.text(st.characters()) | st.sampled_from(["", "!", '"!', "\ud83d", "\x00\x7f\u2028"])
_scalars = (
    *(_texts, st.none(), st.booleans(), st.integers(), st.integers(-(2**65), 2**65), st.floats()),
    st.sampled_from(_UNUSUAL),
)
_values = st.recursive(
    st.one_of(_scalars),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=4) | st.tuples(inner),
    max_leaves=8,
)
_infos = st.none() | st.dictionaries(_texts, _values, max_size=3)
_usage = st.fixed_dictionaries(
    {name: st.integers(0, 2**60) for name in ("input_tokens", "output_tokens", "total_tokens")}
)


def _message(cls: Any, content: Any, metadata: Any, beside: Any, usage: Any) -> Any:
    message = cls(content=content, id="run-1", additional_kwargs={})
    message.__dict__.update(
        response_metadata=metadata or {}, additional_kwargs=beside or {}
    )  # whatever the client puts there
    if isinstance(message, AIMessage):
        message.__dict__["usage_metadata"] = usage
    return message


def _generation(cls: Any, message: Any, info: Any, text: str | None) -> Any:
    generation = cls(message=message)
    generation.__dict__.update(generation_info=info, **({} if text is None else {"text": text}))
    return generation


_messages = st.builds(
    _message,
    st.sampled_from([AIMessage, HumanMessage]),
    *(
        _texts | st.lists(st.dictionaries(st.just("type") | st.just("text"), st.text(), min_size=1), max_size=2),
        _infos,
        _infos,
    ),
    st.none() | _usage,
)
_chats = st.builds(_generation, st.just(ChatGeneration), _messages, _infos, st.none() | st.text())
_generations = _chats | st.builds(Generation, text=st.text(), generation_info=_infos)


def _the_long_way(generations: list[Any]) -> bytes | None:
    try:
        forms = list(map(plain, generations))
    except NotStorableError:
        return None
    try:
        return orjson.dumps(forms)
    except TypeError:
        return json.dumps(forms).encode()


def _written(generations: list[Any]) -> bytes | None:
    try:
        return json_of(generations)[0]
    except NotStorableError:
        return None


@given(st.lists(_generations, max_size=2))
@example(
    [
        ChatGeneration(
            message=AIMessage("Ganymede", response_metadata={"model_name": "m", "usage": {"tokens": [1, 2.5, None]}})
        )
    ]
)
def test_it_is_the_same_as_by_the_plain_form(generations: list[Any]) -> None:
    assert _written(generations) == _the_long_way(generations)


def _id(value: Any) -> str:
    """The name of a value's test: that of an object without a form of its own has no address in it."""
    return "object" if type(value) is object else repr(value)


@pytest.mark.parametrize("value", _UNUSUAL, ids=_id)
def test_each_unusual_value_is_written_as_by_the_plain_form(value: Any) -> None:
    for metadata in ({"a": value}, {"a": {"b": [value]}}, {"b": 1, "c": [{"a": value}]}):
        chat = ChatGeneration(message=_message(AIMessage, "Ganymede", metadata, metadata, None))
        assert _written([chat]) == _the_long_way([chat])


def test_a_value_that_holds_itself_is_refused() -> None:
    itself: dict[str, Any] = {}
    itself["a"] = [itself]
    with pytest.raises(NotStorableError):
        json_of([ChatGeneration(message=_message(AIMessage, "Ganymede", itself, {}, None))])


def test_a_chunk_keeps_its_class() -> None:
    chunk = ChatGenerationChunk(message=AIMessageChunk(content="Gany", tool_call_chunks=[]))
    assert _written([chunk]) == _the_long_way([chunk])
