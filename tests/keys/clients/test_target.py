"""Where a call goes is asked of the client: another server is another call, wherever its address came from."""

import asyncio
import functools
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock
from unittest.mock import MagicMock

import httpx
import openai
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_aws import ChatBedrockConverse
from langchain_core.language_models import BaseLanguageModel
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_groq import ChatGroq
from langchain_mistralai import ChatMistralAI
from langchain_ollama import ChatOllama, OllamaLLM
from langchain_openai import AzureChatOpenAI, ChatOpenAI, OpenAI

import nbcache
from nbcache.errors import NbcacheWarning
from tests.keys.test_key import key
from tests.servers.provider import Provider

Model = BaseLanguageModel[Any]
Patch = pytest.MonkeyPatch
_KEY: dict[str, Any] = {"api_key": "sk-test"}


def _environment(make: Callable[[], Model], *names: str, path: str = "") -> Callable[[str, Patch], Model]:
    def made(url: str, patch: Patch) -> Model:
        for name in names:
            patch.setenv(name, url + path)
        return make()

    return made


def _openai(**settings: Any) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o-mini", **{**_KEY, **settings})


def _claude(**settings: Any) -> ChatAnthropic:
    return ChatAnthropic(model="claude-for-tests", **{**_KEY, **settings})


def _gemini(**settings: Any) -> ChatGoogleGenerativeAI:
    return ChatGoogleGenerativeAI(model="gemini-2.5-flash", **{**_KEY, **settings})


def _mistral(**settings: Any) -> ChatMistralAI:
    return ChatMistralAI(model_name="mistral-small-latest", **{**_KEY, **settings})


def _groq(**settings: Any) -> ChatGroq:
    return ChatGroq(model="openai/gpt-oss-20b", **{**_KEY, **settings})


def _moved(model: Any, owner: str, url: str) -> Model:
    """A model whose client was pointed elsewhere after it was made."""
    client = getattr(model, owner)
    client.base_url = url
    return model  # type: ignore[no-any-return]


def _rewritten(url: str) -> Model:
    """A model of whose HTTP client a hook of the user's sends each request to another host."""
    port = int(url.rpartition(":")[2])

    def elsewhere(request: httpx.Request) -> None:
        request.url = request.url.copy_with(host="127.0.0.1", port=port)
        request.headers["host"] = f"127.0.0.1:{port}"

    client = httpx.Client(event_hooks={"request": [elsewhere]})
    return _groq(base_url="http://127.0.0.1:9", http_client=client)


WAYS: dict[str, Callable[[str, Patch], Model]] = {
    "ChatOpenAI: argument": lambda url, _: _openai(base_url=f"{url}/v1"),
    "ChatOpenAI: OPENAI_API_BASE": _environment(_openai, "OPENAI_API_BASE", path="/v1"),
    "ChatOpenAI: OPENAI_BASE_URL": _environment(_openai, "OPENAI_BASE_URL", path="/v1"),
    "ChatOpenAI: its client": lambda url, _: _moved(
        _openai(base_url="http://127.0.0.1:9/v1"), "root_client", f"{url}/v1"
    ),
    "AzureChatOpenAI: argument": lambda url, _: AzureChatOpenAI(
        azure_endpoint=url, azure_deployment="gpt-4o-mini", api_version="2024-10-21", **_KEY
    ),
    "AzureChatOpenAI: AZURE_OPENAI_ENDPOINT": _environment(
        lambda: AzureChatOpenAI(azure_deployment="gpt-4o-mini", api_version="2024-10-21", **_KEY),
        "AZURE_OPENAI_ENDPOINT",
    ),
    "OpenAI: argument": lambda url, _: OpenAI(model="gpt-3.5-turbo-instruct", base_url=f"{url}/v1", **_KEY),
    "OpenAI: OPENAI_BASE_URL": _environment(
        lambda: OpenAI(model="gpt-3.5-turbo-instruct", **_KEY), "OPENAI_BASE_URL", path="/v1"
    ),
    "ChatAnthropic: argument": lambda url, _: _claude(base_url=url),
    "ChatAnthropic: ANTHROPIC_API_URL": _environment(_claude, "ANTHROPIC_API_URL"),
    "ChatAnthropic: ANTHROPIC_BASE_URL": _environment(_claude, "ANTHROPIC_BASE_URL"),
    "ChatAnthropic: its client": lambda url, _: _moved(_claude(base_url="http://127.0.0.1:9"), "_client", url),
    "ChatGoogleGenerativeAI: argument": lambda url, _: _gemini(base_url=url),
    "ChatGoogleGenerativeAI: GOOGLE_GEMINI_BASE_URL": _environment(_gemini, "GOOGLE_GEMINI_BASE_URL"),
    "ChatMistralAI: argument": lambda url, _: _mistral(base_url=f"{url}/mistral/v1"),
    "ChatMistralAI: MISTRAL_BASE_URL": _environment(_mistral, "MISTRAL_BASE_URL", path="/mistral/v1"),
    "ChatMistralAI: its client": lambda url, _: _moved(_mistral(), "client", f"{url}/mistral/v1"),
    "ChatGroq: argument": lambda url, _: _groq(base_url=url),
    "ChatGroq: GROQ_API_BASE": _environment(_groq, "GROQ_API_BASE"),
    "ChatGroq: GROQ_BASE_URL": _environment(_groq, "GROQ_BASE_URL"),
    "ChatGroq: a hook of its HTTP client": lambda url, _: _rewritten(url),
    "ChatOllama: argument": lambda url, _: ChatOllama(model="llama3", base_url=url),
    "ChatOllama: OLLAMA_HOST": _environment(lambda: ChatOllama(model="llama3"), "OLLAMA_HOST"),
    "OllamaLLM: argument": lambda url, _: OllamaLLM(model="llama3", base_url=url),
    "OllamaLLM: OLLAMA_HOST": _environment(lambda: OllamaLLM(model="llama3"), "OLLAMA_HOST"),
}


@pytest.fixture
def other() -> Iterator[Provider]:
    with Provider() as server:
        yield server


@pytest.mark.parametrize("way", WAYS)
def test_another_server_is_asked(
    way: str, provider: Provider, other: Provider, tmp_path: Path, monkeypatch: Patch
) -> None:
    nbcache.install(tmp_path / "store")
    for server in (provider, other):
        for _ in range(2):
            WAYS[way](server.url, monkeypatch).invoke("What is a monad?")
    nbcache.uninstall()
    assert (len(provider.requests), len(other.requests)) == (1, 1)


def test_another_server_is_asked_where_a_models_client_is_moved_between_calls(
    provider: Provider, other: Provider, tmp_path: Path
) -> None:
    model = _openai(base_url=f"{provider.url}/v1")
    nbcache.install(tmp_path / "store")
    for server in (provider, other, provider):
        model.root_client.base_url = f"{server.url}/v1"
        model.invoke("What is a monad?")
    nbcache.uninstall()
    assert (len(provider.requests), len(other.requests)) == (1, 1)


def test_a_header_that_is_set_on_a_models_client_counts(provider: Provider, tmp_path: Path) -> None:
    model = _openai(base_url=f"{provider.url}/v1")
    nbcache.install(tmp_path / "store")
    for value in ("a", "b", "a"):
        model.root_client._custom_headers["x-route"] = value
        model.invoke("What is a monad?")
    nbcache.uninstall()
    assert [request.headers["x-route"] for request in provider.requests] == ["a", "b"]


def test_headers_from_the_environment_count(provider: Provider, tmp_path: Path, monkeypatch: Patch) -> None:
    nbcache.install(tmp_path / "store")
    for value in ("a", "b", "a"):
        monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", f"x-route: {value}")
        _claude(base_url=provider.url).invoke("What is a monad?")
    nbcache.uninstall()
    assert [request.headers["x-route"] for request in provider.requests] == ["a", "b"]


def test_a_field_that_is_set_after_the_client_was_made_does_not_count(
    provider: Provider, other: Provider, tmp_path: Path
) -> None:
    """It isn't sent: the client goes where it went."""
    model = _claude(base_url=provider.url)
    nbcache.install(tmp_path / "store")
    model.invoke("What is a monad?")
    model.anthropic_api_url = other.url
    model.invoke("What is a monad?")
    _claude(base_url=other.url).invoke("What is a monad?")
    nbcache.uninstall()
    assert (len(provider.requests), len(other.requests)) == (1, 1)


def test_another_version_of_an_api_is_another_call(provider: Provider, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store")
    for version in ("v1", "v1beta", "v1"):
        _gemini(base_url=provider.url, api_version=version).invoke("What is a monad?")
    nbcache.uninstall()
    assert len(provider.requests) == 2


async def test_the_client_of_awaited_calls_counts_for_these_alone(
    provider: Provider, other: Provider, tmp_path: Path
) -> None:
    model = _openai(base_url=f"{provider.url}/v1")
    model.root_async_client.base_url = f"{other.url}/v1"
    nbcache.install(tmp_path / "store")
    for _ in range(2):
        await asyncio.to_thread(model.invoke, "What is a monad?")
        await model.ainvoke("What is a monad?")
        await asyncio.to_thread(list, model.stream("What is a monad?"))
        _ = [chunk async for chunk in model.astream("What is a monad?")]
    nbcache.uninstall()
    assert (len(provider.requests), len(other.requests)) == (1, 1)


async def test_an_awaited_call_finds_what_the_same_call_found_before(provider: Provider, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store")
    for make in (lambda: _openai(base_url=f"{provider.url}/v1"), lambda: _claude(base_url=provider.url)):
        await asyncio.to_thread(make().invoke, "What is a monad?")
        await make().ainvoke("What is a monad?")
    nbcache.uninstall()
    assert len(provider.requests) == 2


# Code of the user's that clients run. Each case makes a model and what changes it in place, by a value.


class _Elsewhere(httpx.HTTPTransport):
    def __init__(self) -> None:
        super().__init__()
        self.route = "a"

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["x-route"] = self.route
        return super().handle_request(request)


class _Signing(httpx.Auth):
    def __init__(self) -> None:
        self.route = "a"

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["x-route"] = self.route
        yield request


class _Client(httpx.Client):
    def __init__(self) -> None:
        super().__init__()
        self.route = "a"

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        request.headers["x-route"] = self.route
        return super().send(request, **options)


Made = tuple[Model, Callable[[str], object]]


def _with_hook(url: str) -> Made:
    headers = {"x-route": "a"}
    hooks = {"request": [lambda request: request.headers.update(headers)]}
    model = _openai(base_url=f"{url}/v1", http_client=httpx.Client(event_hooks=hooks))
    return model, lambda value: headers.update({"x-route": value})


def _with_transport(url: str) -> Made:
    transport = _Elsewhere()
    model = _openai(base_url=f"{url}/v1", http_client=httpx.Client(transport=transport))
    return model, lambda value: setattr(transport, "route", value)


def _with_mount(url: str) -> Made:
    transport = _Elsewhere()
    model = _groq(base_url=url, http_client=httpx.Client(mounts={"http://": transport}, trust_env=False))
    return model, lambda value: setattr(transport, "route", value)


def _with_auth(url: str) -> Made:
    auth = _Signing()
    model = _openai(base_url=f"{url}/v1", http_client=httpx.Client(auth=auth))
    return model, lambda value: setattr(auth, "route", value)


def _with_client(url: str) -> Made:
    client = _Client()
    return _openai(base_url=f"{url}/v1", http_client=client), lambda value: setattr(client, "route", value)


def _with_send(url: str) -> Made:
    client = httpx.Client()
    send, route = client.send, {"x-route": "a"}

    def routed(request: httpx.Request, **options: Any) -> httpx.Response:
        request.headers.update(route)
        return send(request, **options)

    client.send = routed  # type: ignore[method-assign]
    return _openai(base_url=f"{url}/v1", http_client=client), lambda value: route.update({"x-route": value})


def _with(request: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    return {**request, "extra_headers": {**request.get("extra_headers", {}), **headers}}


def _with_create(url: str) -> Made:
    model = _openai(base_url=f"{url}/v1")
    create, route = model.client.create, {"x-route": "a"}
    model.client.create = lambda **request: create(**_with(request, route))
    return model, lambda value: route.update({"x-route": value})


CODE = (_with_hook, _with_transport, _with_mount, _with_auth, _with_client, _with_send, _with_create)


@pytest.mark.parametrize("make", CODE)
def test_what_code_of_the_users_does_to_a_request_counts_as_it_is_now(
    make: Callable[[str], Made], provider: Provider, tmp_path: Path
) -> None:
    nbcache.install(tmp_path / "store")
    model, change = make(provider.url)
    for value in ("a", "a", "b", "a", "b"):
        change(value)
        model.invoke("What is a monad?")
    make(provider.url)[0].invoke("What is a monad?")
    nbcache.uninstall()
    assert [request.headers["x-route"] for request in provider.requests] == ["a", "b"]


def test_a_method_set_on_a_client_that_was_used_counts(provider: Provider, tmp_path: Path) -> None:
    client = httpx.Client()
    model, send = _groq(base_url=provider.url, http_client=client), client.send

    def routed(value: str, request: httpx.Request, **options: Any) -> httpx.Response:
        request.headers["x-route"] = value
        return send(request, **options)

    nbcache.install(tmp_path / "store")
    for value in (None, None, "a", "b"):
        if value:
            client.send = functools.partial(routed, value)  # type: ignore[method-assign]
        model.invoke("What is a monad?")
    nbcache.uninstall()
    assert [request.headers.get("x-route") for request in provider.requests] == [None, "a", "b"]


@pytest.mark.parametrize("place", ["client", "create"])
def test_a_mock_in_a_clients_place_is_not_cached(place: str, provider: Provider, tmp_path: Path) -> None:
    model = _openai(base_url=f"{provider.url}/v1")
    create = model.client.create
    answer = create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}])
    stand_in = MagicMock()
    stand_in.with_raw_response.create.return_value.parse.return_value = answer
    nbcache.install(tmp_path / "store")
    if place == "client":
        model.client = stand_in
    else:
        model.client.create = MagicMock(wraps=create)
    with pytest.warns(NbcacheWarning, match="Mock"):
        model.invoke("What is a monad?")
    assert nbcache.stats().entries == 0
    nbcache.uninstall()


def test_which_of_two_clients_leads_where_counts() -> None:
    def made(chat: str, root: str) -> str:
        model = _openai()
        model.client = openai.OpenAI(api_key="k", base_url=chat).chat.completions
        model.root_client = openai.OpenAI(api_key="k", base_url=root)
        return key(model)

    one, other = "https://one.example/v1", "https://two.example/v1"
    assert len({made(*urls) for urls in ((one, one), (one, other), (other, one), (other, other))}) == 4


def _bedrock(**settings: Any) -> ChatBedrockConverse:
    secrets: dict[str, Any] = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    return ChatBedrockConverse(
        model_id="anthropic.claude-3-haiku-20240307-v1:0", region_name="us-east-1", **secrets, **settings
    )


def test_a_handler_of_aws_events_counts_as_it_is_now() -> None:
    model = _bedrock()
    keys = [key(model)]
    headers = {"x-route": "a"}
    model.client.meta.events.register(
        "before-sign.bedrock-runtime", lambda request, **_: request.headers.update(headers)
    )
    keys += [key(model), key(model)]
    headers["x-route"] = "b"
    keys.append(key(model))
    assert keys[1] == keys[2]
    assert len({*keys}) == 3


def test_headers_that_bedrock_does_not_send_are_another_call_than_those_that_it_does() -> None:
    later = _bedrock()
    later.default_headers = {"x-route": "a"}
    emptied = _bedrock(default_headers={"x-route": "a"})
    sent = key(emptied)
    emptied.default_headers = {}
    assert len({key(later), sent, key(emptied)}) == 3


def test_what_googles_client_adds_to_each_body_counts() -> None:
    model: Any = _gemini()
    options, keys = model.client._api_client._http_options, [key(model)]
    for value in (1, 2, "2"):
        options.extra_body = {"x": value}
        keys.append(key(model))
    options.extra_body["x"] = 3
    assert len({*keys, key(model)}) == 5


def test_a_librarys_auth_is_no_reason_to_pay_again(provider: Provider, tmp_path: Path) -> None:
    """It authenticates to the provider."""
    library = types.ModuleType("requests_auth")
    library.__file__ = sysconfig.get_path("purelib") + "/requests_auth.py"
    names: dict[str, Any] = {"__name__": "requests_auth", "httpx": httpx}
    exec(
        "class Signed(httpx.Auth):\n    def __init__(self, secret): self.secret, self.lock = secret, object()\n"
        "    def auth_flow(self, request):\n        yield request",
        names,
    )
    with mock.patch.dict(sys.modules, requests_auth=library):
        nbcache.install(tmp_path / "store")
        for secret in ("a", "b"):
            client = httpx.Client(auth=names["Signed"](secret))
            _openai(base_url=f"{provider.url}/v1", http_client=client).invoke("What is a monad?")
        nbcache.uninstall()
    assert len(provider.requests) == 1
