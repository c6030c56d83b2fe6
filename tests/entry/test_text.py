"""Prompts and answers, as people read them."""

from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, Generation

from nbcache.codec.header import EntryHeader
from nbcache.codec.payload import encode, read
from nbcache.entry.records import PREVIEW_LENGTH, EntryMeta
from nbcache.entry.text import answer_preview, answer_text, preview, prompt_preview, prompt_text

CHAT = [
    SystemMessage("Be terse."),
    HumanMessage([{"type": "text", "text": "What is this? 🌧"}, {"type": "image", "base64": "x"}]),
    AIMessage("Let me look.", tool_calls=[{"name": "look", "args": {"at": "it"}, "id": "1"}]),
    ToolMessage("a cloud", tool_call_id="1"),
    ChatMessage(content="And\nthen?", role="narrator"),
]


def stored(*generations: Generation) -> list[dict[str, object]]:
    header = EntryHeader(EntryMeta("0" * 40, "", "", "", "ok", 0.0), "", "{}", "")
    return read(encode(generations, header, reusable=True), "0" * 40).plain()


def chat(message: BaseMessage) -> ChatGeneration:
    return ChatGeneration(message=message)


def test_a_chat_is_shown_message_by_message() -> None:
    assert prompt_text(dumps(CHAT)) == (
        "system: Be terse.\n\n"
        "human: What is this? 🌧\n[image]\n\n"
        'ai: Let me look.\nlook({"at": "it"})\n\n'
        "tool: a cloud\n\n"
        "narrator: And\nthen?"
    )


def test_the_preview_of_a_chat_is_what_was_asked_last() -> None:
    assert prompt_preview(dumps(CHAT)) == "And then?"
    assert prompt_preview("Tell me\n  a joke") == "Tell me a joke"


def test_the_preview_is_of_the_last_message_whatever_is_in_it() -> None:
    within = HumanMessage("within", additional_kwargs={"x": [HumanMessage("in it")]})
    for last in (within, AIMessage("b", additional_kwargs={"x": within}), HumanMessage(dumps(CHAT))):
        assert prompt_preview(dumps([*CHAT, last])) == preview(str(last.content))
    unreadable = dumps([HumanMessage("a"), object(), HumanMessage("b")])
    assert prompt_preview(unreadable) == preview(unreadable)


_MESSAGE = '{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"]'


def test_a_text_that_only_looks_like_a_chat_is_shown_as_it_is() -> None:
    for text in (
        "",
        "[]",
        '[{"lc": 1',
        '[{"lc": 1}]',
        '[{"lc":',
        '[{"lc": 1, "kwargs": 1}]',
        '[{"kwargs": {"type": "human", "content": "x"}}]',
        '[{"lc": 1, "kwargs": null}, 2]',
        f"[{_MESSAGE}}}]",
        f'[{_MESSAGE}, "kwargs": 1}}]',
        f'[{_MESSAGE}, "kwargs": {{}}',
    ):
        assert prompt_text(text) == text
        assert prompt_preview(text) == text


@given(st.text(st.sampled_from(" \n\u00a0\u2028ab\U0001f327"), min_size=110, max_size=130))
@example("a" * 120)
@example("a" * 121)
@example("a" * 120 + " b")
@example(" " + "a" * 121)
@example("a " * 60 + "b")
def test_a_preview_has_the_first_words_whatever_is_between_them(text: str) -> None:
    line = " ".join(text.split())
    assert preview(text) == (line if len(line) <= 120 else line[:119] + "…")


def test_a_preview_is_one_line_of_bounded_length() -> None:
    assert preview(" a\n\tb  ") == "a b"
    assert preview("x" * PREVIEW_LENGTH) == "x" * PREVIEW_LENGTH
    assert preview("x" * 10_000) == "x" * (PREVIEW_LENGTH - 1) + "…"


def test_the_preview_of_an_answer_is_its_text_or_the_tools_it_calls() -> None:
    calls = AIMessage("", tool_calls=[{"name": "f", "args": {"x": 1}, "id": "1"}])
    assert answer_preview([chat(AIMessage("one\ntwo")), chat(AIMessage("other"))]) == "one two"
    assert answer_preview([chat(calls)]) == 'f({"x": 1})'
    assert answer_preview([chat(AIMessage([{"type": "image", "base64": "x"}]))]) == "[image]"
    assert answer_preview([Generation(text="done")]) == "done"
    assert answer_preview([]) == ""


def test_a_stored_answer_is_shown_whole() -> None:
    message = AIMessage(
        [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "Yes"}, "and more", {"type": "audio"}],
        tool_calls=[{"name": "f", "args": {"x": 1}, "id": "1"}],
        invalid_tool_calls=[{"name": "g", "args": "{", "id": "2", "error": None}],
    )
    assert answer_text(stored(chat(message))) == 'hm\nYes\nand more\n[audio]\nf({"x": 1})\ng("{")'
    assert answer_text(stored(Generation(text="a"), Generation(text="b"))) == "a\n\nb"
    assert answer_text(stored(chat(AIMessage("")))) == ""
