"""Bedrock's `invoke`: requests and answers are as each family of models has them, told apart by their fields.

An answer in a form that is not known is not stored.
"""

from collections.abc import Callable
from typing import Any

from langchain_core.outputs import Generation

from nbcache.entry.usage.reported_metadata import mapping
from nbcache.integrations.http.apis import anthropic, cohere, openai
from nbcache.integrations.http.apis.bedrock import (
    METRICS,
    converse,
    is_streamed,
    join_converse,
    metadata,
    model_path,
    with_headers,
)
from nbcache.integrations.http.apis.endpoint import Endpoint, Join, has
from nbcache.integrations.http.apis.framing import MESSAGES, NEVER, Body, End, typed
from nbcache.integrations.http.apis.generations import text_generation, without_nulls
from nbcache.integrations.http.apis.vectors import vectors

Read = Callable[[Body], list[Generation] | None]


def _claude(body: Body) -> list[Generation] | None:
    return anthropic.message({**body, **metadata(body), "model": None})


def _join_claude(events: list[Body]) -> Body:
    return _with_metrics(anthropic.join_message(events), events)


def _chat(body: Body) -> list[Generation] | None:
    """Chats of Mistral's and others' models, which answer as OpenAI's do, and of Amazon's Nova."""
    if "output" in body:
        return converse(body)
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not all(map(_reason, choices)):
        return None
    named = [{**choice, "finish_reason": _reason(choice)} for choice in choices]
    return openai.chat({**body, **metadata(body), "model": None, "choices": named})


def _reason(choice: Body) -> Any:
    return choice.get("finish_reason") or choice.get("stop_reason")


def _join_chat(events: list[Body]) -> Body:
    if any("messageStop" in event for event in events):
        return join_converse(events)
    renamed = [
        {**event, "choices": [_delta(choice) for choice in event["choices"]]} if "choices" in event else event
        for event in events
    ]
    return openai.join_chat(renamed)


def _delta(choice: Body) -> Body:
    """A part of a choice. Mistral's older models call it a message."""
    return {"delta": choice.get("message"), **choice, "finish_reason": _reason(choice)}


def _text(body: Body) -> list[Generation] | None:
    """The text that Meta's and Mistral's models make of a prompt."""
    if isinstance(body.get("generation"), str):
        counts = {"input_tokens": body.get("prompt_token_count"), "output_tokens": body.get("generation_token_count")}
        return _texts({"usage": without_nulls(counts), **body}, [(body["generation"], body.get("stop_reason"))])
    outputs = body.get("outputs")
    if not isinstance(outputs, list):
        return None
    return _texts(body, [(mapping(each).get("text"), mapping(each).get("stop_reason")) for each in outputs])


def _titan(body: Body) -> list[Generation] | None:
    """Texts and embeddings of Amazon's Titan."""
    input_tokens, results = body.get("inputTextTokenCount"), body.get("results")
    if not isinstance(results, list):
        is_counted = isinstance(input_tokens, int)
        counts = {"usage": {"prompt_tokens": input_tokens, "completion_tokens": 0}} if is_counted else {}
        kinds = mapping(body.get("embeddingsByType"))
        return vectors([body.get("embedding") or next(iter(kinds.values()), None)], counts)
    answered = [each["tokenCount"] for each in results if isinstance(mapping(each).get("tokenCount"), int)]
    total = sum(answered) if len(answered) == len(results) else None
    usage = without_nulls({"input_tokens": input_tokens, "output_tokens": total})
    texts = [(mapping(each).get("outputText"), mapping(each).get("completionReason")) for each in results]
    return _texts({"usage": usage, **body}, texts)


def _texts(body: Body, texts: list[tuple[Any, Any]]) -> list[Generation] | None:
    """Texts with their finish reasons. None if one lacks either."""
    if not texts or not all(isinstance(text, str) and isinstance(reason, str) for text, reason in texts):
        return None
    return [text_generation(text, metadata(body, stop_reason=reason)) for text, reason in texts]


def _join_text(events: list[Body]) -> Body:
    """The body of a text of Meta's or Mistral's from its events."""
    whole: Body = {}
    texts: dict[int, Body] = {}
    for event in events:
        whole |= {name: value for name, value in event.items() if value is not None and name != "generation"}
        if isinstance(event.get("generation"), str):
            whole["generation"] = whole.get("generation", "") + event["generation"]
        for i, output in enumerate(event.get("outputs") or ()):
            text = texts.setdefault(i, {"text": ""})
            text["text"] += output.get("text") or ""
            text["stop_reason"] = output.get("stop_reason")
    return {**whole, "outputs": list(texts.values())} if texts else whole


def _join_titan(events: list[Body]) -> Body:
    last = events[-1] if events else {}
    result = {
        "outputText": "".join(str(event.get("outputText") or "") for event in events),
        "completionReason": last.get("completionReason"),
        "tokenCount": last.get("totalOutputTextTokenCount"),
    }
    return {**last, "results": [result]}


def _command(body: Body) -> list[Generation] | None:
    answer = cohere.first_chat(body)
    if answer is not None:
        answer[0].message.response_metadata |= metadata(body)  # type: ignore[attr-defined]  # a chat's generation
    return answer


def _embeddings(body: Body) -> list[Generation] | None:
    """Embeddings of Cohere's, whose tokens are in the headers."""
    answer, usage = cohere.embeddings(body), metadata(body).get("usage")
    if answer is not None and usage:
        answer[0].generation_info = {**(answer[0].generation_info or {}), "usage": {"output_tokens": 0, **usage}}
    return answer


def _join_command(events: list[Body]) -> Body:
    return _with_metrics(cohere.join_first(events), events)


def _with_metrics(whole: Body, events: list[Body]) -> Body:
    metrics = next((event[METRICS] for event in reversed(events) if METRICS in event), None)
    error = next((event["error"] for event in events if event.get("error")), None)
    return {**whole, **({METRICS: metrics} if metrics else {}), **({"error": error} if error else {})}


def _ends_text(event: Body) -> bool:
    return bool(
        event.get("stop_reason") or any(mapping(each).get("stop_reason") for each in event.get("outputs") or ())
    )


def _endpoint(  # noqa: PLR0913 - what differs between the families
    fits: Callable[[Body], bool], prompt: str, read: Read, *, system: str = "", join: Join | None = None, end: End
) -> Endpoint:
    return Endpoint(
        api="bedrock",
        name="/invoke",
        path=model_path("invoke|invoke-with-response-stream"),
        last_words=("invoke", "invoke-with-response-stream"),
        fits=fits,
        system=system,
        prompt=prompt,
        read=read,
        is_stream=is_streamed,
        join=join,
        framing=MESSAGES,
        end=end,
        with_headers=with_headers,
    )


ENDPOINTS = (
    _endpoint(
        has("anthropic_version", "messages"),
        "messages",
        _claude,
        system="system",
        join=_join_claude,
        end=End(test=typed("message_stop").test),
    ),
    _endpoint(
        has("messages"),
        "messages",
        _chat,
        system="system",
        join=_join_chat,
        end=End(test=lambda event: METRICS in event),
    ),
    _endpoint(has("prompt"), "prompt", _text, join=_join_text, end=End(test=_ends_text)),
    _endpoint(
        has("inputText"),
        "inputText",
        _titan,
        join=_join_titan,
        end=End(test=lambda event: bool(event.get("completionReason"))),
    ),
    _endpoint(
        has("message"),
        "message",
        _command,
        system="preamble",
        join=_join_command,
        end=End(test=typed("stream-end", name="event_type").test),
    ),
    _endpoint(has("input_type"), "texts", _embeddings, end=NEVER),
)
