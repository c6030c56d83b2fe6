"""Hugging Face: its own paths of models, and those of its server Text Generation Inference. What speaks OpenAI's API is there."""

import json
import re
from collections.abc import Iterable
from typing import Any

from langchain_core.outputs import Generation

from nbcache.entry.usage.reported_metadata import NO_TEXT, UNPRICED, mapping
from nbcache.integrations.http.apis.endpoint import Endpoint, has
from nbcache.integrations.http.apis.framing import PARTS, Body, End
from nbcache.integrations.http.apis.generations import text_generation
from nbcache.integrations.http.apis.media import medium
from nbcache.integrations.http.apis.response import KIND
from nbcache.integrations.http.apis.vectors import numbers


def generated(body: Body) -> list[Generation] | None:
    """A generated text, alone or as the only one of a list."""
    answers = body.get(PARTS, [body])
    texts = [answer for answer in map(mapping, answers) if isinstance(answer.get("generated_text"), str)]
    if body.get("error") or not texts or len(texts) != len(answers):
        return None
    return [text_generation(answer["generated_text"], _metadata(mapping(answer.get("details")))) for answer in texts]


def _metadata(details: Body) -> Body:
    """What the server counted. `prefill` is there only if it was asked for, and has each token of the prompt."""
    prefill = details.get("prefill")
    counts = {"completion_tokens": details.get("generated_tokens")}
    if isinstance(prefill, list) and prefill:
        counts["prompt_tokens"] = len(prefill)
    return {"finish_reason": details.get("finish_reason"), "usage": counts}


def anything(body: Body) -> list[Generation] | None:
    """What a model of any kind answers: a text, a picture, sound, numbers, or labels and the like as JSON."""
    parts = body.get(PARTS) if isinstance(body.get(PARTS), list) else [body]
    if not body or any(mapping(part).get("error") for part in parts or ()):
        return None
    described = generated(body) or medium(body) or _features(body)
    if described is None and KIND not in body:
        text = json.dumps(body.get(PARTS, body), ensure_ascii=False)
        described = [text_generation(text, {NO_TEXT: True, UNPRICED: True})]
    return described


def _features(body: Body) -> list[Generation] | None:
    """Vectors, or how similar sentences are: a list of numbers or of further lists."""
    return numbers(body.get(PARTS))


def _join(events: Iterable[Body]) -> Body:
    """The answer is in the last event of a stream. An error in the stream is one of the whole."""
    parts = list(events)
    failed = next((event for event in parts if event.get("error")), None)
    return failed or (parts[-1] if parts else {})


def _is_generation(body: Body) -> bool:
    return isinstance(body.get("inputs"), str)


def _is_streamed(body: Body, path: re.Match[str]) -> bool:
    return path[0] == "/generate_stream" or body.get("stream") is True


def _has_text(event: Body) -> bool:
    return isinstance(event.get("generated_text"), str)


_TASKS = ("feature-extraction", "sentence-similarity")
_TGI: dict[str, Any] = {
    "api": "huggingface",
    "fits": _is_generation,
    "prompt": "inputs",
    "read": generated,
    "is_stream": _is_streamed,
    "join": _join,
    "end": End(test=_has_text, marks=(b"generated_text",)),
}
ENDPOINTS = (
    Endpoint(
        name="/generate",
        path=re.compile(r"/generate(?:_stream)?$"),
        last_words=("generate", "generate_stream"),
        **_TGI,
    ),
    Endpoint(
        name="/models",
        path=re.compile(r"/models/(?P<model>[^/]+/[^/]+)$"),
        hosts=frozenset({"router.huggingface.co", "api-inference.huggingface.co"}),
        **{**_TGI, "fits": has("inputs"), "read": anything},
        is_binary=True,
        reads_accept=True,  # by which a client asks for one kind of picture
    ),
    Endpoint(
        api="huggingface",
        name="/pipeline",
        path=re.compile(rf"(?:/models/(?P<model>[^/]+(?:/[^/]+)?))?/pipeline/(?P<task>{'|'.join(_TASKS)})$"),
        last_words=_TASKS,
        fits=has("inputs"),
        prompt="inputs",
        read=_features,
    ),
)
