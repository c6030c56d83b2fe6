"""Messages in every way in which one can be written, and all that stands beside what is sent of them."""

import random
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from langchain_core.messages import AIMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage

from tests.keys.truth.clients import Client
from tests.keys.truth.pairs import Group, Variant
from tests.keys.truth.settings import Call

_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
_OTHER = _PNG.replace("42mNk", "42mNm")
_USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
_CALL = {"name": "weather", "args": {"city": "Rome"}, "id": "call_1", "type": "tool_call"}


def groups(client: Client, rng: random.Random, *, share: float = 1.0) -> Iterator[Group]:
    """A group for each topic. `share` is how much of the calls is made, from 0 to 1."""
    share *= client.share
    topics = _TOPICS if client.kind == "chat" else _TEXTS
    for topic, prompts in topics.items():
        chosen = [prompt for prompt in prompts if rng.random() < share]
        variants = [Variant(repr(prompt)[:200], partial(Call().prepared, client, prompt)) for prompt in chosen]
        yield Group(client.name, "messages", topic, variants)


def prompts() -> list[Any]:
    """All of them."""
    return [prompt for topic in _TOPICS.values() for prompt in topic]


def _after(*messages: Any) -> list[Any]:
    """A conversation that goes on after these."""
    return [HumanMessage("What is the weather?"), *messages, HumanMessage("And tomorrow?")]


def _answer(**fields: Any) -> list[Any]:
    return _after(AIMessage(**{"content": "Fine.", **fields}))


def _called(call: Mapping[str, Any] = _CALL, **fields: Any) -> list[Any]:
    tool = ToolMessage(**{"content": "sunny", "tool_call_id": call["id"], **fields})
    return _after(AIMessage("", tool_calls=[dict(call)]), tool)


def _image(*blocks: dict[str, Any]) -> list[Any]:
    return [HumanMessage([{"type": "text", "text": "What is this?"}, *blocks])]


_TEXTS: dict[str, list[Any]] = {
    "texts": ["a", "A", "a ", " a", "", "1", "a\nb", "a\\nb", "é", "e\u0301", '[{"lc": 1}]', "Human: a", "text:a"],
}
_TOPICS: dict[str, list[Any]] = {
    "texts": [
        *_TEXTS["texts"],
        *([HumanMessage(text)] for text in ("a", "A", "1", "a ")),
        *([HumanMessage([{"type": "text", "text": text}])] for text in ("a", "A", "1")),
        [HumanMessage(["a"])],
        [HumanMessage([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])],
        [HumanMessage([{"type": "text", "text": "ab"}])],
        [HumanMessage("a"), HumanMessage("b")],
        [HumanMessage([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}])],
    ],
    "roles": [
        [("human", "a")],
        [("user", "a")],
        [{"role": "user", "content": "a"}],
        [HumanMessage("a")],
        [ChatMessage(role="user", content="a")],
        [ChatMessage(role="tester", content="a")],
        [("system", "a"), ("human", "b")],
        [SystemMessage("a"), HumanMessage("b")],
        [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}],
        [{"role": "developer", "content": "a"}, {"role": "user", "content": "b"}],
        [SystemMessage("a", additional_kwargs={"__openai_role__": "developer"}), HumanMessage("b")],
        [HumanMessage("b"), SystemMessage("a")],
        [HumanMessage("a"), AIMessage("b"), HumanMessage("c")],
        [HumanMessage("a"), HumanMessage("b"), HumanMessage("c")],
    ],
    "names": [[HumanMessage("a", name=name)] for name in (None, "x", "y", "X")],
    "beside an answer": [
        _answer(),
        _answer(id="run-1"),
        _answer(id="run-2"),
        _answer(usage_metadata=_USAGE),
        _answer(usage_metadata={**_USAGE, "total_cost": 0}),
        _answer(response_metadata={"id": "a", "model_name": "gpt-4o"}),
        _answer(response_metadata={"id": "resp_a", "model_provider": "openai"}),
        _answer(response_metadata={"id": "resp_b", "model_provider": "openai"}),
        _answer(response_metadata={"container": {"id": "a"}}),
        _answer(response_metadata={"container": {"id": "b"}}),
        _answer(response_metadata={"model_provider": "anthropic"}),
        _answer(response_metadata={"output_version": "v1"}),
        _answer(additional_kwargs={"parsed": {"a": 1}}),
        _answer(additional_kwargs={"refusal": "no"}),
        _answer(additional_kwargs={"reasoning_content": "hm"}),
        _answer(additional_kwargs={"reasoning_content": "ha"}),
        _answer(additional_kwargs={"audio": {"id": "a"}}),
        _answer(additional_kwargs={"audio": {"id": "b"}}),
        _answer(additional_kwargs={"x": 1}),
        _answer(additional_kwargs={"function_call": {"name": "a", "arguments": "{}"}}),
        _answer(additional_kwargs={"function_call": {"name": "b", "arguments": "{}"}}),
        _answer(name="x"),
    ],
    "tool calls": [
        _called(),
        *(
            _called({**_CALL, "args": {"city": value}})
            for value in ("rome", 1, "1", 1.0, True, "True", None, [1], ["1"])
        ),
        _called({**_CALL, "id": "call_2"}),
        _called({**_CALL, "name": "other"}),
        *(_called(content=content) for content in ("rainy", "1", [{"type": "text", "text": "sunny"}], ["sunny"])),
        *(_called(status=status) for status in ("success", "error")),
        *(_called(artifact=artifact) for artifact in ("a", {"b": 1})),
        _called(name="weather"),
        _called(id="x"),
        _called(additional_kwargs={"a": 1}),
    ],
    "images": [
        _image({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_PNG}"}}),
        _image({"type": "image_url", "image_url": f"data:image/png;base64,{_PNG}"}),
        _image({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_OTHER}"}}),
        _image({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_PNG}", "detail": "low"}}),
        _image({"type": "image", "base64": _PNG, "mime_type": "image/png"}),
        _image({"type": "image", "base64": _OTHER, "mime_type": "image/png"}),
        _image({"type": "image", "base64": _PNG, "mime_type": "image/jpeg"}),
        _image({"type": "image", "source_type": "base64", "data": _PNG, "mime_type": "image/png"}),
        _image({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": _PNG}}),
        _image({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": _OTHER}}),
    ],
}
