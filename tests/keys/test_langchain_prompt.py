"""What LangChain writes of messages, written in less time: the same text."""

import json
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage

from nbcache.keys.langchain_prompt import json_of_text, written_prompt
from tests.keys.truth.messages import prompts


class Own(HumanMessage):
    """A class of the user's own."""


_USAGE: Any = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
MESSAGES: list[list[BaseMessage]] = [
    [],
    [SystemMessage("Be terse."), HumanMessage("q"), AIMessage("a"), HumanMessage("And then?")],
    [HumanMessage(""), HumanMessage('"quoted" \\ \n é 🌧 \u2028 \x00'), HumanMessage("half \ud83d")],
    [HumanMessage("nbcache-content-5b8e02"), HumanMessage("x", name="nbcache-content-5b8e02")],
    [
        AIMessage(
            "x", id="run-1", usage_metadata=_USAGE, response_metadata={"id": "a", "logprobs": None, "p": float("nan")}
        )
    ],
    [AIMessage("x", additional_kwargs={"n": 1}), AIMessage("x", additional_kwargs={"n": True})],
    [AIMessage("x", additional_kwargs={"n": 1.0}), AIMessage("x", additional_kwargs={"lc": 1})],
    [AIMessage("", tool_calls=[{"name": "f", "args": {"x": 1}, "id": "call_1", "type": "tool_call"}])],
    [
        ToolMessage("sunny", tool_call_id="call_1", artifact={"a": 1}, status="error"),
        ChatMessage(content="c", role="user"),
    ],
    [HumanMessage([{"type": "text", "text": "This?"}, {"type": "image_url", "image_url": {"url": "data:,x"}}])],
    [HumanMessage("x", additional_kwargs={"at": datetime(2026, 1, 1, tzinfo=UTC), "raw": b"bytes"}), Own(content="o")],
    [HumanMessage("x", extra="of a provider"), HumanMessage("x", additional_kwargs={"long": "x" * 20_000})],
    *(
        prompt
        for prompt in prompts()
        if isinstance(prompt, list) and all(isinstance(one, BaseMessage) for one in prompt)
    ),
]


@pytest.mark.parametrize("messages", MESSAGES)
def test_the_text_is_langchains(messages: list[BaseMessage]) -> None:
    for _ in range(2):
        assert written_prompt(messages, dumps) == dumps(messages)


@given(st.text() | st.text(st.characters(max_codepoint=127)) | st.text(st.characters()))
@example("".join(map(chr, range(127))))
@example("".join(map(chr, range(128))))
def test_a_content_is_written_as_by_the_standard_library(text: str) -> None:
    assert json_of_text(text) == json.dumps(text)


def test_a_message_that_has_changed_has_another_text() -> None:
    message = AIMessage("x", response_metadata={"a": [1]})
    assert written_prompt([message], dumps) == dumps([message])
    message.response_metadata["a"].append(2)
    assert written_prompt([message], dumps) == dumps([message])


def test_langchain_writes_messages_that_differ_in_their_content_once() -> None:
    wrapped = mock.Mock(side_effect=dumps)
    for number in range(5):
        written_prompt([HumanMessage(f"question {number}", name="once")], wrapped)
    assert wrapped.call_count == 1
