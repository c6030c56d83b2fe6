"""How an answer ended, by every API's own words: what was cut off, filtered or failed is handed out by the rules of all calls."""

import json
from typing import Any

import httpx
import pytest

import nbcache

_ASKED: Any = [{"role": "user", "content": "a"}]
_VERTEX = "/v1/projects/p/locations/l/publishers"


def _openai(reason: str) -> dict[str, Any]:
    return {"model": "m", "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": reason}]}


def _claude(reason: str) -> dict[str, Any]:
    return {"model": "m", "content": [{"type": "text", "text": "hi"}], "stop_reason": reason}


def _gemini(reason: str) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": reason}]}


def _response(status: str, reason: str = "") -> dict[str, Any]:
    output = [{"type": "message", "content": [{"type": "output_text", "text": "hi"}]}]
    return {"status": status, "incomplete_details": {"reason": reason} if reason else None, "output": output}


def _cohere(reason: str) -> dict[str, Any]:
    return {"message": {"content": [{"type": "text", "text": "hi"}]}, "finish_reason": reason}


def _ollama(reason: str) -> dict[str, Any]:
    return {"model": "m", "message": {"content": "hi"}, "done": True, "done_reason": reason}


def _tgi(reason: str) -> dict[str, Any]:
    return {"generated_text": "hi", "details": {"finish_reason": reason, "generated_tokens": 1}}


_CHAT = ("/v1/chat/completions", {"model": "m", "messages": _ASKED})
_TEXT = ("/v1/completions", {"model": "m", "prompt": "a"})
_RESPONSE = ("/v1/responses", {"model": "m", "input": "a"})
_MESSAGE = ("/v1/messages", {"model": "m", "max_tokens": 9, "messages": _ASKED})
_AT_VERTEX = (
    f"{_VERTEX}/anthropic/models/claude:rawPredict",
    {"anthropic_version": "v", "max_tokens": 9, "messages": _ASKED},
)
_GEMINI: tuple[str, dict[str, Any]] = ("/v1beta/models/gemini:generateContent", {"contents": []})
_IMAGEN = ("/v1beta/models/imagen:predict", {"instances": [{"prompt": "a"}]})
_COHERE = ("/v2/chat", {"model": "m", "messages": _ASKED})
_COHERE_FIRST = ("/v1/chat", {"message": "a"})
_OLLAMA = ("/api/chat", {"model": "m", "messages": _ASKED, "stream": False})
_TGI = ("/generate", {"inputs": "a"})
_PICTURE = {"bytesBase64Encoded": "AAAA", "mimeType": "image/png"}

ENDS: list[tuple[tuple[str, dict[str, Any]], dict[str, Any], str | None]] = [
    *((_CHAT, _openai(reason), "ok") for reason in ("stop", "tool_calls", "eos")),
    *((_CHAT, _openai(reason), "cut off") for reason in ("length", "model_length", "max_tokens")),
    *((_CHAT, _openai(reason), "filtered") for reason in ("content_filter", "insufficient_system_resource")),
    (_CHAT, _openai("error"), None),
    (_CHAT, {**_openai("stop"), "error": {"message": "busy"}}, None),
    (_TEXT, {"choices": [{"text": "hi", "finish_reason": "stop"}]}, "ok"),
    (_TEXT, {"choices": [{"text": "hi", "finish_reason": "length"}]}, "cut off"),
    (_TEXT, {"choices": [{"text": "hi", "finish_reason": "content_filter"}]}, "filtered"),
    (_RESPONSE, _response("completed"), "ok"),
    (_RESPONSE, _response("incomplete", "max_output_tokens"), "cut off"),
    (_RESPONSE, _response("incomplete", "content_filter"), "filtered"),
    *((_RESPONSE, _response(status), None) for status in ("failed", "in_progress", "cancelled", "queued")),
    *((each, _claude(reason), "ok") for each in (_MESSAGE, _AT_VERTEX) for reason in ("end_turn", "stop_sequence")),
    *((each, _claude("max_tokens"), "cut off") for each in (_MESSAGE, _AT_VERTEX)),
    *((each, _claude("refusal"), "filtered") for each in (_MESSAGE, _AT_VERTEX)),
    *((each, _claude("pause_turn"), "unfinished") for each in (_MESSAGE, _AT_VERTEX)),
    *((each, {"type": "error", "error": {"type": "busy"}}, None) for each in (_MESSAGE, _AT_VERTEX)),
    (_GEMINI, _gemini("STOP"), "ok"),
    (_GEMINI, _gemini("MAX_TOKENS"), "cut off"),
    *(
        (_GEMINI, _gemini(reason), "filtered")
        for reason in ("SAFETY", "RECITATION", "MALFORMED_FUNCTION_CALL", "OTHER")
    ),
    (_GEMINI, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}, "filtered"),
    (_GEMINI, {"error": {"code": 503}}, None),
    (_IMAGEN, {"predictions": [_PICTURE]}, "ok"),
    (_IMAGEN, {"predictions": [_PICTURE, {"raiFilteredReason": "no"}]}, "filtered"),
    (_IMAGEN, {"predictions": [{"raiFilteredReason": "no"}]}, "filtered"),
    (_IMAGEN, {}, None),
    *((_COHERE, _cohere(reason), "ok") for reason in ("COMPLETE", "STOP_SEQUENCE", "TOOL_CALL")),
    (_COHERE, _cohere("MAX_TOKENS"), "cut off"),
    *((_COHERE, _cohere(reason), "filtered") for reason in ("ERROR", "TIMEOUT", "ERROR_TOXIC")),
    (_COHERE_FIRST, {"text": "hi", "generation_id": "g", "finish_reason": "COMPLETE"}, "ok"),
    (_COHERE_FIRST, {"text": "hi", "generation_id": "g", "finish_reason": "MAX_TOKENS"}, "cut off"),
    (_COHERE_FIRST, {"text": "hi", "generation_id": "g", "finish_reason": "ERROR_TOXIC"}, "filtered"),
    (_OLLAMA, _ollama("stop"), "ok"),
    (_OLLAMA, _ollama("length"), "cut off"),
    (_OLLAMA, {**_ollama("stop"), "done": False}, None),
    (_OLLAMA, {"error": "no such model"}, None),
    *((_TGI, _tgi(reason), "ok") for reason in ("eos_token", "stop_sequence")),
    (_TGI, _tgi("length"), "cut off"),
    (_TGI, {"error": "overloaded", "generated_text": "hi"}, None),
]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(("call", "answer", "status"), ENDS)
def test_an_answer_is_handed_out_by_how_it_ended(
    call: tuple[str, dict[str, Any]], answer: dict[str, Any], status: str | None
) -> None:
    path, body = call
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=answer))) as client:
        answers = [client.post(f"https://models.example{path}", json=body) for _ in range(2)]
    assert [each.json() for each in answers] == [answer, answer]
    assert nbcache.entries()["status"].tolist() == ([status] if status else [])
    is_hit = status == "ok" or (status == "cut off" and "max_tokens" in body)  # which is what the call asked for
    assert ("x-nbcache" in answers[1].headers) == is_hit


def _without(answer: dict[str, Any], name: str) -> dict[str, Any]:
    return {field: value for field, value in answer.items() if field != name}


WITHOUT: dict[str, tuple[tuple[str, dict[str, Any]], dict[str, Any]]] = {
    "a choice": (_CHAT, {"choices": [{"index": 0, "message": {"content": "hi"}}]}),
    "a choice that says null": (_CHAT, {"choices": [{"message": {"content": "hi"}, "finish_reason": None}]}),
    "a choice that says null in words": (_CHAT, _openai("null")),
    "a candidate that specifies none": (_GEMINI, _gemini("FINISH_REASON_UNSPECIFIED")),
    "one of two choices": (_CHAT, {"choices": [*_openai("stop")["choices"], {"index": 1, "message": {"content": ""}}]}),
    "a completion": (_TEXT, {"choices": [{"text": "hi"}]}),
    "a response": (_RESPONSE, {"object": "response", **_without(_response(""), "status")}),
    "a message": (_MESSAGE, _without(_claude(""), "stop_reason")),
    "a message at Vertex": (_AT_VERTEX, {**_claude(""), "stop_reason": None}),
    "a candidate": (_GEMINI, {"candidates": [{"content": {"parts": [{"text": "hi"}]}}]}),
    "Cohere's message": (_COHERE, _without(_cohere(""), "finish_reason")),
}


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", WITHOUT)
def test_a_whole_answer_without_a_finish_reason_is_not_kept_and_that_is_said(name: str) -> None:
    (path, body), answer = WITHOUT[name]
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=answer))) as client:
        with pytest.warns(nbcache.NbcacheWarning, match="no finish reason"):
            assert client.post(f"https://models.example{path}", json=body).json() == answer
        assert "x-nbcache" not in client.post(f"https://models.example{path}", json=body).headers
    assert nbcache.stats().entries == 0


WITH_ERRORS: dict[str, tuple[tuple[str, dict[str, Any]], Any]] = {
    "Cohere's message": (_COHERE, {**_cohere("COMPLETE"), "error": "busy"}),
    "Cohere's first message": (_COHERE_FIRST, {"text": "", "generation_id": "g", "error": "busy"}),
    "Cohere's vectors": (("/v1/embed", {"texts": ["a"]}), {"embeddings": [[1.0]], "error": "busy"}),
    "Google's vector": (
        ("/v1beta/models/m:embedContent", {"content": {}}),
        {"embedding": {"values": [1.0]}, "error": {"code": 503}},
    ),
    "a completion that is no text": (_TEXT, {"choices": [{"id": 5, "finish_reason": "stop"}]}),
    "no candidates": (_GEMINI, {"candidates": []}),
}


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", WITH_ERRORS)
def test_an_error_within_an_answer_is_not_kept(name: str) -> None:
    (path, body), answer = WITH_ERRORS[name]
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=answer))) as client:
        for _ in range(2):
            assert client.post(f"https://models.example{path}", json=body).json() == answer
    assert nbcache.stats().entries == 0


@pytest.mark.usefixtures("store")
def test_an_error_in_a_list_of_hugging_faces_is_not_kept() -> None:
    url, answer = "https://router.huggingface.co/hf-inference/models/a/b", [{"error": "loading"}]
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=answer))) as client:
        for _ in range(2):
            assert client.post(url, json={"inputs": "a"}).json() == answer
    assert nbcache.stats().entries == 0


def _chunk(index: int, text: str, reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": {"content": text}, "text": text, "finish_reason": reason}]}


CUT: dict[str, list[dict[str, Any]]] = {
    "no finish reason": [_chunk(0, "h")],
    "one of two choices without": [_chunk(0, "h"), _chunk(1, "h"), _chunk(0, "i", "stop")],
    "an error as vLLM has it": [_chunk(0, "h"), {"object": "error", "message": "out of memory", "code": 500}],
}


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("call", [_CHAT, _TEXT], ids=["chat", "text"])
@pytest.mark.parametrize("name", CUT)
def test_a_stream_that_was_cut_is_not_kept_although_its_formal_end_came(
    name: str, call: tuple[str, dict[str, Any]]
) -> None:
    path, body = call
    content = "".join(f"data: {data}\n\n" for data in [*map(json.dumps, CUT[name]), "[DONE]"])
    sent: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, text=content, headers={"content-type": "text/event-stream"})

    with httpx.Client(transport=httpx.MockTransport(handle)) as client:
        for _ in range(2):
            assert client.post(f"https://models.example{path}", json={**body, "stream": True}).text == content
    assert (len(sent), nbcache.stats().entries) == (2, 0)


@pytest.mark.usefixtures("store")
def test_a_stream_whose_last_chunk_says_no_reason_again_is_whole() -> None:
    reasons, body = ["", "stop", ""], {**_CHAT[1], "stream": True}
    chunks = [{"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": each}]} for each in reasons]
    content = "".join(f"data: {each}\n\n" for each in (*map(json.dumps, chunks), "[DONE]"))
    response = httpx.Response(200, headers={"content-type": "text/event-stream"}, text=content)
    with httpx.Client(transport=httpx.MockTransport(lambda _: response)) as client:
        answers = [client.post(f"https://models.example{_CHAT[0]}", json=body) for _ in range(2)]
    assert answers[1].headers["x-nbcache"] == "hit"
    assert nbcache.entries()["status"].tolist() == ["ok"]
