"""Answers that are vectors, the order of documents or verdicts: OpenAI's, Cohere's, Voyage's and Jina's APIs."""

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.outputs import Generation

from nbcache.entry.kind import numbers_text, vectors_text
from nbcache.entry.usage.reported_metadata import NO_TEXT, UNPRICED, mapping
from nbcache.integrations.http.apis.endpoint import Endpoint, has
from nbcache.integrations.http.apis.framing import Body
from nbcache.integrations.http.apis.generations import text_generation


def vectors(found: Sequence[Any], metadata: Body) -> list[Generation] | None:
    """A generation that says how many vectors there are; the vectors stay in the body. None if one is missing."""
    if not found or not all(found):
        return None
    length = len(found[0]) if isinstance(found[0], list) else None
    return [text_generation(vectors_text(len(found), length), {NO_TEXT: True, **metadata})]


def numbers(found: Any) -> list[Generation] | None:
    """A generation that says how many numbers there are in lists of any depth. None for anything else."""
    if not isinstance(found, list) or not found:
        return None
    sizes, values = [], found
    while isinstance(values, list) and values:
        sizes.append(len(values))
        values = values[0]
    if type(values) not in {float, int}:
        return None
    return [text_generation(numbers_text(sizes), {NO_TEXT: True})]


def _metadata(body: Body) -> Body:
    usage = mapping(body.get("usage"))
    tokens = usage.get("prompt_tokens", usage.get("total_tokens"))
    counts = {} if tokens is None else {"usage": {"prompt_tokens": tokens, "completion_tokens": 0}}
    return {"model_name": body.get("model"), **counts}


def _embeddings(body: Body) -> list[Generation] | None:
    data = body.get("data")
    if body.get("error") or not isinstance(data, list):
        return None
    found = [vector for item in data for vector in _vectors_in(mapping(item))]
    return vectors(found, _metadata(body))


def _vectors_in(item: Body) -> list[Any]:
    """The vector of an input, those of the parts of a document (Voyage's), or those of its tokens (Jina's)."""
    if isinstance(parts := item.get("data"), list):
        return [mapping(part).get("embedding") for part in parts]
    return item["embeddings"] if isinstance(item.get("embeddings"), list) else [item.get("embedding")]


def ranking(body: Body) -> list[Generation] | None:
    """The documents' places and scores, the best first."""
    results: Any = body.get("results") or body.get("data")
    if body.get("error") or not _all_have(results, "relevance_score"):
        return None
    lines = [f"{mapping(item).get('index')}: {mapping(item).get('relevance_score')}" for item in results]
    # A provider that counts no tokens charges by the search, for which no list price is known.
    metadata = {**_metadata(body), "meta": body.get("meta"), NO_TEXT: True}
    return [text_generation("\n".join(lines), {**metadata, UNPRICED: "usage" not in metadata or None})]


def _verdicts(body: Body) -> list[Generation] | None:
    results = body.get("results")
    if body.get("error") or not (_all_have(results, "flagged") or _all_have(results, "categories")):
        return None
    return [text_generation(json.dumps(results), {"model_name": body.get("model"), NO_TEXT: True})]


def _all_have(results: Any, name: str) -> bool:
    """Whether each of the results has this field: another service may have such a path, and answers that look alike."""
    return isinstance(results, list) and bool(results) and all(name in mapping(each) for each in results)


def _is_input(body: Body) -> bool:
    return "input" in body and isinstance(body.get("model"), str | None)  # a deployment at Azure is named in its path


ENDPOINTS = (
    Endpoint(api="openai", name="/embeddings", fits=_is_input, prompt="input", read=_embeddings),
    Endpoint(
        api="openai", name="/multimodalembeddings", fits=has("inputs", "model"), prompt="inputs", read=_embeddings
    ),
    Endpoint(
        api="openai", name="/contextualizedembeddings", fits=has("inputs", "model"), prompt="inputs", read=_embeddings
    ),
    Endpoint(api="openai", name="/moderations", fits=has("input"), prompt="input", read=_verdicts),
    Endpoint(
        api="openai", name="/rerank", fits=has("query", "documents"), system="query", prompt="documents", read=ranking
    ),
)
