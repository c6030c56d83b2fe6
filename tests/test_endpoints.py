"""Where a call goes is asked of the client: another server is another call, wherever its address came from."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseLanguageModel
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_groq import ChatGroq
from langchain_mistralai import ChatMistralAI
from langchain_ollama import ChatOllama, OllamaLLM
from langchain_openai import AzureChatOpenAI, ChatOpenAI, OpenAI

import nbcache
from tests.provider import Provider

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
