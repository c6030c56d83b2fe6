"""Images and speech: paid once, byte for byte, and shown by what they are. Whatever may be cut or may expire isn't kept."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
import requests

import nbcache
from nbcache.integrations.http import exchange
from tests.servers.loopback import Handler, Loopback

SOUND = bytes(range(256)) * 64
PICTURE = base64.b64encode(bytes(range(256)) * 40).decode()
SPOKEN: Any = {"model": "tts-1", "voice": "alloy", "input": "Hello!"}
DRAWN: Any = {"model": "gpt-image-1", "prompt": "A cat.", "size": "1024x1024"}
IMAGE: dict[str, Any] = {
    "created": 1,
    "data": [{"b64_json": PICTURE}],
    "output_format": "png",
    "quality": "low",
    "size": "1024x1024",
    "usage": {
        "input_tokens": 10,
        "output_tokens": 20,
        "total_tokens": 30,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 0},
    },
}


class _Handler(Handler):
    protocol_version = "HTTP/1.1"

    def respond(self) -> None:
        self.body()
        server = self.server.owner
        server.count += 1
        if server.length == "chunked":
            self._send_chunks(server.kind, server.content)
        else:
            self.close_connection = True
            headers = {"Content-Length": str(server.length)} if server.length else {}
            self.send_response(200)
            for name, value in {"Content-Type": server.kind, "Connection": "close", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(server.content)

    def _send_chunks(self, kind: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(content), 1000):
            chunk = content[start : start + 1000]
            self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")


class Studio(Loopback):
    """A server that answers each request with `content`, and says its length, if `length` isn't 0, or sends it in chunks."""

    def __init__(self) -> None:
        self.content, self.kind, self.count = SOUND, "audio/mpeg", 0
        self.length: int | str = "chunked"
        super().__init__(_Handler)

    def answer(self, content: Any, kind: str = "application/json") -> None:
        self.content, self.kind = content if isinstance(content, bytes) else json.dumps(content).encode(), kind

    @property
    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="sk-test", max_retries=0)


@pytest.fixture
def studio() -> Iterator[Studio]:
    with Studio() as server:
        yield server


@pytest.mark.usefixtures("store")
def test_speech_is_paid_once_and_comes_back_byte_for_byte(studio: Studio) -> None:
    client = studio.client
    assert [client.audio.speech.create(**SPOKEN).content for _ in range(3)] == [SOUND] * 3
    with client.audio.speech.with_streaming_response.create(**SPOKEN) as response:
        assert b"".join(response.iter_bytes(100)) == SOUND
    assert requests.post(f"{studio.url}/v1/audio/speech", json=SPOKEN, timeout=9).content == SOUND
    assert studio.count == 1
    entry = nbcache.entries().iloc[0]
    assert (entry["prompt"], entry["answer"]) == ("Hello!", "audio/mpeg, 16.4 kB")


@pytest.mark.usefixtures("store")
async def test_an_async_client_is_played_the_same_speech(studio: Studio) -> None:
    studio.client.audio.speech.create(**SPOKEN)
    client = openai.AsyncOpenAI(base_url=f"{studio.url}/v1", api_key="sk-test")
    assert (await client.audio.speech.create(**SPOKEN)).content == SOUND
    assert studio.count == 1


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(("length", "kept"), [(len(SOUND), 1), (0, 0)])
def test_sound_whose_end_nothing_shows_is_not_kept(studio: Studio, length: int, kept: int) -> None:
    studio.length = length
    for _ in range(2):
        assert studio.client.audio.speech.create(**SPOKEN).content == SOUND
    assert (studio.count, nbcache.stats().entries) == (2 - kept, kept)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("content", "kind"),
    [({"error": {"message": "busy"}}, "application/json"), (b"", "audio/mpeg"), (b"<html>", "text/html")],
)
def test_what_is_no_sound_is_not_kept(studio: Studio, content: Any, kind: str) -> None:
    studio.answer(content, kind)
    for _ in range(2):
        studio.client.audio.speech.create(**SPOKEN)
    assert (studio.count, nbcache.stats().entries) == (2, 0)


@pytest.mark.usefixtures("store")
def test_speech_in_events_is_kept_when_its_end_was_seen(studio: Studio) -> None:
    events = [{"type": "speech.audio.delta", "audio": PICTURE}, {"type": "speech.audio.done", "usage": {}}]
    parts = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    asked = {**SPOKEN, "stream_format": "sse"}
    studio.answer(parts[0], "text/event-stream")
    with pytest.warns(nbcache.NbcacheWarning, match="ended before it was complete"):
        assert studio.client.audio.speech.create(**asked).content == parts[0]
    studio.answer(b"".join(parts), "text/event-stream")
    for _ in range(2):
        assert studio.client.audio.speech.create(**asked).content == b"".join(parts)
    assert studio.count == 2


@pytest.mark.usefixtures("store")
def test_images_are_paid_once_and_shown_by_their_kind_and_size(studio: Studio) -> None:
    studio.answer(IMAGE)
    live, hit = (studio.client.images.generate(**DRAWN) for _ in range(2))
    assert live == hit
    assert studio.count == 1
    entry = nbcache.entries().iloc[0]
    assert (entry["prompt"], entry["answer"]) == ("A cat.", "1 image (png, 1024x1024, low), 10.2 kB")
    assert (entry["model"], entry["input_tokens"], entry["output_tokens"]) == ("gpt-image-1", 10, 20)


@pytest.mark.usefixtures("store")
def test_images_in_events_are_kept_when_all_have_come(studio: Studio) -> None:
    drawn = {"b64_json": PICTURE, "size": "1024x1024", "output_format": "png", "usage": IMAGE["usage"]}
    events = [
        {**drawn, "type": "image_generation.partial_image", "partial_image_index": 0},
        {**drawn, "type": "image_generation.completed"},
    ]
    parts = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    studio.answer(parts[0], "text/event-stream")
    with pytest.warns(nbcache.NbcacheWarning, match="ended before it was complete"):
        assert len(list(studio.client.images.generate(**DRAWN, stream=True, partial_images=1))) == 1
    studio.answer(b"".join(parts), "text/event-stream")
    for _ in range(2):
        assert len(list(studio.client.images.generate(**DRAWN, stream=True, partial_images=1))) == 2
    assert studio.count == 2
    assert nbcache.entries()["answer"].tolist() == ["1 image (png, 1024x1024), 10.2 kB"]


@pytest.mark.usefixtures("store")
def test_images_that_come_as_urls_are_not_kept_and_the_user_is_told_what_to_ask_for(studio: Studio) -> None:
    studio.answer({"created": 1, "data": [{"url": "https://a.example/1.png"}]})
    with pytest.warns(nbcache.NbcacheWarning, match="the URLs expire. Ask for their data"):
        studio.client.images.generate(model="dall-e-3", prompt="A cat.")
    studio.client.images.generate(model="dall-e-3", prompt="A cat.")
    assert (studio.count, nbcache.stats().entries) == (2, 0)


@pytest.mark.usefixtures("store")
def test_a_very_large_answer_is_not_kept_and_the_user_is_told(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "LARGEST_BODY", 10_000)
    with pytest.warns(nbcache.NbcacheWarning, match=r"is not cached, because it is larger than 10.0 kB: 16.4 kB"):
        studio.client.audio.speech.create(**SPOKEN)
    assert studio.client.audio.speech.create(**SPOKEN).content == SOUND
    assert (studio.count, nbcache.stats().entries) == (2, 0)


@pytest.mark.usefixtures("store")
def test_what_is_uploaded_passes_by(studio: Studio) -> None:
    studio.answer(IMAGE)
    for _ in range(2):
        studio.client.images.edit(image=("a.png", SOUND, "image/png"), prompt="A dog.", model="gpt-image-1")
    studio.answer({"text": "hi"})
    for _ in range(2):
        studio.client.audio.transcriptions.create(file=("a.mp3", SOUND), model="whisper-1")
        httpx.post(f"{studio.url}/v1/images/edits", json={"prompt": "A dog.", "images": [{"image_url": "data:"}]})
    assert (studio.count, nbcache.stats().entries) == (6, 0)


def test_a_cassette_plays_speech(studio: Studio, tmp_path: Any) -> None:
    nbcache.install(tmp_path / "store")
    studio.client.audio.speech.create(**SPOKEN)
    nbcache.export_cassette(tmp_path / "speech.jsonl")
    nbcache.uninstall()
    nbcache.install(tmp_path / "other", mode="replay", cassette=tmp_path / "speech.jsonl")
    assert studio.client.audio.speech.create(**SPOKEN).content == SOUND
    assert studio.count == 1


HUGGING_FACE: dict[str, tuple[str, bytes, str]] = {
    "a picture": ("image/png", SOUND, "image/png, 16.4 kB"),
    "a text": ("application/json", b'[{"generated_text": "hi there"}]', "hi there"),
    "labels": ("application/json", b'[[{"label": "good", "score": 0.5}]]', '[[{"label": "good", "score": 0.5}]]'),
    "numbers": ("application/json", b"[[0.5, 0.25]]", "1 x 2 numbers"),
}


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", HUGGING_FACE)
def test_a_model_at_hugging_face_is_known_by_its_host_and_answers_with_anything(name: str) -> None:
    kind, content, shown = HUGGING_FACE[name]
    count = 0

    def respond(_: httpx.Request) -> httpx.Response:
        nonlocal count
        count += 1
        return httpx.Response(200, content=content, headers={"content-type": kind})

    with httpx.Client(transport=httpx.MockTransport(respond)) as client:
        for _ in range(2):
            url = "https://router.huggingface.co/hf-inference/models/black-forest/flux"
            assert client.post(url, json={"inputs": "A cat."}).content == content
            client.post("https://elsewhere.example/models/black-forest/flux", json={"inputs": "A cat."})
            client.post(url, content=SOUND, headers={"content-type": "audio/mpeg"})
    assert count == 1 + 2 + 2
    assert nbcache.entries()["answer"].tolist() == [shown]


@pytest.mark.usefixtures("store")
def test_a_picture_of_another_kind_is_another_call_at_hugging_face() -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=SOUND, headers={"content-type": request.headers["accept"]})

    url = "https://router.huggingface.co/hf-inference/models/black-forest/flux"
    with httpx.Client(transport=httpx.MockTransport(respond)) as client:
        for kind in ("image/png", "image/jpeg", "image/png"):
            response = client.post(url, json={"inputs": "A cat."}, headers={"accept": kind})
            assert response.headers["content-type"] == kind
    assert (nbcache.stats().misses, nbcache.stats().hits) == (2, 1)
