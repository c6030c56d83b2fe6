"""What a call asked for, as far as its price depends on it: the one place that reads an identity for that.

The settings are read from an identity's document. The prompt is as LangChain or an SDK wrote it.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from nbcache.entry.usage.reported_metadata import mapping, named
from nbcache.entry.usage.vendors import class_names

# Where a document has settings, what a call says itself before what its model says.
_PARTS = ("options", "request", "fields", "told")
_WITHIN = ("model_kwargs", "extra_body", "additional_model_request_fields")
_SEARCHES = ("search_parameters", "web_search_options", "plugins")
_MOST_REQUESTS = 256
MODEL = ("model_name", "model", "model_id", "modelId")
_DEPLOYMENT = ("deployment_name", "azure_deployment")
_BREAKPOINTS = ("cache_control", "cachePoint", "cache_point")
_MEDIA = ("audio", "video")
_UNNAMED_MEDIA = ("media", "file")  # blocks that may hold any, unless they say which


class Request(NamedTuple):
    """The settings of a call on which its price depends.

    `cached_content` is the name of what Google has cached before. `searches` says that the request allows searches that the
    answer may not mention.
    """

    classes: tuple[str, ...]  # the names of the model's class
    models: tuple[str, ...]  # the names that it is called by, the most exact first
    deployment: str | None
    base_model: str | None
    service_tier: str | None
    speed: str | None
    cached_content: str | None
    embeds: bool  # whether vectors are asked for
    searches: bool


def request_of(document: Mapping[str, Any]) -> Request:
    """What the document of an identity asks for. Most calls of a notebook share theirs."""
    entry = _requests.get(id(document))
    if entry is not None and entry[0] is document:
        return entry[1]
    settings = [part for part in _settings(document) if part]
    tiers = [part.get(name) for part in settings for name in ("service_tier", "serviceTier")]
    request = Request(
        classes=class_names(document.get("class")),
        models=tuple(name for part in settings for each in MODEL if _is_text(name := part.get(each)) and name),
        deployment=named(settings, _DEPLOYMENT),
        base_model=named(settings, ("base_model_id",)),
        service_tier=next(
            (text for tier in tiers if (text := mapping(tier).get("type", tier)) and _is_text(text)), None
        ),
        speed=named(settings, ("speed",)),
        cached_content=named(settings, ("cached_content",)),
        embeds="embeds" in document,
        searches=any(_is_on(part[name]) for part in settings for name in _SEARCHES if part.get(name)),
    )
    if len(_requests) >= _MOST_REQUESTS:
        _requests.clear()
    _requests[id(document)] = (document, request)
    return request


# By the address of the document, which is stored as well: so no other document gets this address.
_requests: dict[int, tuple[Mapping[str, Any], Request]] = {}


def cache_lifetimes(document: Mapping[str, Any], prompt: str) -> set[str]:
    """How long the marked parts of the request stay in the provider's cache: `5m`, `1h`."""
    ttls: set[str] = set()
    values: list[Any] = [dict(document)]
    if any(name in prompt for name in _BREAKPOINTS):
        values.append(_parsed(prompt))
    for value in values:
        for each in _mappings(value):
            for name in _BREAKPOINTS:
                if isinstance(each.get(name), dict):
                    ttls.add(str(each[name].get("ttl") or "5m"))
    return ttls


def input_media(prompt: str) -> set[str]:
    """Which of `audio` and `video` the prompt holds, or may hold."""
    if not any(f'"{name}' in prompt or f"{name}/" in prompt for name in (*_MEDIA, *_UNNAMED_MEDIA, "input_audio")):
        return set()
    media: set[str] = set()
    for block in _mappings(_parsed(prompt)):
        kind = block.get("type")
        if not isinstance(kind, str):
            continue
        mime = next((block[name] for name in ("mime_type", "mimeType") if isinstance(block.get(name), str)), "")
        media |= {name for name in _MEDIA if kind in {name, f"input_{name}", f"{name}_url"} or mime.startswith(name)}
        if kind in _UNNAMED_MEDIA and not mime:
            media |= set(_MEDIA)
    return media


def _settings(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name in _PARTS:
        part = mapping(document.get(name))
        yield part
        for within in _WITHIN:
            yield mapping(part.get(within))


def _is_on(search: Any) -> bool:
    return mapping(search).get("mode") != "off"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _parsed(prompt: str) -> Any:
    try:
        return json.loads(prompt)
    except (ValueError, RecursionError):
        return None


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    """All objects in a JSON value, at any depth."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            yield each
            left += each.values()
        elif isinstance(each, list):
            left += each
