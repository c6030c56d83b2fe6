"""Bedrock's `invoke` for models that continue a prompt: Meta's, Mistral's, DeepSeek's, Claude 2, Command and Jurassic.

Their requests all have a `prompt`; their answers and streams are told apart by their fields.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from langchain_core.outputs import Generation

from nbcache.entry.usage.reported_metadata import mapping
from nbcache.integrations.http.apis.bedrock import METRICS, metadata
from nbcache.integrations.http.apis.framing import Body
from nbcache.integrations.http.apis.generations import text_generation, without_nulls

_LISTS = {"outputs", "choices"}  # of Mistral's and of DeepSeek's texts
_Texts = list[tuple[Any, Any]]  # each with its finish reason


def continuation(body: Body) -> list[Generation] | None:
    """The texts that a model has made of a prompt. None if one has no finish reason."""
    if body.get("error"):
        return None
    if isinstance(body.get("generation"), str):
        counts = {"input_tokens": body.get("prompt_token_count"), "output_tokens": body.get("generation_token_count")}
        body = {"usage": without_nulls(counts), **body}
    return texts(body, _texts_in(body))


def texts(body: Body, each: _Texts) -> list[Generation] | None:
    """Generations of texts with their finish reasons. None if one lacks either."""
    if not each or not all(isinstance(text, str) and isinstance(reason, str) for text, reason in each):
        return None
    return [text_generation(text, metadata(body, stop_reason=reason)) for text, reason in each]


def _texts_in(body: Body) -> _Texts:
    if "generation" in body:  # Meta's
        return [(body["generation"], body.get("stop_reason"))]
    if "completion" in body:  # Claude 2
        return [(body["completion"], body.get("stop_reason"))]
    for name in _LISTS & body.keys():
        return [(each.get("text"), each.get("stop_reason")) for each in _mappings(body[name])]
    if "generations" in body:  # Command
        return [(each.get("text"), each.get("finish_reason")) for each in _mappings(body["generations"])]
    completions = _mappings(body.get("completions"))  # Jurassic
    return [
        (mapping(each.get("data")).get("text"), mapping(each.get("finishReason")).get("reason")) for each in completions
    ]


def _mappings(value: Any) -> list[Body]:
    return list(map(mapping, value)) if isinstance(value, list) else []


def join_continuation(events: list[Body]) -> Body:
    """The body of an answer from the events of its stream."""
    whole: Body = {}
    lists = defaultdict[str, dict[int, Body]](dict)  # texts by their place, for each field that has a list of them
    for event in events:
        pieces = {name: event[name] for name in ("generation", "completion") if isinstance(event.get(name), str)}
        whole |= {name: value for name, value in event.items() if value is not None and name not in pieces}
        whole |= {name: whole.get(name, "") + piece for name, piece in pieces.items()}
        for name in _LISTS & event.keys():
            for place, part in enumerate(_mappings(event[name])):
                _add(lists[name], part.get("index", place), part, "stop_reason")
        if "is_finished" in event:
            _add(lists["generations"], event.get("index") or 0, event, "finish_reason")
    return whole | {name: [text for _, text in sorted(each.items())] for name, each in lists.items()}


def _add(whole: dict[int, Body], index: int, part: Body, reason: str) -> None:
    text = whole.setdefault(index, {"text": ""})
    text["text"] += part.get("text") or ""
    text[reason] = part.get(reason)


def ends_continuation(event: Body) -> bool:
    """Whether a stream ends with this event. Of several texts of Command's, the last that ends has the counts of tokens."""
    if "is_finished" in event:
        return bool(event["is_finished"]) and METRICS in event
    return bool(event.get("stop_reason")) or any(_any_stops(_mappings(event.get(name))) for name in _LISTS)


def _any_stops(outputs: Iterable[Body]) -> bool:
    return any(output.get("stop_reason") for output in outputs)
