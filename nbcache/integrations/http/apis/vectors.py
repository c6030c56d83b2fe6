"""Answers that are no text: vectors, the order of documents, verdicts. OpenAI's, Cohere's, Voyage's and Jina's APIs."""

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.outputs import Generation

from nbcache.entry.usage.reported_metadata import mapping
from nbcache.integrations.http.apis.endpoint import Endpoint, has
from nbcache.integrations.http.apis.framing import Body
from nbcache.integrations.http.apis.generations import text_generation


def vectors(found: Sequence[Any], metadata: Body) -> list[Generation] | None:
    """A generation that says how many vectors there are; the vectors stay in the body. None if one is missing."""
    if not found or not all(found):
        return None
    length = f" of {len(found[0])} numbers" if isinstance(found[0], list) else ""
    return [text_generation(f"{len(found)} {'vector' if len(found) == 1 else 'vectors'}{length}", metadata)]


def _metadata(body: Body) -> Body:
    usage = mapping(body.get("usage"))
    tokens = usage.get("prompt_tokens", usage.get("total_tokens"))
    counts = {} if tokens is None else {"usage": {"prompt_tokens": tokens, "completion_tokens": 0}}
    return {"model_name": body.get("model"), **counts}


def _embeddings(body: Body) -> list[Generation] | None:
    data = body.get("data")
    if body.get("error") or not isinstance(data, list):
        return None
    return vectors([mapping(item).get("embedding") for item in data], _metadata(body))


def _ranking(body: Body) -> list[Generation] | None:
    """The documents' places and scores, the best first."""
    results = body.get("results") or body.get("data")
    if body.get("error") or not isinstance(results, list) or not results:
        return None
    lines = [f"{mapping(item).get('index')}: {mapping(item).get('relevance_score')}" for item in results]
    return [text_generation("\n".join(lines), {**_metadata(body), "meta": body.get("meta")})]


def _verdicts(body: Body) -> list[Generation] | None:
    results = body.get("results")
    if body.get("error") or not isinstance(results, list) or not results:
        return None
    return [text_generation(json.dumps(results), {"model_name": body.get("model")})]


def _is_input(body: Body) -> bool:
    return "input" in body and isinstance(body.get("model"), str)


ENDPOINTS = (
    Endpoint(api="openai", name="/embeddings", fits=_is_input, prompt="input", read=_embeddings),
    Endpoint(api="openai", name="/moderations", fits=has("input"), prompt="input", read=_verdicts),
    Endpoint(
        api="openai", name="/rerank", fits=has("query", "documents"), system="query", prompt="documents", read=_ranking
    ),
)
