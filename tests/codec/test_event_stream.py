"""Amazon's event stream: its messages, cut anywhere, and the texts by which an entry holds them."""

import json
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from nbcache.codec.event_stream import CONTENT_TYPE, as_texts, end_of_message, message_of, written_from
from nbcache.codec.sdk_response import HTTPResponse
from nbcache.replay.secrets.scrubber import SECRET, Scrubber
from tests.servers.provider_bedrock import chunks, event, framed

STREAM = event("messageStart", {"role": "assistant"}) + event("metadata", {"usage": {"inputTokens": 1}})
texts = st.text(st.characters(codec="utf-8"), max_size=40)
messages = st.lists(st.builds(framed, st.dictionaries(texts, texts, max_size=3), texts.map(str.encode)), max_size=4)


@given(messages)
def test_texts_give_the_same_bytes(parts: list[bytes]) -> None:
    body = b"".join(parts)
    assert written_from(json.loads(json.dumps(as_texts(body)))) == body


@given(messages)
def test_messages_are_those_that_botocore_reads(parts: list[bytes]) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(b"".join(parts))
    theirs = [(message.headers, message.payload) for message in buffer]
    ours = [message_of(part) for part in parts]
    assert [(dict(message.headers), message.payload) for message in ours] == theirs


def test_a_message_ends_where_its_length_says_and_not_before_it_is_whole() -> None:
    first = len(event("messageStart", {"role": "assistant"}))
    assert [end_of_message(STREAM[:size], 0) for size in range(first)] == [None] * first
    assert end_of_message(STREAM, 0) == first
    assert end_of_message(STREAM, first) == len(STREAM)


@pytest.mark.parametrize("at", range(len(event("a", {}))))
def test_a_damaged_message_never_ends(at: int) -> None:
    damaged = bytearray(event("a", {}))
    damaged[at] ^= 1
    assert end_of_message(damaged + STREAM, 0) is None
    with pytest.raises(ValueError, match="event stream"):
        as_texts(bytes(damaged))


def test_a_body_is_stored_as_texts_and_another_in_base64() -> None:
    headers = {"content-type": CONTENT_TYPE}
    binary = framed({}, b"\xff")
    assert list(HTTPResponse(200, headers, STREAM).plain()) == ["status", "headers", "events"]
    assert list(HTTPResponse(200, headers, binary).plain()) == ["status", "headers", "base64"]
    for body in (STREAM, binary, STREAM[:-1], b""):
        assert HTTPResponse.of(HTTPResponse(200, headers, body).plain()).body == body


@pytest.mark.parametrize(
    "events", [5, {}, [5], [[]], [["a"]], [[["a"], "b"]], [[[], 5]], [[["a", "b"], "c", "d"]], ["ab"]]
)
def test_other_texts_are_refused(events: Any) -> None:
    with pytest.raises(ValueError, match="texts"):
        HTTPResponse.of({"status": 200, "headers": {}, "events": events})


def test_a_secret_in_a_stream_is_taken_out_of_a_cassette_and_the_stream_stays_one() -> None:
    key = "sk-ant-api03-" + "a1B2" * 20
    body = event("contentBlockDelta", {"delta": {"text": f"It is {key}."}}) + chunks({"text": f"or {key}"})
    clean = Scrubber().value(HTTPResponse(200, {"content-type": CONTENT_TYPE}, body).plain())
    assert key not in json.dumps(clean)
    buffer = EventStreamBuffer()
    buffer.add_data(HTTPResponse.of(clean).body)
    first, second = buffer
    assert json.loads(first.payload) == {"delta": {"text": f"It is {SECRET}."}}
    assert "bytes" in json.loads(second.payload)
    assert key not in HTTPResponse.of(clean).body.decode("latin-1")
