"""Every parameter that an SDK's own method has makes another call with another value, as far as it can change an answer."""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import groq
import httpx
import httpx2
import ollama
import openai
import pytest
from google import genai

from tests.integrations.http.test_identity_of_requests import key

_ASKED: Any = [{"role": "user", "content": "a"}]
# Parameters of the request itself, and those that no answer depends on: who asks, and what is written down of it.
_NOT_COUNTED = {
    *("self", "extra_headers", "extra_query", "extra_body", "timeout", "stream"),
    *("user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "metadata"),
}
_EFFECTS = {"background", "conversation"}  # with which a call passes by


class _SentError(Exception):
    """A request would have been sent."""


def _sent(call: Callable[[Any], Any], family: Any) -> Any:
    """The request that a call makes with an HTTP client of `family`. None if the SDK itself refuses it."""
    requests: list[Any] = []

    def look(request: Any) -> Any:
        requests.append(request)
        raise _SentError

    with family.Client(transport=family.MockTransport(look)) as http, contextlib.suppress(Exception):
        call(http)
    return requests[0] if requests else None


def _openai(method: str, given: dict[str, Any]) -> Any:
    def call(http: Any) -> Any:
        return _method(openai.OpenAI(api_key="sk-test", http_client=http, max_retries=0), method)(**given)

    return _sent(call, httpx2)


def _anthropic(method: str, given: dict[str, Any]) -> Any:
    def call(http: Any) -> Any:
        return _method(anthropic.Anthropic(api_key="sk-test", http_client=http, max_retries=0), method)(**given)

    return _sent(call, httpx2)


def _groq(method: str, given: dict[str, Any]) -> Any:
    def call(http: Any) -> Any:
        return _method(groq.Groq(api_key="sk-test", http_client=http, max_retries=0), method)(**given)

    return _sent(call, httpx)


def _method(client: Any, path: str) -> Any:
    for name in path.split("."):
        client = getattr(client, name)
    return client


SDKS: dict[str, tuple[Any, Any, str, dict[str, Any], int]] = {
    name: (sdk, client, path, given, least)
    for name, sdk, client, path, given, least in [
        ("OpenAI's chat", _openai, openai.OpenAI, "chat.completions.create", {"model": "m", "messages": _ASKED}, 60),
        ("OpenAI's responses", _openai, openai.OpenAI, "responses.create", {"model": "m", "input": "a"}, 40),
        ("OpenAI's completions", _openai, openai.OpenAI, "completions.create", {"model": "m", "prompt": "a"}, 25),
        ("OpenAI's embeddings", _openai, openai.OpenAI, "embeddings.create", {"model": "m", "input": "a"}, 8),
        ("OpenAI's moderations", _openai, openai.OpenAI, "moderations.create", {"model": "m", "input": "a"}, 4),
        ("OpenAI's images", _openai, openai.OpenAI, "images.generate", {"model": "m", "prompt": "a"}, 20),
        (
            *("OpenAI's speech", _openai, openai.OpenAI, "audio.speech.create"),
            *({"model": "m", "input": "a", "voice": "b"}, 12),
        ),
        (
            *("Anthropic's messages", _anthropic, anthropic.Anthropic, "messages.create"),
            *({"model": "m", "max_tokens": 9, "messages": _ASKED}, 25),
        ),
        ("Groq's chat", _groq, groq.Groq, "chat.completions.create", {"model": "m", "messages": _ASKED}, 50),
    ]
}


@pytest.mark.parametrize("name", SDKS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_each_parameter_of_a_method_counts(name: str) -> None:
    send, client, path, given, least = SDKS[name]
    method = _method(client(api_key="sk-test"), path)
    requests = {"as it is": send(path, given)}
    for parameter in inspect.signature(method).parameters:
        if parameter not in _NOT_COUNTED | _EFFECTS:
            for value in ("a value", ["a value"]):
                requests[f"{parameter}={value!r}"] = send(path, {**given, parameter: value})
    keys: dict[str | None, str] = {}
    for what, request in requests.items():
        made = None if request is None else key(request)
        if made is None:  # it passes by
            continue
        assert made not in keys, f"{keys[made]} and {what}"
        keys[made] = what
    assert len(keys) >= least


def test_each_option_of_ollama_counts() -> None:
    def send(**given: Any) -> Any:
        def call(http: Any) -> Any:
            client = ollama.Client(host="http://localhost:11434")
            http.base_url, client._client = "http://localhost:11434", http
            return client.chat(model="m", messages=_ASKED, **given)

        return _sent(call, httpx)

    def values(annotation: str) -> tuple[Any, Any]:
        return (["a"], ["b"]) if "str" in annotation else (True, False) if "bool" in annotation else (1, 2)

    given: list[dict[str, Any]] = [
        *(
            {"options": {name: value}}
            for name, field in ollama.Options.model_fields.items()
            for value in values(str(field.annotation))
        ),
        *({"format": value} for value in ("json", {"type": "object"})),
        *({"think": value} for value in (True, False, "low")),
        *({"logprobs": True}, {"top_logprobs": 1}, {"top_logprobs": 2}, {}),
    ]
    keys = [key(send(**each)) for each in given]
    assert None not in keys
    assert len(set(keys)) == len(keys) > 50


_CONFIGS: dict[str, tuple[Any, ...]] = {
    "system_instruction": ("a", "b"),
    "temperature": (0.5, 1),
    "top_p": (0.5, 1),
    "top_k": (1, 2),
    "candidate_count": (1, 2),
    "max_output_tokens": (1, 2),
    "stop_sequences": (["a"], ["b"], ["a", "b"]),
    "response_logprobs": (True, False),
    "logprobs": (1, 2),
    "presence_penalty": (0.5, 1),
    "frequency_penalty": (0.5, 1),
    "seed": (1, 2),
    "response_mime_type": ("application/json", "text/x.enum"),
    "response_json_schema": ({"type": "string"}, {"type": "integer"}),
    "safety_settings": tuple(
        [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": each}] for each in ("OFF", "BLOCK_NONE")
    ),
    "tools": ([{"google_search": {}}], [{"code_execution": {}}]),
    "cached_content": ("cachedContents/1", "cachedContents/2"),
    "response_modalities": (["TEXT"], ["IMAGE"], ["TEXT", "IMAGE"], ["IMAGE", "TEXT"]),
    "media_resolution": ("MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_HIGH"),
    "thinking_config": ({"thinking_budget": 0}, {"thinking_budget": 1}, {"include_thoughts": True}),
    "speech_config": ("Kore", "Puck"),
}


def _google() -> Iterator[Any]:
    yield {}
    for name, values in _CONFIGS.items():
        yield from ({name: value} for value in values)


def test_each_setting_of_googles_client_counts() -> None:
    requests: list[Any] = []

    def look(request: Any) -> Any:
        requests.append(request)
        raise _SentError

    for config in _google():
        http: Any = {"httpx_client": httpx.Client(transport=httpx.MockTransport(look))}
        client = genai.Client(api_key="sk-test", http_options=http)
        with contextlib.suppress(Exception):
            client.models.generate_content(model="gemini-2.5-flash", contents="a", config=config)
    keys = [key(request) for request in requests]
    assert None not in keys
    assert len(set(keys)) == len(keys) == len(list(_google()))
