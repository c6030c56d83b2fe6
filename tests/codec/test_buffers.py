"""Long bytes in an answer are kept raw beside its JSON, in a payload of version 4; in a cassette they are in Base64."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from langchain_core.outputs import Generation

import nbcache
from nbcache.codec import payload as codec
from nbcache.codec.payload import encode, read
from nbcache.errors import CassetteError, DamagedError
from nbcache.session.installation import installed
from tests.codec.test_payload import HEADER, KEY, forged
from tests.support.paths import GOLDEN

NOISE = b"".join((number * 2_654_435_761 % 2**32).to_bytes(4, "big") for number in range(5_000))
EVEN = bytes(range(256)) * 100
INFO: dict[str, Any] = {"noise": NOISE, "even": [EVEN, {"short": b"x"}], "n": 1, "!buffer": 0, "again": {"!buffer": 1}}
ANSWER = Generation(text="bytes", generation_info=INFO)


def stored() -> bytes:
    return encode([ANSWER], HEADER, reusable=True, classes=())


def section(*buffers: tuple[int, int, bytes], count: int | None = None) -> Callable[[int], bytes]:
    """Makes what stands between an answer that ends at `start` of the payload and the header: no chunks, and these buffers."""

    def made_at(start: int) -> bytes:
        made = struct.pack(">II", 0, len(buffers) if count is None else count) + table
        for *_, data in buffers:
            made += bytes(-(start + len(made)) % 64) + data
        return made

    table = b"".join(struct.pack(">BQ", compressed, length) for compressed, length, _ in buffers)
    return made_at


def forged_with(value: Any, rest: Callable[[int], bytes]) -> bytes:
    answer = orjson.dumps([{"type": "Generation", "text": "x", "info": {"x": value}}])
    return forged(answer, version=4, rest=rest(codec.PREAMBLE_LENGTH + len(answer)))


def test_long_bytes_come_back_as_they_were() -> None:
    whole = read(stored(), KEY)
    assert whole.generations() == [ANSWER]
    assert whole.header() == HEADER
    assert len(whole.buffers) == 2


def test_long_bytes_are_stored_raw_or_compressed_where_that_pays() -> None:
    payload = stored()
    assert NOISE in payload
    assert EVEN not in payload
    assert len(payload) < len(NOISE) + 2_000


def test_only_an_entry_with_long_bytes_is_of_version_4() -> None:
    assert stored()[3] == codec.FORMAT_VERSION == 4
    assert encode([Generation(text="x", generation_info={"x": b"short"})], HEADER, reusable=True)[3] == 3


def test_people_read_the_rest_without_the_bytes() -> None:
    (plain,) = read(stored(), KEY).plain()
    assert len(json.dumps(plain)) < 400
    assert plain["info"]["even"][1] == {"short": {"!bytes": "eA=="}}


@pytest.mark.parametrize(
    ("value", "rest"),
    [
        ({"!buffer": 1}, section((0, 4, b"abcd"))),
        ({"!buffer": -1}, section((0, 4, b"abcd"))),
        ({"!buffer": "0"}, section((0, 4, b"abcd"))),
        ({"!buffer": True}, section((0, 4, b"abcd"), (0, 4, b"abcd"))),
        ({"!buffer": 0}, section((0, 2**63, b"abcd"))),
        ({"!buffer": 0}, section((0, 5, b"abcd"))),
        ({"!buffer": 0}, section((0, 4, b"abcd"), count=2**32 - 1)),
        ({"!buffer": 0}, section((1, 4, b"abcd"))),
        ({"!buffer": 0}, lambda _: struct.pack(">I", 0)),
        ({"!buffer": 0}, lambda _: b""),
    ],
    ids=["beyond", "negative", "a text", "a flag", "huge", "cut", "many", "no zstandard", "no table", "nothing"],
)
def test_a_wrong_buffer_is_damage(value: Any, rest: Callable[[int], bytes]) -> None:
    with pytest.raises(DamagedError):
        read(forged_with(value, rest), KEY).generations()


def test_a_right_buffer_is_read() -> None:
    whole = read(forged_with({"!buffer": 0}, section((0, 4, b"abcd"))), KEY)
    assert whole.generations()[0].generation_info == {"x": b"abcd"}


def test_a_buffer_that_would_fill_the_memory_is_damage() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(2**26))
    payload = forged_with({"!buffer": 0}, section((1, len(bomb), bomb)))
    with pytest.raises(DamagedError):
        read(payload, KEY).generations()


def test_every_flipped_bit_of_a_buffer_is_found() -> None:
    payload = bytearray(stored())
    payload[payload.index(NOISE) + len(NOISE) // 2] ^= 4
    with pytest.raises(DamagedError):
        read(bytes(payload), KEY)
    with pytest.raises(DamagedError):
        read(memoryview(payload), KEY)


def test_a_buffer_begins_where_the_numbers_of_an_array_may() -> None:
    for length in range(4_096, 4_096 + 70):
        answer = Generation(text="x" * (length - 4_000), generation_info={"a": NOISE[:length], "b": NOISE[1:]})
        payload = encode([answer], HEADER, reusable=True, classes=())
        whole = read(payload, KEY)
        assert (payload.index(NOISE[:length]) % 64, payload.index(NOISE[1:]) % 64) == (0, 0)
        assert whole.generations() == [answer]
        assert whole.header() == HEADER


def test_without_its_buffers_a_payload_says_the_same_of_its_call() -> None:
    payload = stored()
    rest = codec.without_buffers(payload)
    assert len(rest) < 2_000
    whole, again = read(payload, KEY), read(rest, KEY)
    assert again == whole._replace(buffers=())
    assert again.header() == HEADER
    assert again.plain() == whole.plain()
    with pytest.raises(DamagedError):
        again.generations()
    short = encode([Generation(text="x")], HEADER, reusable=True)
    assert codec.without_buffers(short) is short


def test_an_answer_with_long_bytes_goes_through_a_cassette(tmp_path: Path) -> None:
    value = {"noise": NOISE, "even": [EVEN], "short": b"x"}
    cassette = tmp_path / "c.jsonl"
    nbcache.install(tmp_path / "store")
    installed().put("q", value, model="m")
    nbcache.export_cassette(cassette)
    nbcache.clear()
    assert nbcache.import_cassette(cassette).new == 1
    assert installed().get("q", model="m") == value
    ((_, payload),) = installed().contents().stream()
    assert payload[3] == 4
    assert NOISE in payload
    assert nbcache.import_cassette(cassette).new == 0
    assert not nbcache.export_cassette(cassette).changed
    assert nbcache.check() == []
    nbcache.uninstall()


def test_a_buffer_in_a_cassette_is_refused(tmp_path: Path) -> None:
    cassette = tmp_path / "c.jsonl"
    nbcache.install(tmp_path / "store")
    installed().put("q", {"noise": NOISE}, model="m")
    nbcache.export_cassette(cassette)
    line = json.loads(cassette.read_text())
    line["answer"][0]["info"]["value"]["noise"] = {"!buffer": 0}
    cassette.write_text(json.dumps(line) + "\n")
    with pytest.raises(CassetteError, match="buffer"):
        nbcache.import_cassette(cassette)
    nbcache.uninstall()


def test_the_golden_payload_of_version_4_is_read() -> None:
    whole = read((GOLDEN / "payload_v4_bytes.bin").read_bytes(), KEY)
    assert whole.generations() == [ANSWER]
    assert whole.header() == HEADER
    assert whole.plain_with_buffers() == json.loads((GOLDEN / "payload_v4_bytes.json").read_text())


def test_a_view_comes_back_as_a_view_without_a_copy() -> None:
    payload = encode(
        [Generation(text="x", generation_info={"x": memoryview(NOISE)})], HEADER, reusable=True, classes=()
    )
    (came,) = read(payload, KEY).generations()
    assert came.generation_info is not None
    view = came.generation_info["x"]
    assert type(view) is memoryview
    assert view == NOISE
    assert view.obj is payload
    (plain,) = read(payload, KEY).plain_with_buffers()
    again = codec.assemble([plain], HEADER, reusable=True)
    assert read(again, KEY).generations()[0].generation_info == {"x": NOISE}
