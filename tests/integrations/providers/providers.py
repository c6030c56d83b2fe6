"""The clients, where each finds its provider, which scenarios it is run through, and which it can't do."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.integrations.providers.scenarios import CHAT, OWN, TEXT, Make, Scenario

_KEY = "sk-test"


@dataclass(frozen=True)
class Client:
    """`connect` imports the client and points it at a base URL.

    It is run through the scenarios of `common` and those `own` ones that are its provider's. `cannot` names those
    of `common` that the client itself can't do, and why; `requests` those that need another number of requests.
    """

    provider: str
    connect: Callable[[str], Make]
    common: Mapping[str, Scenario] = field(default_factory=lambda: CHAT)
    own: tuple[str, ...] = ()
    cannot: Mapping[str, str] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)

    @property
    def scenarios(self) -> dict[str, Scenario]:
        able = {name: scenario for name, scenario in self.common.items() if name not in self.cannot}
        able |= {name: OWN[name] for name in self.own}
        return able | {name: replace(able[name], requests=count) for name, count in self.requests.items()}


def mark(client: str, scenario: str) -> str:
    """What the prompts of a scenario begin with: each request tells whose it is."""
    return f"[{client}: {scenario}]"


def scenarios_of(provider: str) -> Iterator[tuple[str, str, Scenario]]:
    """All that is run in one process: its mark, the client's name, and what to run."""
    for name, client in CLIENTS.items():
        if client.provider == provider:
            for title, scenario in client.scenarios.items():
                yield mark(name, title), name, scenario


def _maker(cls: Callable[..., Any], **usual: Any) -> Make:
    """Makes the usual model once, as a notebook does, and one with other settings each time."""
    model = cls(**usual)
    return lambda **settings: cls(**(usual | settings)) if settings else model


def _chat_openai(url: str) -> Make:
    from langchain_openai import ChatOpenAI

    return _maker(ChatOpenAI, model="gpt-4o-mini", base_url=f"{url}/v1", api_key=_KEY, stream_usage=True)


def _openai_responses(url: str) -> Make:
    from langchain_openai import ChatOpenAI

    return _maker(ChatOpenAI, model="gpt-4o-mini", base_url=f"{url}/v1", api_key=_KEY, use_responses_api=True)


def _openai(url: str) -> Make:
    from langchain_openai import OpenAI

    return _maker(OpenAI, model="gpt-3.5-turbo-instruct", base_url=f"{url}/v1", api_key=_KEY)


def _anthropic(url: str) -> Make:
    from langchain_anthropic import ChatAnthropic

    return _maker(ChatAnthropic, model="claude-for-tests", base_url=url, api_key=_KEY)


def _google(url: str) -> Make:
    from langchain_google_genai import ChatGoogleGenerativeAI

    return _maker(ChatGoogleGenerativeAI, model="gemini-2.5-flash", base_url=url, api_key=_KEY)


def _mistral(url: str) -> Make:
    from langchain_mistralai import ChatMistralAI

    return _maker(ChatMistralAI, model="mistral-small-latest", base_url=f"{url}/mistral/v1", api_key=_KEY)


def _groq(url: str) -> Make:
    from langchain_groq import ChatGroq

    return _maker(ChatGroq, model="openai/gpt-oss-20b", base_url=url, api_key=_KEY)


def _chat_ollama(url: str) -> Make:
    from langchain_ollama import ChatOllama

    return _maker(ChatOllama, model="llama3", base_url=url)


def _ollama(url: str) -> Make:
    from langchain_ollama import OllamaLLM

    return _maker(OllamaLLM, model="llama3", base_url=url)


CLIENTS = {
    "ChatOpenAI": Client("openai", _chat_openai),
    "ChatOpenAI, responses": Client(
        "openai",
        _openai_responses,
        own=("previous response",),
        cannot={"stop": "the Responses API has no stop words: the client drops them"},
    ),
    "OpenAI": Client("openai", _openai, common=TEXT, requests={"batch": 1, "abatch": 1}),
    "ChatAnthropic": Client(
        "anthropic",
        _anthropic,
        own=("thinking", "thinking, streamed", "prompt cache"),
        cannot=dict.fromkeys(("json_mode", "json_mode, include_raw"), "the client warns and takes json_schema"),
    ),
    "ChatGoogleGenerativeAI": Client("google", _google, own=("thoughts",)),
    "ChatMistralAI": Client("mistral", _mistral),
    "ChatGroq": Client("groq", _groq),
    "ChatOllama": Client("ollama", _chat_ollama),
    "OllamaLLM": Client("ollama", _ollama, common=TEXT),
}
PROVIDERS = tuple(dict.fromkeys(client.provider for client in CLIENTS.values()))
