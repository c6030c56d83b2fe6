"""`python -m tests.compat`: do keys hold, and is nothing paid twice, under the packages that are installed here?

A key must not change with a release of LangChain, or everybody pays again. This needs nothing but nbcache's
dependencies and langchain-openai, -anthropic and -ollama, so that it runs under the oldest supported ones too.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.globals import get_llm_cache, set_llm_cache
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.tools import tool
from langchain_ollama import ChatOllama, OllamaLLM
from langchain_openai import ChatOpenAI, OpenAI
from pydantic import BaseModel, Field

import nbcache
from nbcache.cache.call import current_call
from nbcache.integrations.langchain.models import Instrument
from nbcache.keys.key import KEY_VERSION, cache_key
from tests.support.paths import GOLDEN

KEYS = GOLDEN / f"keys_v{KEY_VERSION}.json"
_PACKAGES = ("langchain-core", "langchain-openai", "langchain-anthropic", "langchain-ollama", "pydantic")


class Keys(BaseCache):
    """A cache that has an answer to every call, and notes the key under which it was looked up."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE:
        call = current_call.get()
        self.seen.append(cache_key(prompt, llm_string, call))
        if call is not None and not call.is_chat:
            return [Generation(text="from the cache")]
        return [ChatGeneration(message=AIMessage("from the cache"))]

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        raise AssertionError("a call got past the cache")

    def clear(self, **kwargs: Any) -> None:
        self.seen.clear()


def keys_asked(ask: Callable[[], object]) -> list[str]:
    """The keys that LangChain's calls within `ask` are looked up by. None of them is sent."""
    keys, before, instrument = Keys(), get_llm_cache(), Instrument(lambda: None)
    set_llm_cache(keys)
    try:
        ask()
    finally:
        set_llm_cache(before)
        instrument.remove()
    return keys.seen


class City(BaseModel):
    """A city, and where it lies."""

    name: str = Field(description="the city's name")
    country: str | None = None
    inhabitants: int = Field(default=0, ge=0)


@tool
def weather(city: str, days: int = 1) -> str:
    """The weather in a city, for so many days."""
    return f"{city}: sunny for {days} days"


CHAT = [
    SystemMessage("You are terse."),
    HumanMessage("How is the weather in Bonn?"),
    AIMessage("", tool_calls=[{"name": "weather", "args": {"city": "Bonn"}, "id": "call_1"}]),
    ToolMessage("sunny", tool_call_id="call_1"),
    HumanMessage([{"type": "text", "text": "And in Köln? 🌧"}]),
]
_KEY: dict[str, Any] = {"api_key": "sk-test"}

# Each of these builds a model and asks it once.
CASES: dict[str, Callable[[], object]] = {
    "ChatOpenAI": lambda: ChatOpenAI(model="gpt-4o-mini", **_KEY).invoke("What is a monad?"),
    "ChatOpenAI, a chat": lambda: ChatOpenAI(model="gpt-4o-mini", **_KEY).invoke(CHAT),
    "ChatOpenAI, settings": lambda: ChatOpenAI(
        model="gpt-4o", temperature=0.2, seed=7, max_completion_tokens=100, top_p=0.5, stop=["END"], n=2, **_KEY
    ).invoke("What is a monad?"),
    "ChatOpenAI, what does not count": lambda: ChatOpenAI(
        model="gpt-4o", timeout=3, max_retries=7, verbose=True, default_headers={"traceparent": "00-1-2-01"}, **_KEY
    ).invoke("What is a monad?"),
    "ChatOpenAI, another server": lambda: ChatOpenAI(
        model="llama", base_url="http://localhost:8000/v1/", default_headers={"x-route": "a"}, **_KEY
    ).invoke("What is a monad?"),
    "ChatOpenAI, options of the call": lambda: ChatOpenAI(model="gpt-4o", **_KEY).invoke(
        "What is a monad?", stop=["."], temperature=0, logit_bias={"50256": -100}
    ),
    "ChatOpenAI, reasoning": lambda: ChatOpenAI(
        model="o4-mini", reasoning_effort="low", model_kwargs={"user": "me"}, extra_body={"foo": 1}, **_KEY
    ).invoke("What is a monad?"),
    "ChatOpenAI, Responses API": lambda: ChatOpenAI(
        model="gpt-5", use_responses_api=True, output_version="responses/v1", reasoning={"effort": "low"}, **_KEY
    ).invoke(CHAT),
    "ChatOpenAI, tools": lambda: (
        ChatOpenAI(model="gpt-4o", **_KEY).bind_tools([weather, City], tool_choice="weather").invoke(CHAT)
    ),
    "ChatOpenAI, structured output": lambda: (
        ChatOpenAI(model="gpt-4o", **_KEY).with_structured_output(City, include_raw=True).invoke("Bonn")
    ),
    "ChatOpenAI, structured output by tool": lambda: (
        ChatOpenAI(model="gpt-4o", **_KEY)
        .with_structured_output(City, method="function_calling", include_raw=True)
        .invoke("Bonn")
    ),
    "OpenAI": lambda: OpenAI(model="gpt-3.5-turbo-instruct", **_KEY).invoke("What is a monad?"),
    "OpenAI, settings": lambda: OpenAI(
        model="gpt-3.5-turbo-instruct", temperature=0, max_tokens=10, best_of=2, logit_bias={"1": 2.5}, **_KEY
    ).invoke("What is a monad?", stop=["."], suffix="!"),
    "ChatAnthropic": lambda: ChatAnthropic(model="claude-3-5-haiku-latest", **_KEY).invoke("What is a monad?"),
    "ChatAnthropic, a newer model": lambda: ChatAnthropic(model="claude-sonnet-4-5", **_KEY).invoke(CHAT),
    "ChatAnthropic, settings": lambda: ChatAnthropic(
        model="claude-sonnet-4-5", temperature=0.3, max_tokens=2000, top_k=5, max_retries=9, stop=["END"], **_KEY
    ).invoke("What is a monad?"),
    "ChatAnthropic, thinking": lambda: ChatAnthropic(
        model="claude-sonnet-4-5",
        max_tokens=5000,
        thinking={"type": "enabled", "budget_tokens": 2000},
        betas=["interleaved-thinking-2025-05-14"],
        **_KEY,
    ).invoke("What is a monad?"),
    "ChatAnthropic, tools": lambda: ChatAnthropic(model="claude-sonnet-4-5", **_KEY).bind_tools([weather]).invoke(CHAT),
    "ChatAnthropic, structured output": lambda: (
        ChatAnthropic(model="claude-sonnet-4-5", **_KEY).with_structured_output(City, include_raw=True).invoke("Bonn")
    ),
    "ChatOllama": lambda: ChatOllama(model="llama3.2").invoke("What is a monad?"),
    "ChatOllama, settings": lambda: ChatOllama(
        model="qwen3",
        temperature=0.1,
        seed=1,
        num_ctx=4096,
        num_predict=50,
        keep_alive="5m",
        base_url="http://gpu:11434",
    ).invoke(CHAT),
    "ChatOllama, tools": lambda: ChatOllama(model="llama3.2").bind_tools([weather]).invoke(CHAT),
    "ChatOllama, structured output": lambda: (
        ChatOllama(model="llama3.2").with_structured_output(City, include_raw=True).invoke("Bonn")
    ),
    "OllamaLLM": lambda: OllamaLLM(model="llama3.2").invoke("What is a monad?"),
    "OllamaLLM, settings": lambda: OllamaLLM(model="qwen3", temperature=0.5, top_k=3, format="json").invoke(
        "What is a monad?", stop=["."]
    ),
}


def golden() -> dict[str, str]:
    """The key of each case, as it is for good."""
    keys: dict[str, str] = json.loads(KEYS.read_text())["models"]
    return keys


def keys_here() -> dict[str, str]:
    """The key of each case under the packages that are installed here."""
    return {name: keys_asked(ask)[0] for name, ask in CASES.items()}


def paid_twice() -> list[str]:
    """The ways of calling a model that pay twice here: what is wrapped differs between LangChain's releases."""
    ways: dict[str, Callable[[FakeListChatModel], object]] = {
        "stream": lambda model: [list(model.stream("q")) for _ in range(2)],
        "astream": lambda model: asyncio.run(_streamed(model)),
        "stream, then invoke": lambda model: (list(model.stream("q")), model.invoke("q")),
        "invoke, then stream": lambda model: (model.invoke("q"), list(model.stream("q"))),
        "ainvoke at once": lambda model: asyncio.run(_at_once(model)),
        "batch": lambda model: model.batch(["q"] * 20),
    }
    wrong = []
    for name, way in ways.items():
        nbcache.install("memory://")
        way(FakeListChatModel(responses=["one answer", "another"]))
        if nbcache.stats().misses != 1:
            wrong.append(name)
        nbcache.uninstall()
    return wrong


async def _streamed(model: FakeListChatModel) -> None:
    for _ in range(2):
        assert [chunk async for chunk in model.astream("q")]
    assert [event async for event in model.astream_events("q", version="v2")]


async def _at_once(model: FakeListChatModel) -> None:
    await asyncio.gather(*(model.ainvoke("q") for _ in range(20)))


def main() -> int:
    """Print the keys, and what pays twice, each with what is wrong; the exit status tells whether anything is."""
    print(", ".join(f"{name} {version(name)}" for name in _PACKAGES))
    expected, found = golden(), keys_here()
    for name, key in found.items():
        print(f"{key}  {name}" + ("" if expected.get(name) == key else f"  - should be {expected.get(name)}"))
    missing = sorted(expected.keys() - found.keys())
    for name in missing:
        print(f"no such case: {name}")
    held = sum(expected.get(name) == key for name, key in found.items())
    print(f"{held} of {len(found)} keys hold")
    wrong = paid_twice()
    print(f"paid twice: {', '.join(wrong) or 'nothing'}")
    return 0 if held == len(found) and not missing and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
