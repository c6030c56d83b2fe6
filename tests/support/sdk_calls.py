"""Every kind of call of the SDKs' clients that is covered.

`python -m tests.support.sdk_calls URL FOLDER` makes them all with the cache in that folder, and prints what came back.
"""

import asyncio
import inspect
import json
import sys
import warnings
from collections.abc import Callable
from typing import Any

import anthropic
import openai
from pydantic import BaseModel

import nbcache
from tests.servers.wire import CHAT, MESSAGE, RESPONSE, TOOL, WEATHER


class City(BaseModel):
    name: str
    inhabitants: int


def final(stream: Any) -> list[Any]:
    with stream as events:
        return [*events, events.get_final_completion()]


def final_message(stream: Any) -> list[Any]:
    with stream as events:
        return [list(events.text_stream), events.get_final_message()]


def with_final_response(stream: Any) -> list[Any]:
    with stream as events:
        return [*events, events.get_final_response()]


def raw(got: Any) -> list[Any]:
    return [got.status_code, got.headers["content-type"], got.parse()]


def lines(stream: Any) -> list[Any]:
    with stream as got:
        return list(got.iter_lines())


SCENARIOS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "chat": ("OpenAI", lambda sdk: sdk.chat.completions.create(**CHAT)),
    "chat, two choices": ("OpenAI", lambda sdk: sdk.chat.completions.create(**CHAT, n=2)),
    "chat, a tool": (
        "OpenAI",
        lambda sdk: sdk.chat.completions.create(
            **CHAT, tools=[TOOL], tool_choice={"type": "function", "function": {"name": "weather"}}
        ),
    ),
    "chat, parsed": ("OpenAI", lambda sdk: sdk.chat.completions.parse(**CHAT, response_format=City)),
    "chat, stream": ("OpenAI", lambda sdk: list(sdk.chat.completions.create(**CHAT, stream=True))),
    "chat, stream with usage": (
        "OpenAI",
        lambda sdk: list(
            sdk.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True}, seed=1)
        ),
    ),
    "chat, stream helper": (
        "OpenAI",
        lambda sdk: final(sdk.chat.completions.stream(**CHAT, response_format=City)),
    ),
    "chat, raw": ("OpenAI", lambda sdk: raw(sdk.chat.completions.with_raw_response.create(**CHAT, seed=2))),
    "chat, raw stream": (
        "OpenAI",
        lambda sdk: list(sdk.chat.completions.with_raw_response.create(**CHAT, seed=3, stream=True).parse()),
    ),
    "chat, streaming response": (
        "OpenAI",
        lambda sdk: lines(sdk.chat.completions.with_streaming_response.create(**CHAT, seed=4)),
    ),
    "completion": ("OpenAI", lambda sdk: sdk.completions.create(model="gpt-3.5-turbo-instruct", prompt="What?")),
    "completion, stream": (
        "OpenAI",
        lambda sdk: list(sdk.completions.create(model="gpt-3.5-turbo-instruct", prompt="What?", stream=True)),
    ),
    "response": ("OpenAI", lambda sdk: sdk.responses.create(**RESPONSE)),
    "response, parsed": ("OpenAI", lambda sdk: sdk.responses.parse(**RESPONSE, text_format=City)),
    "response, stream": ("OpenAI", lambda sdk: list(sdk.responses.create(**RESPONSE, stream=True))),
    "response, stream helper": (
        "OpenAI",
        lambda sdk: with_final_response(sdk.responses.stream(**RESPONSE, temperature=0)),
    ),
    "message": ("Anthropic", lambda sdk: sdk.messages.create(**MESSAGE)),
    "message, a tool": (
        "Anthropic",
        lambda sdk: sdk.messages.create(
            **MESSAGE,
            tools=[{"name": "weather", "input_schema": WEATHER}],
            tool_choice={"type": "tool", "name": "weather"},
        ),
    ),
    "message, parsed": ("Anthropic", lambda sdk: sdk.messages.parse(**MESSAGE, output_format=City)),
    "message, stream": ("Anthropic", lambda sdk: list(sdk.messages.create(**MESSAGE, stream=True))),
    "message, stream helper": (
        "Anthropic",
        lambda sdk: final_message(
            sdk.messages.stream(**MESSAGE, thinking={"type": "enabled", "budget_tokens": 1024}),
        ),
    ),
    "message, beta": ("Anthropic", lambda sdk: sdk.beta.messages.create(**MESSAGE, betas=["b-1"])),
    "message, raw": (
        "Anthropic",
        lambda sdk: raw(sdk.messages.with_raw_response.create(**MESSAGE, stop_sequences=["."])),
    ),
}


async def _afinal(stream: Any) -> list[Any]:
    async with stream as events:
        return [[text async for text in events.text_stream], await events.get_final_message()]


async def _items(stream: Any) -> list[Any]:
    return [item async for item in await stream]


ASYNC: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "chat, async": ("AsyncOpenAI", lambda sdk: sdk.chat.completions.create(**CHAT, seed=5)),
    "chat, parsed, async": (
        "AsyncOpenAI",
        lambda sdk: sdk.chat.completions.parse(**CHAT, response_format=City, seed=7),
    ),
    "chat, stream, async": (
        "AsyncOpenAI",
        lambda sdk: _items(sdk.chat.completions.create(**CHAT, stream=True, seed=6)),
    ),
    "response, async": ("AsyncOpenAI", lambda sdk: sdk.responses.create(**RESPONSE, top_p=0.5)),
    "response, stream, async": (
        "AsyncOpenAI",
        lambda sdk: _items(sdk.responses.create(**RESPONSE, stream=True, top_p=0.5)),
    ),
    "message, async": ("AsyncAnthropic", lambda sdk: sdk.messages.create(**MESSAGE, stop_sequences=["!"])),
    "message, stream, async": (
        "AsyncAnthropic",
        lambda sdk: _items(sdk.messages.create(**MESSAGE, stream=True, stop_sequences=["!"])),
    ),
    "message, stream helper, async": (
        "AsyncAnthropic",
        lambda sdk: _afinal(sdk.messages.stream(**MESSAGE, stop_sequences=["?"])),
    ),
}


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, BaseModel):
        return {
            "class": f"{type(value).__module__}.{type(value).__qualname__}",
            "fields": value.model_dump(mode="json"),
        }
    return value if isinstance(value, str | int | None) else {"class": type(value).__qualname__, "told": repr(value)}


def outcomes(url: str) -> dict[str, Any]:
    sdks = {
        "OpenAI": nbcache.wrap(openai.OpenAI(base_url=f"{url}/v1", api_key="sk-test")),
        "AsyncOpenAI": nbcache.wrap(openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-test")),
        "Anthropic": nbcache.wrap(anthropic.Anthropic(base_url=url, api_key="sk-test")),
        "AsyncAnthropic": nbcache.wrap(anthropic.AsyncAnthropic(base_url=url, api_key="sk-test")),
    }
    found = {}
    with asyncio.Runner() as runner, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Pydantic serializer warnings")  # of the SDKs' own parsed classes
        for name, (sdk, run) in {**SCENARIOS, **ASYNC}.items():
            came = run(sdks[sdk])
            found[name] = plain(runner.run(_awaited(came)) if inspect.isawaitable(came) else came)
    return found


async def _awaited(came: Any) -> Any:
    return await came


if __name__ == "__main__":
    nbcache.install(sys.argv[2])
    json.dump(outcomes(sys.argv[1]), sys.stdout)
