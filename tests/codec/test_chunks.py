"""The chunks of a streamed answer: kept in few words, exactly, and read by every later release."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from unittest import mock

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk

from nbcache.codec import payload as codec
from nbcache.codec.chunk_copies import copies, forms_of
from nbcache.codec.chunks import as_chunk, joinable, packed, unpacked
from nbcache.codec.messages import plain, restored
from nbcache.codec.new_chunks import NewChunks
from nbcache.codec.payload import encode, read
from nbcache.errors import DamagedError, NotStorableError
from tests.codec.test_payload import HEADER, KEY, forged
from tests.support.paths import GOLDEN

Chunk = GenerationChunk | ChatGenerationChunk


def chunk(content: Any, info: dict[str, Any] | None = None, **fields: Any) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(content=content, **fields), generation_info=info)


def block(text: str, **more: Any) -> list[Any]:
    return [{"type": "text", "text": text, "index": 0, **more}]


TOOL = {"type": "tool_call_chunk", "name": "f", "args": '{"a', "id": "1", "index": 0}
STREAMS: dict[str, list[Chunk]] = {
    "text": [
        chunk("", response_metadata={"model_provider": "openai"}),
        *(chunk(word, response_metadata={"model_provider": "openai"}) for word in ("Hel", "lo", " ", "", "🌧")),
        chunk("", {"finish_reason": "stop"}, usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}),
    ],
    "blocks": [chunk(block("a")), chunk(block("b")), chunk(block("c", index=1)), chunk([]), chunk(block("d"))],
    "thinking": [chunk([{"type": "thinking", "thinking": "hm", "index": 0}]), chunk(block("a")), chunk(block("b"))],
    "tools": [chunk("", tool_call_chunks=[TOOL]), chunk("", tool_call_chunks=[{**TOOL, "name": None, "args": '":1}'}])],
    "completion": [
        GenerationChunk(text="a"),
        GenerationChunk(text="b"),
        GenerationChunk(text="", generation_info={"x": 1}),
    ],
    "mixed": [chunk("text"), chunk(block("text")), chunk(["bare"]), chunk("text", name="bot")],
}


def streamed(chunks: list[Chunk]) -> bytes:
    return encode([Generation(text="whole")], HEADER, reusable=True, chunks=packed([plain(one) for one in chunks]))


def bare(one: Generation) -> dict[str, Any]:
    """A chunk without its id, which each stream has anew."""
    told = one.model_dump()
    if isinstance(one, ChatGeneration):
        told["message"]["id"] = None
    return {"type": type(one).__name__, **told}


@pytest.mark.parametrize("name", STREAMS)
def test_chunks_come_back_as_they_were(name: str) -> None:
    whole = read(streamed(STREAMS[name]), KEY)
    assert [bare(one) for one in whole.chunks()] == [bare(one) for one in STREAMS[name]]
    assert whole.generations()[0].text == "whole"
    assert whole.header() == HEADER


texts = st.text(max_size=5)
contents = texts | texts.map(block) | st.lists(texts.map(lambda text: block(text)[0]), max_size=3)


@given(st.lists(st.builds(chunk, contents, name=st.none() | st.just("n")) | st.builds(GenerationChunk, text=texts)))
def test_whatever_comes_is_packed_and_unpacked_the_same(chunks: list[Chunk]) -> None:
    told = [plain(one) for one in chunks]
    again = restored(unpacked(packed(told)))
    assert [bare(one) for one in again] == [bare(one) for one in chunks]
    forms = forms_of(packed(told))
    assert forms is not None
    for _ in range(2):
        assert [bare(one) for one in copies(forms)] == [bare(one) for one in chunks]


metadata = st.fixed_dictionaries(
    {}, optional={"model_provider": texts, "id": texts, "x": texts, "n": st.sampled_from([1, True, 1.0])}
)
anything = st.builds(
    chunk,
    contents,
    st.none() | metadata,
    response_metadata=metadata,
    tool_call_chunks=st.just([]) | st.just([TOOL]),
    chunk_position=st.none() | st.just("last"),
)


@given(st.lists(anything | st.builds(GenerationChunk, text=texts)))
def test_chunks_that_are_packed_as_they_come_are_packed_the_same(chunks: list[Chunk]) -> None:
    new, told = NewChunks(), [plain(one) for one in chunks]
    repeated = [new.add(one) for one in chunks]
    assert orjson.dumps(new.packed) == orjson.dumps(packed(told))
    again = restored(unpacked(new.packed))
    assert list(map(repr, map(bare, again))) == list(map(repr, map(bare, chunks)))
    assert all(isinstance(item, str) for item, is_repeated in zip(new.packed, repeated, strict=True) if is_repeated)


def test_chunks_that_differ_in_their_text_alone_are_known_by_it() -> None:
    new = NewChunks()
    stream: list[Chunk] = [
        chunk(word, response_metadata={"model_provider": "openai"}, id=word) for word in ("a", "b", "c")
    ]
    assert [new.add(one) for one in stream] == [False, True, True]
    assert len(list(joinable(new.packed))) == 1
    assert [new.add(chunk("d")), new.add(chunk(block("e")))] == [False, False]


def _joined(chunks: list[Any]) -> Any:
    """What LangChain makes of them, or the kind of its refusal."""
    try:
        return repr(bare(generate_from_stream(iter(chunks)).generations[0])) if chunks else None
    except Exception as error:  # noqa: BLE001 - the same one is expected again
        return type(error)


@given(st.lists(anything, max_size=6))
@example([chunk(word, response_metadata={"x": "added up"}) for word in ("a", "b", "c")])
@example([chunk(word, {"x": "added up"}) for word in ("a", "b", "c")])
def test_joining_texts_first_makes_the_same_answer(chunks: list[Chunk]) -> None:
    items = packed([plain(one) for one in chunks])
    assert _joined(restored(joinable(items))) == _joined(restored(unpacked(items)))


def test_a_chunk_with_an_object_in_it_comes_back_too() -> None:
    stream: list[Chunk] = [chunk("a", additional_kwargs={"at": datetime(2026, 1, 1, tzinfo=UTC)}), chunk("b")]
    assert forms_of(packed([plain(one) for one in stream])) is None
    whole = read(streamed(stream), KEY)
    assert [bare(one) for one in whole.chunks()] == [bare(one) for one in stream]
    messages = list(whole.messages("id"))
    assert [message.id for message in messages] == ["id", "id"]
    assert messages[0].additional_kwargs == {"at": datetime(2026, 1, 1, tzinfo=UTC)}


def test_a_text_without_a_place_is_damage() -> None:
    blocks = plain(chunk([block("a")[0], block("b")[0]]))
    sealed = encode([Generation(text="x")], HEADER, reusable=True, chunks=[blocks])
    with mock.patch.object(codec, "_streamed", return_value=[blocks, "c"]), pytest.raises(DamagedError):
        list(read(sealed, KEY).chunks())


def test_an_answer_that_came_whole_has_no_chunks() -> None:
    assert list(read(encode([Generation(text="x")], HEADER, reusable=True), KEY).chunks()) == []


def test_repeated_chunks_are_kept_by_their_text_alone() -> None:
    told = packed([plain(chunk(word)) for word in ("a", "b", "c")])
    assert told[1:] == ["b", "c"]


def test_objects_of_ones_own_are_refused() -> None:
    class Own(ChatGenerationChunk):
        pass

    with pytest.raises(NotStorableError, match="Own"):
        plain(Own(message=AIMessageChunk(content="x")))


@pytest.mark.parametrize("flags", [0, codec._COMPRESSED_CHUNKS])
@pytest.mark.parametrize(
    "garbage", [b"", b"\0\0", b"\0\0\0\4null", b"\0\0\0\7[1,2,3]", b"\0\0\0\2{]", b"\xff\xff\xff\xff[]"]
)
def test_garbage_among_the_chunks_is_damage(garbage: bytes, flags: int) -> None:
    sealed = forged(b"[]", flags, version=2, rest=garbage)
    with pytest.raises(DamagedError):
        list(read(sealed, KEY).chunks()) or read(sealed, KEY).header()


def test_a_whole_answer_is_one_chunk_with_its_calls() -> None:
    call = {"name": "f", "args": {"a": 1}, "id": "1", "type": "tool_call"}
    wrong = {"name": "g", "args": "nonsense", "id": "2", "error": None, "type": "invalid_tool_call"}
    message = AIMessage("x", tool_calls=[call], invalid_tool_calls=[wrong], response_metadata={"finish_reason": "stop"})
    one = as_chunk(ChatGeneration(message=message, generation_info={"a": 1}))
    assert isinstance(one, ChatGenerationChunk)
    told = cast("AIMessageChunk", one.message)
    assert (told.content, told.response_metadata, one.generation_info) == ("x", {"finish_reason": "stop"}, {"a": 1})
    assert [(c["name"], c["args"]) for c in told.tool_calls] == [("f", {"a": 1})]
    assert [(c["name"], c["args"]) for c in told.invalid_tool_calls] == [("g", "nonsense")]
    assert as_chunk(Generation(text="t")).text == "t"


@pytest.mark.parametrize("name", STREAMS)
def test_golden_payloads_of_version_2_are_read(name: str) -> None:
    whole = read(golden(name).read_bytes(), KEY)
    assert [bare(one) for one in whole.chunks()] == [bare(one) for one in STREAMS[name]]
    assert whole.header() == HEADER


def golden(name: str) -> Path:
    return GOLDEN / f"payload_v2_{name}.bin"
