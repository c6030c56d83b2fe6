"""Google's embeddings, of Gemini and of Vertex, and the images of Imagen, which Vertex calls predictions."""

from collections.abc import Callable
from typing import Any

from langchain_core.outputs import Generation

from nbcache.entry.durations_and_sizes import bytes_text, counted
from nbcache.entry.usage.reported_metadata import NO_TEXT, UNPRICED, count, mapping
from nbcache.integrations.http.apis.endpoint import Endpoint, has
from nbcache.integrations.http.apis.framing import Body
from nbcache.integrations.http.apis.generations import size_of_base64, text_generation
from nbcache.integrations.http.apis.google import model_path
from nbcache.integrations.http.apis.vectors import vectors


def _embeddings(body: Body) -> list[Generation] | None:
    """What the endpoints for embeddings answer, and Vertex's predictions."""
    if body.get("error"):
        return None
    found: Any = body.get("embeddings") or body.get("predictions") or [body.get("embedding")]
    each = [mapping(item.get("embeddings")) or item if isinstance(item, dict) else {} for item in found]
    return vectors([item.get("values") for item in each], {"usage": _usage(body, each)})


def _usage(body: Body, found: list[Body]) -> Body | None:
    """The tokens of the texts: for all of them, or those of each. None if there is no such count."""
    tokens = count(mapping(body.get("usageMetadata")).get("promptTokenCount"))
    if tokens is None:
        each = [count(mapping(item.get("statistics")).get("token_count")) for item in found]
        tokens = sum(number or 0 for number in each) if None not in each else None
    return None if tokens is None else {"prompt_tokens": tokens, "completion_tokens": 0}


def _images(body: Body) -> list[Generation] | None:
    """Imagen's images: how many, of which kind, how large. Each has a price that no list has."""
    predictions = body.get("predictions")
    if body.get("error") or not isinstance(predictions, list) or not predictions:
        return None
    images = [image for image in map(mapping, predictions) if isinstance(image.get("bytesBase64Encoded"), str)]
    if len(images) < len(predictions) and not any("raiFilteredReason" in mapping(each) for each in predictions):
        return None
    size = sum(size_of_base64(image["bytesBase64Encoded"]) for image in images)
    kinds = ", ".join(dict.fromkeys(str(image.get("mimeType")) for image in images))
    reason = "STOP" if len(images) == len(predictions) else "IMAGE_SAFETY"
    text = f"{counted(len(images), 'image')} ({kinds}), {bytes_text(size)}" if images else "no image"
    return [text_generation(text, {"finish_reason": reason, NO_TEXT: True, UNPRICED: True})]


def _first_instance_has(name: str) -> Callable[[Body], bool]:
    def fits(body: Body) -> bool:
        instances = body.get("instances")
        return isinstance(instances, list) and bool(instances) and name in mapping(instances[0])

    return fits


ENDPOINTS = (
    Endpoint(
        api="google",
        name=":embedContent",
        path=model_path("embedContent"),
        fits=has("content"),
        prompt="content",
        read=_embeddings,
    ),
    Endpoint(
        api="google",
        name=":batchEmbedContents",
        path=model_path("batchEmbedContents"),
        fits=has("requests"),
        prompt="requests",
        read=_embeddings,
    ),
    Endpoint(
        api="google",
        name=":predict",
        path=model_path("predict"),
        fits=_first_instance_has("content"),
        prompt="instances",
        read=_embeddings,
    ),
    Endpoint(
        api="google",
        name=":predict",
        path=model_path("predict"),
        fits=_first_instance_has("prompt"),
        prompt="instances",
        read=_images,
    ),
)
