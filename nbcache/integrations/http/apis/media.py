"""Answers that are pictures or sound: OpenAI's images and speech, as many servers have them. Their data stay in the body."""

from collections import Counter
from collections.abc import Iterable

from langchain_core.outputs import Generation

from nbcache.entry.durations_and_sizes import bytes_text, counted
from nbcache.entry.usage.reported_metadata import NO_TEXT, UNPRICED, count, mapping
from nbcache.errors import warn_once
from nbcache.integrations.http.apis.endpoint import Endpoint, has
from nbcache.integrations.http.apis.framing import ARRAY, OVER, Body, End, typed
from nbcache.integrations.http.apis.generations import size_of_base64, text_generation
from nbcache.integrations.http.apis.response import KIND, SIZE

_DATA_URL = "data:"


def medium(body: Body) -> list[Generation] | None:
    """A picture or sound that is the whole body of a response: what it is, and how large. None for another body."""
    kind, size = body.get(KIND), body.get(SIZE)
    if not isinstance(kind, str) or not isinstance(size, int) or not size:
        return None
    if kind.partition("/")[0] not in {"audio", "image", "video"} and kind != "application/octet-stream":
        return None
    return [text_generation(f"{kind}, {bytes_text(size)}", {NO_TEXT: True, UNPRICED: True})]


def images(body: Body) -> list[Generation] | None:
    """Images: how many, of which kind, how large. None without their data, since a URL of an image expires."""
    data = body.get("data")
    if body.get("error") or not isinstance(data, list) or not data:
        return None
    encoded = [_encoded(mapping(image)) for image in data]
    if not all(encoded):
        if any(mapping(image).get("url") for image in data):
            warn_once(
                "image urls",
                "nbcache: images that come as URLs are not cached, because the URLs expire. Ask for their data instead "
                "(`response_format='b64_json'`)",
            )
        return None
    size = sum(size_of_base64(each or "") for each in encoded)
    about = ", ".join(str(value) for name in ("output_format", "size", "quality") if (value := body.get(name)))
    revised = [str(text) for image in data if (text := mapping(image).get("revised_prompt"))]
    text = f"{counted(len(data), 'image')}{f' ({about})' if about else ''}, {bytes_text(size)}"
    return [text_generation("\n".join([text, *revised]), {"model_name": body.get("model"), **_image_usage(body)})]


def _encoded(image: Body) -> str | None:
    data, url = image.get("b64_json"), image.get("url")
    if isinstance(data, str) and data:
        return data
    return url if isinstance(url, str) and url.startswith(_DATA_URL) else None


def _image_usage(body: Body) -> Body:
    """The tokens of an answer that consists of images. Its price isn't known if they aren't."""
    usage = mapping(body.get("usage"))
    output_tokens = count(usage.get("output_tokens"))
    if output_tokens is None:
        return {NO_TEXT: True, UNPRICED: "cost" not in usage or None, "usage": usage or None}
    details = mapping(usage.get("output_tokens_details")) or {"image_tokens": output_tokens}
    return {NO_TEXT: True, "usage": {**usage, "output_tokens_details": details}}


def _join_images(events: Iterable[Body]) -> Body:
    """The body of an answer from the events of its stream: of each finished image one, beside those of unfinished ones."""
    done = [event for event in events if str(event.get("type")).endswith(".completed") and "b64_json" in event]
    used: Counter[str] = Counter()
    for event in done:
        used.update({name: number for name, number in mapping(event.get("usage")).items() if count(number)})
    about = {name: value for name, value in (done[-1] if done else {}).items() if name not in {"b64_json", "usage"}}
    return {**about, "data": done, "usage": dict(used)}


def _join_speech(events: Iterable[Body]) -> Body:
    parts = [event for event in events if event.get("type") == "speech.audio.delta"]
    return {KIND: "audio/events", SIZE: sum(size_of_base64(str(event.get("audio"))) for event in parts)}


def _is_speech(body: Body) -> bool:
    return has("input", "voice")(body) or has("input", "model")(body)


def _is_speech_in_events(body: Body) -> bool:
    return body.get("stream_format") == "sse" and _is_speech(body)


def _always(*_: object) -> bool:
    return True


def _completes_image(event: Body) -> bool:
    return event.get("type") == "image_generation.completed"


ENDPOINTS = (
    Endpoint(
        api="openai",
        name="/images/generations",
        fits=has("prompt"),
        prompt="prompt",
        read=images,
        join=_join_images,
        end=End(test=_completes_image, marks=(b"image_generation.completed",), waits=True),
    ),
    Endpoint(
        api="openai",
        name="/audio/speech",
        fits=_is_speech_in_events,
        system="instructions",
        prompt="input",
        read=medium,
        is_stream=_always,
        join=_join_speech,
        end=typed("speech.audio.done"),
    ),
    Endpoint(
        api="openai",
        name="/audio/speech",
        fits=_is_speech,
        system="instructions",
        prompt="input",
        read=medium,
        is_stream=_always,  # it is played while it comes
        framing=ARRAY,
        end=OVER,
        is_binary=True,
    ),
)
