"""What a notebook does with a model. Each scenario says how many requests it makes where nothing is cached yet.

`say` puts the scenario's name into a prompt, so that no two share an answer and each request tells whose it is.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel

Make = Callable[..., Any]
Say = Callable[[str], str]

_DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
_OTHER_DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="


class City(BaseModel):
    """A city."""

    name: str
    inhabitants: int
    rivers: list[str]


@tool
def weather(city: str, days: int) -> str:
    """The weather in a city."""
    return f"{city}: {days} days of rain"


@dataclass(frozen=True)
class Scenario:
    """`run` takes a factory of models, which takes settings, and `say`; it may be a coroutine function."""

    run: Callable[[Make, Say], Any]
    requests: int


def invoke(make: Make, say: Say) -> Any:
    return make().invoke(say("a question"))


async def ainvoke(make: Make, say: Say) -> Any:
    return await make().ainvoke(say("a question"))


def stream(make: Make, say: Say) -> Any:
    return _streamed(list(make().stream(say("a question"))))


async def astream(make: Make, say: Say) -> Any:
    return _streamed([chunk async for chunk in make().astream(say("a question"))])


def batch(make: Make, say: Say) -> Any:
    return make().batch([say("one"), say("two"), say("three")])


async def abatch(make: Make, say: Say) -> Any:
    return await make().abatch([say("one"), say("two"), say("three")])


def streamed_then_invoked(make: Make, say: Say) -> Any:
    whole = _sum(list(make().stream(say("a question"))))
    return _same(whole, make().invoke(say("a question")))


def invoked_then_streamed(make: Make, say: Say) -> Any:
    said = make().invoke(say("a question"))
    return _same(said, _sum(list(make().stream(say("a question")))))


def stop(make: Make, say: Say) -> Any:
    return [make().invoke(say("a question"), stop=words) for words in (["END"], ["FIN"])]


def two_turns(make: Make, say: Say) -> Any:
    first = [HumanMessage(say("a question"))]
    said = make().invoke(first)
    return [said, make().invoke([*first, said, HumanMessage(say("and another"))])]


def images(make: Make, say: Say) -> Any:
    return [make().invoke([_pictured(say("what is this?"), dot)]) for dot in (_DOT, _OTHER_DOT)]


def tools(make: Make, say: Say) -> Any:
    said = make().bind_tools([weather], tool_choice="any").invoke(say("rain?"))
    assert said.tool_calls[0]["name"] == "weather"
    return said


def tools_streamed(make: Make, say: Say) -> Any:
    chunks = list(make().bind_tools([weather], tool_choice="any").stream(say("rain?")))
    assert _sum(chunks).tool_calls[0]["args"].keys() == {"city", "days"}
    return _streamed(chunks)


def tool_result(make: Make, say: Say) -> Any:
    asked: list[BaseMessage] = [HumanMessage(say("rain?"))]
    said: AIMessage = make().bind_tools([weather], tool_choice="any").invoke(asked)
    results = [ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]) for call in said.tool_calls]
    return [said, make().bind_tools([weather]).invoke([*asked, said, *results])]


def structured(method: str, *, include_raw: bool) -> Callable[[Make, Say], Any]:
    """Structured output; the schema is in the prompt too, as `json_mode` needs it."""

    def run(make: Make, say: Say) -> Any:
        asked = make().with_structured_output(City, method=method, include_raw=include_raw)
        found = asked.invoke(say(f"a city, in JSON: {json.dumps(City.model_json_schema())}"))
        assert isinstance(found["parsed"] if include_raw else found, City), found
        return found

    return run


def structured_streamed(make: Make, say: Say) -> Any:
    found = list(make().with_structured_output(City, method="json_schema").stream(say("a city")))
    assert isinstance(found[-1], City), found
    return found


def previous_response(make: Make, say: Say) -> Any:
    """OpenAI keeps the first turn: only its id and the second question are sent."""
    said = two_turns(lambda: make(use_previous_response_id=True), say)
    asked = [one.usage_metadata["input_tokens"] for one in said]
    assert asked[1] < 2 * asked[0], "the first turn was sent again"
    return said


def thinking(make: Make, say: Say) -> Any:
    said = two_turns(lambda: make(max_tokens=4000, thinking={"type": "enabled", "budget_tokens": 1024}), say)
    assert said[1].content[0]["signature"]
    return said


def thinking_streamed(make: Make, say: Say) -> Any:
    return stream(lambda: make(max_tokens=4000, thinking={"type": "enabled", "budget_tokens": 1024}), say)


def thoughts(make: Make, say: Say) -> Any:
    """Google's thinking."""
    said = two_turns(lambda: make(include_thoughts=True), say)
    assert said[1].content_blocks[0]["type"] == "reasoning"
    return said


def prompt_cache(make: Make, say: Say) -> Any:
    """Anthropic's own cache: breakpoints in the prompt and as an option, and the header for long-lived ones."""
    text = {"type": "text", "text": say("a long document"), "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    asked = [SystemMessage([text]), HumanMessage(say("a question"))]
    header = {"anthropic-beta": "extended-cache-ttl-2025-04-11"}
    said = [
        make().invoke(asked),
        make(default_headers=header).invoke(asked),
        make().invoke(asked, cache_control={"type": "ephemeral"}),
    ]
    assert all(one.usage_metadata["input_token_details"]["cache_creation"] for one in said)
    return said


def _pictured(text: str, dot: str) -> HumanMessage:
    return HumanMessage([{"type": "text", "text": text}, {"type": "image", "base64": dot, "mime_type": "image/png"}])


def _streamed(chunks: Sequence[Any]) -> Any:
    """The whole, and where it was cut."""
    assert len(chunks) > 1
    return {"whole": _sum(chunks), "chunks": chunks}


def _sum(chunks: Sequence[Any]) -> Any:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole


def _same(one: Any, other: Any) -> Any:
    """Both, which have to say the same."""
    texts = [said if isinstance(said, str) else said.text for said in (one, other)]
    assert texts[0] == texts[1], texts
    return [one, other]


METHODS = ("json_schema", "function_calling", "json_mode")

_STRUCTURED = {
    name: Scenario(structured(method, include_raw=include_raw), 1)
    for method in METHODS
    for name, include_raw in ((method, False), (f"{method}, include_raw", True))
}

TEXT = {
    "invoke": Scenario(invoke, 1),
    "ainvoke": Scenario(ainvoke, 1),
    "stream": Scenario(stream, 1),
    "astream": Scenario(astream, 1),
    "streamed, then invoked": Scenario(streamed_then_invoked, 1),
    "invoked, then streamed": Scenario(invoked_then_streamed, 1),
    "batch": Scenario(batch, 3),
    "abatch": Scenario(abatch, 3),
    "stop": Scenario(stop, 2),
}
CHAT = {
    **TEXT,
    "two turns": Scenario(two_turns, 2),
    "images": Scenario(images, 2),
    "tools": Scenario(tools, 1),
    "tools, streamed": Scenario(tools_streamed, 1),
    "tool result": Scenario(tool_result, 2),
    **_STRUCTURED,
    "json_schema, streamed": Scenario(structured_streamed, 1),
}
OWN = {
    "previous response": Scenario(previous_response, 2),
    "thinking": Scenario(thinking, 2),
    "thinking, streamed": Scenario(thinking_streamed, 1),
    "thoughts": Scenario(thoughts, 2),
    "prompt cache": Scenario(prompt_cache, 3),
}
