"""A prompt and its answer as a person reads a chat, whoever's message shapes they come in."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.load import dumps
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, Generation

from nbcache.codec import payload as codec
from nbcache.codec.header import EntryHeader
from nbcache.entry.records import EntryMeta
from nbcache.ui.panel.transcript import Part, TranscriptMessage, answer_chat, prompt_chat

KEY = "0" * 40
HEADER = EntryHeader(EntryMeta(KEY, "m", "p", "a", "ok", 0.0), "p", "{}", "")
CALL: Any = {"name": "weather", "args": {"city": "Köln"}, "id": "c1", "type": "tool_call"}
TYPED = '{\n  "city": "Köln"\n}'
IMAGE = "data:image/png;base64,iVBORw0KGgo="


def asked(*messages: BaseMessage) -> list[TranscriptMessage]:
    """The chat of a prompt, as LangChain hands it to a cache."""
    return prompt_chat(dumps(list(messages)))


def answered(*messages: BaseMessage) -> list[TranscriptMessage]:
    """The chat of an answer, as a store gives it back."""
    return stored(*(ChatGeneration(message=message) for message in messages))


def stored(*generations: Generation) -> list[TranscriptMessage]:
    return answer_chat(codec.read(codec.encode(generations, HEADER, reusable=True), KEY).plain())


def parts(message: BaseMessage) -> list[tuple[str, str, str]]:
    """The parts of a message, the same in a prompt and in an answer."""
    (in_prompt,) = asked(message)
    if isinstance(message, AIMessage):
        (in_answer,) = answered(message)
        assert in_prompt == in_answer
    return [(part.kind, part.text, part.name) for part in in_prompt.parts]


def test_a_text_is_what_the_user_said() -> None:
    assert prompt_chat("What is\n  a monad?") == [TranscriptMessage("user", (Part("text", "What is\n  a monad?"),))]
    assert stored(Generation(text="A monoid.")) == [TranscriptMessage("assistant", (Part("text", "A monoid."),))]


def test_each_message_has_its_role() -> None:
    chat = asked(
        SystemMessage("be brief"),
        HumanMessage("q"),
        AIMessage("a"),
        ToolMessage("21 °C", tool_call_id="c1", name="weather"),
        FunctionMessage(content="7", name="f"),
        ChatMessage(role="developer", content="hints"),
        AIMessageChunk(content="in pieces"),
    )
    assert [(said.role, *(part.text for part in said.parts)) for said in chat] == [
        ("system", "be brief"),
        ("user", "q"),
        ("assistant", "a"),
        ("tool", "21 °C"),
        ("function", "7"),
        ("developer", "hints"),
        ("assistant", "in pieces"),
    ]


def test_code_is_kept_as_it_was_typed() -> None:
    code = "```python\n\tdef f(x):\n\n        return  x   # <b>\n```\n"
    assert parts(HumanMessage(code)) == [("text", code, "")]


def test_several_answers_are_several_messages() -> None:
    assert [said.parts[0].text for said in answered(AIMessage("one"), AIMessage("two"))] == ["one", "two"]


# OpenAI


def test_openai_tool_calls_and_their_results() -> None:
    assert parts(AIMessage("Let me look.", tool_calls=[CALL])) == [
        ("text", "Let me look.", ""),
        ("tool call", TYPED, "weather"),
    ]
    assert parts(AIMessage("", tool_calls=[CALL, {**CALL, "name": "clock", "args": {}}])) == [
        ("tool call", TYPED, "weather"),
        ("tool call", "{}", "clock"),
    ]
    assert parts(ToolMessage("21 °C", tool_call_id="c1", name="weather")) == [("tool result", "21 °C", "weather")]
    assert parts(ToolMessage("", tool_call_id="c1")) == [("tool result", "", "")]


def test_a_tool_call_that_is_no_json_is_shown_as_it_came() -> None:
    broken: Any = {"name": "weather", "args": '{"city": ', "id": "c1", "error": "JSON", "type": "invalid_tool_call"}
    assert parts(AIMessage("", invalid_tool_calls=[broken])) == [("tool call", '{"city": ', "weather")]


def test_openai_refusals() -> None:
    assert parts(AIMessage("", additional_kwargs={"refusal": "I can't help with that."})) == [
        ("text", "I can't help with that.", "")
    ]
    ((_, text, _),) = parts(AIMessage([{"type": "refusal", "refusal": "No."}]))
    assert text == "No."


def test_openai_images_and_files() -> None:
    message = HumanMessage(
        [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": IMAGE}},
            {"type": "input_image", "image_url": IMAGE},
            {"type": "file", "file": {"file_data": "JVBERi0="}},
        ]
    )
    assert parts(message) == [
        ("text", "What is this?", ""),
        ("image", "[an image]", ""),
        ("image", "[an image]", ""),
        ("other", "[file]", ""),
    ]


def test_openai_responses_reasoning_text_and_calls() -> None:
    message = AIMessage(
        [
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "First,"}, {"type": "summary_text", "text": "then."}],
            },
            {"type": "text", "text": "Done.", "annotations": []},
            {"type": "function_call", "name": "weather", "arguments": '{"city": "Köln"}', "call_id": "c1"},
        ],
        tool_calls=[CALL],
    )
    assert parts(message) == [
        ("reasoning", "First,\nthen.", ""),
        ("text", "Done.", ""),
        ("tool call", TYPED, "weather"),
    ]


def test_a_call_that_stands_among_the_content_alone_is_shown() -> None:
    block = {"type": "function_call", "name": "weather", "arguments": '{"city": "Köln"}', "call_id": "c1"}
    assert parts(HumanMessage([block])) == [("tool call", '{"city": "Köln"}', "weather")]


# Anthropic


def test_anthropic_thinking_text_and_tool_use() -> None:
    message = AIMessage(
        [
            {"type": "thinking", "thinking": "Hm, Köln.", "signature": "xyz=="},
            {"type": "redacted_thinking", "data": "abc=="},
            {"type": "text", "text": "Let me look."},
            {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Köln"}},
        ],
        tool_calls=[CALL],
    )
    assert parts(message) == [
        ("reasoning", "Hm, Köln.", ""),
        ("other", "[redacted_thinking]", ""),
        ("text", "Let me look.", ""),
        ("tool call", TYPED, "weather"),  # once, though it is told twice
    ]


def test_anthropic_blocks_that_somebody_wrote_by_hand() -> None:
    message = HumanMessage(
        [
            {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "21 °C"}]},
            {"type": "tool_result", "tool_use_id": "c2", "content": "windy"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
            {"type": "document", "source": {"type": "text", "data": "…"}},
            {"type": "tool_use", "id": "c3", "name": "clock", "input": {}},
            "and a plain string",
        ]
    )
    assert parts(message) == [
        ("tool result", "21 °C", ""),
        ("tool result", "windy", ""),
        ("image", "[an image]", ""),
        ("other", "[document]", ""),
        ("tool call", "{}", "clock"),
        ("text", "and a plain string", ""),
    ]


def test_a_result_of_several_blocks() -> None:
    message = ToolMessage([{"type": "text", "text": "one"}, "two"], tool_call_id="c1", name="f")
    assert parts(message) == [("tool result", "one", "f"), ("tool result", "two", "f")]


# Google


def test_google_thinking_calls_and_media() -> None:
    called = AIMessage(
        [{"type": "thinking", "thinking": "Hm.", "signature": "s"}, "Here it is."],
        tool_calls=[CALL],
        additional_kwargs={"function_call": {"name": "weather", "arguments": '{"city": "Köln"}'}},
    )
    assert parts(called) == [("reasoning", "Hm.", ""), ("text", "Here it is.", ""), ("tool call", TYPED, "weather")]
    shown = HumanMessage(
        [{"type": "media", "mime_type": "audio/wav", "data": "UklGRg=="}, {"type": "image_url", "image_url": IMAGE}]
    )
    assert parts(shown) == [("other", "[media]", ""), ("image", "[an image]", "")]


def test_langchains_own_reasoning_blocks() -> None:
    assert parts(AIMessage([{"type": "reasoning", "reasoning": "Hm."}, {"type": "text", "text": "A."}])) == [
        ("reasoning", "Hm.", ""),
        ("text", "A.", ""),
    ]


# Whatever comes


def test_nothing_said_has_no_parts() -> None:
    assert parts(AIMessage("")) == []
    assert parts(AIMessage([])) == []


@pytest.mark.parametrize("content", [None, [None], {"a": 1}, 7, [[]]])
def test_a_tool_without_a_text_says_nothing_strange(content: Any) -> None:
    prompt = json.dumps([{"lc": 1, "type": "constructor", "kwargs": {"type": "tool", "content": content}}])
    text = "".join(part.text for said in prompt_chat(prompt) for part in said.parts)
    assert "None" not in text


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        '[{"lc":',
        '[{"lc": 1}]',
        '[{"lc": 1, "kwargs": 7}]',
        '[{"lc": 1, "kwargs": null}, 5]',
        '[{"lc": 1, "kwargs": {}}] and more',
        '[{"lc":' + "[" * 100_000,
        '[{"lc": 1, "kwargs": {"a": ' + "[" * 900 + "]" * 900 + "}}]",
        '[{"lc": 1, "kwargs": {"type": "ai", "tool_calls": [{"args": ' + "[" * 900 + "]" * 900 + "}]}}]",
        '[{"lc":1, "kwargs": {"content": "\\ud83d"}}]',
        "\ud83d",
    ],
    ids=lambda prompt: ascii(prompt[:60]),
)
def test_what_only_looks_like_a_chat_is_shown_somehow(prompt: str) -> None:
    for said in prompt_chat(prompt):
        assert said.role
        assert all(isinstance(part.text, str) for part in said.parts)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_KINDS = ["text", "reasoning", "thinking", "image", "tool_use", "tool_call", "tool_result", "function_call", "refusal"]
_NAMES = [
    "type",
    "text",
    "reasoning",
    "thinking",
    "summary",
    "input",
    "args",
    "arguments",
    "name",
    "content",
    "refusal",
]
blocks = st.dictionaries(st.sampled_from(_NAMES), json_values | st.sampled_from(_KINDS), max_size=5)
messages = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["ai", "human", "tool", "AIMessageChunk", "constructor"]) | json_values,
        "role": json_values,
        "name": json_values,
        "content": json_values | st.lists(blocks | json_values, max_size=4),
        "tool_calls": json_values | st.lists(blocks, max_size=2),
        "invalid_tool_calls": json_values | st.lists(blocks, max_size=2),
        "additional_kwargs": json_values | st.dictionaries(st.sampled_from(["refusal", "reasoning"]), json_values),
    },
)


@given(st.lists(messages, min_size=1, max_size=3) | st.lists(json_values, max_size=3))
def test_garbage_among_the_messages_never_raises(garbage: list[Any]) -> None:
    prompt = json.dumps([{"lc": 1, "type": "constructor", "kwargs": message} for message in garbage])
    for said in prompt_chat(prompt):
        assert isinstance(said.role, str)
        assert all(isinstance(value, str) for part in said.parts for value in (part.kind, part.text, part.name))


@given(st.lists(messages, max_size=3))
def test_garbage_in_an_answers_fields_never_raises(garbage: list[dict[str, Any]]) -> None:
    for said in answer_chat([{"type": "ChatGeneration", "message": {"fields": fields}} for fields in garbage]):
        assert all(isinstance(value, str) for part in said.parts for value in (part.kind, part.text, part.name))


@given(st.text())
def test_any_text_is_one_message_of_the_users(text: str) -> None:
    assert prompt_chat(text) == [TranscriptMessage("user", (Part("text", text),))]
