"""Calls of wrapped SDK clients: every field of a body, headers and query, in each place."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import anthropic
import httpx2
import openai

import nbcache
from tests.keys.truth.pairs import Group, Variant
from tests.keys.truth.settings import FLAGS, LISTS, MAPPINGS, NUMBERS, TEXTS

_MESSAGES = [{"role": "user", "content": "What is a monad?"}]
_HEADERS: tuple[dict[str, str], ...] = (
    {},
    {"X-A": "1"},
    {"X-A": "2"},
    {"Host": "a.example"},
    {"X-Request-ID": "1"},
    {"x-portkey-config": "1"},
    {"x-a": "1"},
)
_QUERIES: tuple[dict[str, Any], ...] = ({}, {"a": 1}, {"a": "1"}, {"a": True}, {"a": "true"}, {"a": "True"}, {"b": 1})
_URLS = ("https://one.example/v1", "https://two.example/v1", "https://one.example:8443/v1", "http://one.example/v1")
_TOOL = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
_SERVER = {"type": "mcp", "server_label": "a", "server_url": "https://a.example", "require_approval": "never"}


@dataclass(frozen=True)
class _Sdk:
    """A method of a client: `path` leads to it, `usual` is what it is always given."""

    client: Callable[..., Any]
    path: str
    usual: Mapping[str, Any]
    numbers: tuple[str, ...]

    def prepared(
        self, given: Mapping[str, Any], made: Mapping[str, Any], later: Callable[[Any], object] | None = None
    ) -> Callable[[], object]:
        client = nbcache.wrap(self.client(**{"api_key": "sk-test", "max_retries": 0, **made}))
        if later is not None:
            later(client)
        method = client
        for name in self.path.split("."):
            method = getattr(method, name)
        return lambda: method(**{**self.usual, **given})


_OPENAI_NUMBERS = ("temperature", "top_p", "seed", "n", "max_tokens", "presence_penalty", "top_logprobs")
SDKS: dict[str, _Sdk] = {
    "openai.OpenAI, chat": _Sdk(
        *(openai.OpenAI, "chat.completions.create", {"model": "gpt-4o", "messages": _MESSAGES}), _OPENAI_NUMBERS
    ),
    "openai.OpenAI, responses": _Sdk(
        *(openai.OpenAI, "responses.create", {"model": "gpt-4o", "input": "What is a monad?"}),
        ("temperature", "top_p", "max_output_tokens", "max_tool_calls"),
    ),
    "openai.OpenAI, completions": _Sdk(
        *(openai.OpenAI, "completions.create", {"model": "gpt-4o", "prompt": "What is a monad?"}), _OPENAI_NUMBERS
    ),
    "anthropic.Anthropic": _Sdk(
        *(anthropic.Anthropic, "messages.create", {"model": "claude", "max_tokens": 9, "messages": _MESSAGES}),
        ("temperature", "top_p", "top_k", "max_tokens"),
    ),
}


def groups(name: str, rng: random.Random, share: float) -> Iterator[Group]:
    """A group for each field, for headers, queries, URLs and prompts. `share` is how much of the calls is made."""
    sdk = SDKS[name]
    topics: dict[str, list[Variant]] = {field: list(_field(sdk, field, NUMBERS)) for field in sdk.numbers}
    for field, values in (
        ("stop", LISTS),
        ("user", TEXTS),
        ("store", FLAGS),
        ("service_tier", TEXTS),
        ("metadata", MAPPINGS),
    ):
        topics[field] = list(_field(sdk, field, values))
    topics["extra_body"] = [_variant(sdk, f"extra_body={body}", {"extra_body": body}) for body in MAPPINGS]
    topics["tools"] = list(_field(sdk, "tools", tuple(_tools())))
    for topic, variants in topics.items():
        yield Group(name, "SDK: body", topic, [each for each in variants if rng.random() < share])
    for topic, found in (("headers", _headers(sdk)), ("query", _queries(sdk)), ("endpoint", _endpoints(sdk))):
        yield Group(name, f"SDK: {topic}", topic, [each for each in found if rng.random() < share])


def _tools() -> Iterator[list[dict[str, Any]]]:
    yield []
    for tool in (_TOOL, {"type": "function", "function": _TOOL}):
        yield [tool]
        yield [{**tool, "strict": True}]
    for name in ("headers", "params", "query"):
        for value in ({"Authorization": "a"}, {"Authorization": "b"}, {"a": 1}, {"a": "1"}, {"a": True}):
            yield [{**_SERVER, name: value}]


def _variant(
    sdk: _Sdk, label: str, given: Mapping[str, Any], made: Mapping[str, Any] | None = None, later: Any = None
) -> Variant:
    return Variant(label, partial(sdk.prepared, given, made or {}, later))


def _field(sdk: _Sdk, name: str, values: tuple[Any, ...]) -> Iterator[Variant]:
    yield _variant(sdk, "as it is", {})
    for value in values:
        yield _variant(sdk, f"{name}={value!r}", {name: value})
        yield _variant(sdk, f"extra_body={{{name!r}: {value!r}}}", {"extra_body": {name: value}})


def _headers(sdk: _Sdk) -> Iterator[Variant]:
    for headers in _HEADERS:
        yield _variant(sdk, f"extra_headers={headers}", {"extra_headers": headers})
        yield _variant(sdk, f"default_headers={headers}", {}, {"default_headers": headers})
        yield _variant(sdk, f"http_client's headers={headers}", {}, {"http_client": httpx2.Client(headers=headers)})
        yield _variant(sdk, f"its HTTP client's headers are {headers}", {}, later=partial(_set, headers=headers))
        yield _variant(sdk, f"a hook adds {headers}", {}, later=partial(_hook, headers=headers))


def _queries(sdk: _Sdk) -> Iterator[Variant]:
    for query in _QUERIES:
        yield _variant(sdk, f"extra_query={query}", {"extra_query": query})
        yield _variant(sdk, f"default_query={query}", {}, {"default_query": query})
        yield _variant(sdk, f"http_client's params={query}", {}, {"http_client": httpx2.Client(params=query)})


def _endpoints(sdk: _Sdk) -> Iterator[Variant]:
    yield _variant(sdk, "as it is", {})
    for url in _URLS:
        yield _variant(sdk, f"base_url={url}", {}, {"base_url": url})
        yield _variant(sdk, f"its base_url is {url}", {}, later=partial(_move, url=url))
        yield _variant(sdk, f"a hook sends to {url}", {}, later=partial(_redirect, url=url))


def _set(client: Any, headers: dict[str, str]) -> None:
    client._client.headers.update(headers)


def _hook(client: Any, headers: dict[str, str]) -> None:
    client._client.event_hooks["request"].append(lambda request: request.headers.update(headers))


def _move(client: Any, url: str) -> None:
    client.base_url = url


def _redirect(client: Any, url: str) -> None:
    def elsewhere(request: Any) -> None:
        request.url = request.url.copy_with(host=httpx2.URL(url).host)

    client._client.event_hooks["request"].append(elsewhere)
