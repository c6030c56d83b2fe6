"""Services of other kinds, whose paths and bodies look like those of a model's API: their answers are never kept."""

from typing import Any

import httpx
import pytest

import nbcache

SERVICES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "a queue of moderations": ("/moderations", {"input": "a"}, {"results": [{"id": 5, "status": "queued"}]}),
    "jobs that sort documents": ("/rerank", {"query": "q", "documents": ["a"]}, {"results": [{"id": 5}]}),
    "a survey": ("/responses", {"input": "a"}, {"id": 9, "output": [{"type": "answer"}]}),
    "a survey with a status": (
        "/responses",
        {"input": "a"},
        {"object": "survey", "status": "completed", "output": [{"type": "answer"}]},
    ),
    "a chat of people": ("/chat/completions", {"messages": ["a"]}, {"choices": [{"id": 4}]}),
    "a maker of documents": ("/api/generate", {"model": "m", "prompt": "a", "stream": False}, {"created": True}),
    "a shop": ("/generate", {"inputs": "a"}, {"id": 4}),
    "an index": ("/embeddings", {"input": "a"}, {"data": [{"id": 1}]}),
}


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", SERVICES)
def test_what_another_service_answers_is_not_kept(name: str) -> None:
    path, body, answer = SERVICES[name]
    sent: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json=answer)

    with httpx.Client(transport=httpx.MockTransport(handle)) as client:
        for _ in range(2):
            assert client.post(f"https://shop.example{path}", json=body).json() == answer
    assert (len(sent), nbcache.stats().entries) == (2, 0)
