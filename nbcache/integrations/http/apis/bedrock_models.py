"""Bedrock's `invoke`: requests and answers are as each family of models has them, told apart by their fields.

An answer in a form that is not known is not stored.
"""

from collections.abc import Callable
from typing import Any

from langchain_core.outputs import Generation

from nbcache.entry.durations_and_sizes import bytes_text, counted
from nbcache.entry.usage.reported_metadata import NO_TEXT, UNPRICED, mapping
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
from nbcache.integrations.http.apis.bedrock_texts import continuation, ends_continuation, join_continuation, texts
from nbcache.integrations.http.apis.endpoint import Endpoint, Join, has
from nbcache.integrations.http.apis.framing import MESSAGES, NEVER, Body, End, typed
from nbcache.integrations.http.apis.generations import size_of_base64, text_generation, without_nulls
from nbcache.integrations.http.apis.vectors import ranking, vectors

# The field with the prompt, for each kind of task of Nova Canvas and of Titan's image models.
_OF_IMAGES = (
    *("textToImageParams", "imageVariationParams", "inPaintingParams", "outPaintingParams", "virtualTryOnParams"),
    *("colorGuidedGenerationParams", "backgroundRemovalParams"),
)
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
    each = [(mapping(one).get("outputText"), mapping(one).get("completionReason")) for one in results]
    return texts({"usage": usage, **body}, each)


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


def _ranking(body: Body) -> list[Generation] | None:
    """The ranking of documents by Cohere's or Amazon's model. It is charged by the search, for which no list price is known."""
    answer = ranking(body)
    if answer is not None:
        answer[0].generation_info = {**(answer[0].generation_info or {}), UNPRICED: True}
    return answer


def _continuation_or_images(body: Body) -> list[Generation] | None:
    """What a model has made of a `prompt`: texts, or the images of Stability's models."""
    return _images(body) if "images" in body else continuation(body)


def _images(body: Body) -> list[Generation] | None:
    """Images of Amazon's and Stability's models. Each has a price that no list has. None if one was refused."""
    images = body.get("images")
    if (
        body.get("error")
        or any(body.get("finish_reasons") or ())  # Stability's: null, or why an image was refused
        or not isinstance(images, list)
        or not images
        or not all(isinstance(each, str) for each in images)
    ):
        return None
    size = sum(map(size_of_base64, images))
    return [text_generation(f"{counted(len(images), 'image')}, {bytes_text(size)}", {NO_TEXT: True, UNPRICED: True})]


def _join_command(events: list[Body]) -> Body:
    return _with_metrics(cohere.join_first(events), events)


def _with_metrics(whole: Body, events: list[Body]) -> Body:
    metrics = next((event[METRICS] for event in reversed(events) if METRICS in event), None)
    error = next((event["error"] for event in events if event.get("error")), None)
    return {**whole, **({METRICS: metrics} if metrics else {}), **({"error": error} if error else {})}


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
    _endpoint(
        has("prompt"), "prompt", _continuation_or_images, join=join_continuation, end=End(test=ends_continuation)
    ),
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
    _endpoint(has("query", "documents"), "documents", _ranking, system="query", end=NEVER),
    *(_endpoint(has("taskType", name), name, _images, end=NEVER) for name in _OF_IMAGES),
)
