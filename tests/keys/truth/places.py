"""Headers and endpoints, in each place where one can be set: argument, environment, the client's own objects, later on."""

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from unittest import mock

import httpx
import httpx2

from tests.keys.truth.clients import Client
from tests.keys.truth.pairs import Group, Variant, sent

_URLS = ("https://one.example/v1", "https://two.example/v1", "https://one.example:8443/v1", "http://one.example/v1")
_QUESTION = "What is a monad?"
# By the client's name: the variables that it reads for where to go, and for headers.
_ADDRESSES = {
    "ChatOpenAI": ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
    "ChatOpenAI, responses": ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
    "OpenAI": ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
    "AzureChatOpenAI": ("AZURE_OPENAI_ENDPOINT",),
    "ChatAnthropic": ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_URL"),
    "ChatGoogleGenerativeAI": ("GOOGLE_GEMINI_BASE_URL",),
    "ChatMistralAI": ("MISTRAL_BASE_URL",),
    "ChatGroq": ("GROQ_BASE_URL", "GROQ_API_BASE"),
    "ChatOllama": ("OLLAMA_HOST",),
    "OllamaLLM": ("OLLAMA_HOST",),
    "ChatDeepSeek": ("DEEPSEEK_API_BASE",),
    "ChatBedrockConverse": ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
}
_VALUES: dict[str, tuple[str | None, ...]] = {
    "OPENAI_ORG_ID": (None, "a", "b"),
    "OPENAI_ORGANIZATION": (None, "a", "b"),
    "OPENAI_PROJECT_ID": (None, "a", "b"),
    "OPENAI_CUSTOM_HEADERS": (None, "X-A: 1", "X-A: 2", "X-Request-ID: 1"),
    "OPENAI_API_VERSION": (None, "2024-10-21", "2025-01-01-preview"),
    "ANTHROPIC_CUSTOM_HEADERS": (None, "X-A: 1", "X-A: 2", "X-Request-ID: 1", "X-Request-ID: 2"),
    "AWS_REGION": (None, "us-east-1", "eu-west-1"),
    "AWS_DEFAULT_REGION": (None, "us-east-1", "eu-west-1"),
    "GOOGLE_CLOUD_LOCATION": (None, "us-central1"),
}
_ADDRESS_FIELDS = {
    *(
        "base_url",
        "endpoint",
        "azure_endpoint",
        "endpoint_url",
        "openai_api_base",
        "anthropic_api_url",
        "groq_api_base",
    ),
}
_HEADERS: tuple[dict[str, str], ...] = (
    *({}, {"X-A": "1"}, {"X-A": "2"}, {"x-a": "1"}, {"X-B": "1"}, {"Host": "a.example"}, {"Authorization": "Bearer a"}),
    *({"X-Request-ID": "1"}, {"X-Request-ID": "2"}, {"Helicone-Session-Id": "1"}, {"x-portkey-config": "1"}),
    *({"x-portkey-config": "2"}, {"Cookie": "a"}, {"OpenAI-Beta": "a"}, {"anthropic-beta": "a"}, {"User-Agent": "a"}),
)


def groups(client: Client, rng: random.Random, *, share: float = 1.0) -> Iterator[Group]:
    """A group for headers, and one for the endpoint. `share` is how much of the calls is made, from 0 to 1."""
    share *= client.share
    for topic, variants in (("headers", _headers(client)), ("endpoint", _endpoints(client))):
        yield Group(client.name, topic, topic, [each for each in variants if rng.random() < share])


def _headers(client: Client) -> Iterator[Variant]:
    fields = client.cls.model_fields
    for headers in _HEADERS:
        inner = {"headers": headers}
        made: list[dict[str, Any]] = [
            *(
                {"default_headers": headers},
                {"additional_headers": headers},
                {"client_kwargs": inner},
                {"client_args": inner},
            ),
            *({"http_client": family.Client(headers=headers)} for family in (httpx, httpx2)),
        ]
        yield from (
            _variant(client, f"made with {one}: {headers}", made=one) for one in made if one.keys() <= fields.keys()
        )
        for name in ("extra_headers", "headers"):
            yield _variant(client, f"called with {name}={headers}", options={name: headers})
            yield _variant(client, f"bound {name}={headers}", bound={name: headers})
        yield from _later(client, f"its HTTP client's headers are {headers}", partial(_set, headers=headers))
        yield from _later(client, f"a hook adds {headers}", partial(_hook, headers=headers))
    yield from _under(
        client, {name: values for name, values in _VALUES.items() if "REGION" not in name and "VERSION" not in name}
    )


def _endpoints(client: Client) -> Iterator[Variant]:
    fields = client.cls.model_fields
    names = {name for name, info in fields.items()} | {info.alias for info in fields.values()}
    for url in _URLS:
        for name in sorted(filter(None, names & _ADDRESS_FIELDS)):
            yield _variant(client, f"made with {name}={url}", made={str(name): url})
        for name in sorted(fields.keys() & _ADDRESS_FIELDS):
            yield from _later(client, f"set {name}={url}", partial(_assign, name=name, value=url))
        yield from _later(client, f"its client's base_url is {url}", partial(_move, url=url))
        yield from _later(client, f"a hook sends to {url}", partial(_redirect, url=url))
    for name, values in (
        ("api_version", ("v1", "v1beta", "2024-10-21", "2025-01-01-preview")),
        ("region_name", ("eu-west-1",)),
    ):
        yield from (
            _variant(client, f"made with {name}={value}", made={name: value}) for value in values if name in names
        )
    yield from _under(client, dict.fromkeys(_ADDRESSES.get(client.name, ()), _URLS))
    yield from _under(client, _VALUES)


def _later(client: Client, label: str, change: Callable[[Any], object]) -> Iterator[Variant]:
    """What is changed on a client that is made already, and on one that was used."""
    for used in (False, True):
        yield _variant(client, f"{'used, then ' * used}{label}", later=change, used=used)


def _under(client: Client, variables: Mapping[str, Sequence[str | None]]) -> Iterator[Variant]:
    for name, values in variables.items():
        for value in values:
            yield _variant(client, f"under {name}={value}", env={name: value})


def _variant(  # noqa: PLR0917 - what a call is made of
    client: Client,
    label: str,
    made: dict[str, Any] | None = None,
    later: Callable[[Any], object] | None = None,
    env: dict[str, str | None] | None = None,
    options: dict[str, Any] | None = None,
    bound: dict[str, Any] | None = None,
    *,
    used: bool = False,
) -> Variant:
    def prepare() -> Callable[[], object]:
        given = {name: value for name, value in (env or {}).items() if value is not None}
        base = dict(client.base)
        if env and client.address in base:
            del base[client.address]
        with mock.patch.dict(os.environ, given):
            model = replace(client, base=base).make(**(made or {}))
            if used or env:
                sent(Variant("", lambda: lambda: client.ask(model, _QUESTION)))
        if later is not None:
            later(model)
        bound_model = model.bind(**bound) if bound else model
        return lambda: client.ask(bound_model, _QUESTION, **(options or {}))

    return Variant(label, prepare)


def _sdk_clients(model: Any) -> Iterator[Any]:
    """The clients that a model calls by, from the outermost on."""
    private = model.__pydantic_private__ or {}
    for name in ("root_client", "_client", "client"):
        client = private.get(name) or model.__dict__.get(name)
        if client is not None:
            yield client


def _http_client(model: Any) -> Any:
    """The HTTP client of a model. Raises LookupError where it has none that can be changed."""
    for client in _sdk_clients(model):
        inner = client
        for _ in range(3):
            if isinstance(inner, httpx.Client | httpx2.Client):
                return inner
            inner = (
                getattr(inner, "_client", None)
                or getattr(inner, "_httpx_client", None)
                or getattr(inner, "_api_client", None)
            )
    raise LookupError(type(model).__qualname__)


def _assign(model: Any, name: str, value: str) -> None:
    setattr(model, name, value)


def _set(model: Any, headers: dict[str, str]) -> None:
    _http_client(model).headers.update(headers)


def _hook(model: Any, headers: dict[str, str]) -> None:
    _http_client(model).event_hooks["request"].append(lambda request: request.headers.update(headers))


def _redirect(model: Any, url: str) -> None:
    def elsewhere(request: Any) -> None:
        request.url = request.url.copy_with(host=httpx.URL(url).host)

    _http_client(model).event_hooks["request"].append(elsewhere)


def _move(model: Any, url: str) -> None:
    """Point the client that says where to go to another server."""
    for client in _sdk_clients(model):
        for each in (client, getattr(client, "_client", None)):
            if each is not None and getattr(each, "base_url", None) is not None:
                each.base_url = url
                return
    raise LookupError(type(model).__qualname__)
