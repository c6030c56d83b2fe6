"""Keys that are told without LangChain's texts: the same, byte for byte, as those that are told with them."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, cast
from unittest import mock

import pytest
from langchain_core.globals import get_llm_cache
from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage

import nbcache
from nbcache import NotebookCache
from nbcache.keys import known_keys
from nbcache.keys.known_keys import known_call
from nbcache.keys.request import Request
from tests.keys.truth.capture import Sent, captured, made_fast
from tests.keys.truth.clients import clients
from tests.keys.truth.messages import prompts
from tests.keys.truth.pairs import KeyStore

CHATS = [name for name, client in clients().items() if client.kind == "chat"]
OPTIONS: list[dict[str, Any]] = [{}, {"stop": ["a"]}, {"temperature": 0.5}]


@pytest.fixture
def store() -> Iterator[KeyStore]:
    store = KeyStore()
    known_keys.forget()
    with made_fast(), captured(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nbcache.install(store)
        yield store


def ask(model: Any, prompt: Any, options: dict[str, Any]) -> None:
    with suppress(Sent, Exception):  # clients refuse some messages, each in its own way
        model.invoke(prompt, **options)


def ask_first(model: Any, options: dict[str, Any]) -> None:
    """Make calls after which the model's identity is remembered: the first one completes the model."""
    for _ in range(2):
        ask(model, "q", options)


@pytest.mark.parametrize("name", CHATS)
def test_a_key_told_early_is_the_key_that_is_looked_up(
    name: str, store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    early: list[str] = []
    monkeypatch.setattr(
        NotebookCache, "find_known", lambda _, known, *__, **___: early.append(known.key)
    )  # and is looked up as well
    model = clients([name])[name].make()
    count = 0
    for options in OPTIONS:
        ask_first(model, options)
        for prompt in prompts():
            store.keys.clear()
            early.clear()
            ask(model, prompt, options)
            assert not early or set(early) == set(store.keys), (prompt, options)
            count += bool(early)
    if name in {"ChatOpenAI", "ChatAnthropic", "ChatOllama", "ChatMistralAI", "ChatGroq"}:
        assert count > 100


@pytest.mark.parametrize("name", CHATS)
def test_a_key_told_early_again_is_the_same(name: str, store: KeyStore) -> None:
    del store
    model = clients([name])[name].make()
    ask_first(model, {})
    for prompt in prompts():
        if isinstance(prompt, list) and all(isinstance(each, BaseMessage) for each in prompt):
            first, again = (key_of(model, prompt) for _ in range(2))
            assert first == again


def key_of(model: Any, messages: Sequence[BaseMessage]) -> str | None:
    try:
        known = known_call(Request(model, None, {}, messages=messages))
        return None if known is None else known.key
    except Exception as error:  # noqa: BLE001 - the class refuses such messages, each time
        return repr(error)


_CALLED = {"name": "f", "args": {"x": 1}, "id": "call_1", "type": "tool_call"}
_USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
_LATER: list[list[BaseMessage]] = [
    [AIMessage("Fine.", id="run-1", usage_metadata=_USAGE, response_metadata={"id": "a", "logprobs": None})],
    [HumanMessage("And \ud83d?", name="ada"), AIMessage("", tool_calls=[_CALLED])],
    [ToolMessage("sunny", tool_call_id="call_1", artifact={"a": 1}, status="error")],
    [HumanMessage([{"type": "text", "text": "This?"}, {"type": "image_url", "image_url": {"url": "data:,x"}}])],
    [AIMessage([{"type": "text", "text": "No."}], additional_kwargs={"refusal": "no"})],
    [ChatMessage(content="c", role="user"), HumanMessage("d"), HumanMessage("e")],
]


@pytest.mark.parametrize("name", CHATS)
def test_the_key_of_a_chat_that_grows_and_is_edited_is_the_key_that_is_looked_up(
    name: str, store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    early: list[str] = []
    monkeypatch.setattr(NotebookCache, "find_known", lambda _, known, *__, **___: early.append(known.key))
    model = clients([name])[name].make()
    ask_first(model, {})

    def ask_all(chat: list[BaseMessage]) -> None:
        store.keys.clear()
        early.clear()
        ask(model, chat, {})
        assert not early or set(early) == set(store.keys), chat

    question = HumanMessage("What is the weather?")
    chat: list[BaseMessage] = [SystemMessage("Be terse."), question]
    for turn in _LATER:
        ask_all(chat)
        chat += turn
    for content in ("What?", "What is the weather?"):
        question.content = content
        ask_all(chat)
    chat[2].id = "run-2"
    ask_all(chat)
    ask_all(chat[:1] + chat[3:])
    chat[4].tool_calls[0]["args"]["x"] = True  # type: ignore[attr-defined]
    ask_all(chat)


def test_a_model_that_changes_has_no_key_until_it_is_asked_again(store: KeyStore) -> None:
    model = clients(["ChatOpenAI"])["ChatOpenAI"].make()
    question = [HumanMessage("q")]
    assert key_of(model, question) is None
    ask_first(model, {})
    before = key_of(model, question)
    assert before == store.keys[-1]
    model.temperature = 0.123
    assert key_of(model, question) is None
    ask_first(model, {})
    assert key_of(model, question) == store.keys[-1] != before


def test_a_message_that_changes_has_another_key(store: KeyStore) -> None:
    model = clients(["ChatOpenAI"])["ChatOpenAI"].make()
    ask_first(model, {})
    answer = AIMessage("a", tool_calls=[])
    chat = [SystemMessage("s"), HumanMessage("q"), answer, HumanMessage("r")]
    keys = [key_of(model, chat)]
    answer.content = "b"
    keys.append(key_of(model, chat))
    answer.tool_calls.append({"name": "f", "args": {"x": 1}, "id": "1", "type": "tool_call"})
    keys.append(key_of(model, chat))
    answer.tool_calls[0]["args"]["x"] = True
    keys.append(key_of(model, chat))
    answer.id = "an id is not sent"
    assert key_of(model, chat) == keys[-1]
    assert None not in keys
    assert len(set(keys)) == 4
    store.keys.clear()
    ask(model, chat, {})
    assert set(store.keys) == {keys[-1]}


def test_an_object_in_a_message_takes_the_long_way(store: KeyStore) -> None:
    del store
    model = clients(["ChatOpenAI"])["ChatOpenAI"].make()
    ask_first(model, {})
    assert key_of(model, [HumanMessage("q", additional_kwargs={"x": object()})]) is None
    assert key_of(model, [HumanMessage("q", additional_kwargs={"type": "not_implemented"})]) is None

    class Own(HumanMessage):
        pass

    assert key_of(model, [Own(content="q")]) is None


@pytest.mark.parametrize("name", CHATS)
def test_a_miss_whose_key_was_known_is_looked_up_and_kept_like_any_other(name: str, store: KeyStore) -> None:
    """What is looked up, and what an entry keeps of the call: LangChain's texts, and what the key was made of."""
    del store
    cache = cast("NotebookCache", get_llm_cache())
    seen: list[tuple[str, str, Any]] = []
    find = NotebookCache.find

    def noted(self: NotebookCache, prompt: str, llm_string: str, call: Any) -> Any:
        answer = find(self, prompt, llm_string, call)
        seen.append((prompt, llm_string, cache.misses()[-1].call_key))
        return answer

    model = clients([name])[name].make()
    with mock.patch.object(NotebookCache, "find", noted):
        for options in OPTIONS:
            ask_first(model, options)
            for prompt in (*prompts(), *_LATER):
                seen.clear()
                known_keys.forget()
                ask(model, prompt, options)
                with mock.patch.object(NotebookCache, "known_call", return_value=None):
                    ask(model, prompt, options)
                assert len(seen) in {0, 2}
                assert seen[:1] == seen[1:], (prompt, options)


def test_a_known_call_that_has_changed_is_another(store: KeyStore) -> None:
    del store
    model: Any = clients(["ChatOpenAI"])["ChatOpenAI"].make()
    ask_first(model, {})
    messages: list[BaseMessage] = [SystemMessage("s"), HumanMessage("h")]
    request = Request(model, None, {}, messages=messages)
    known = known_call(request)
    assert known is not None
    assert known.is_still(Request(model, None, {}, messages=[SystemMessage("s"), HumanMessage("h", id="x")]))
    assert not known.is_still(Request(model, ["stop"], {}, messages=messages))
    assert not known.is_still(Request(model, None, {"temperature": 1}, messages=messages))
    messages[1].content = "changed"
    assert not known.is_still(request)
    messages[1].content = "h"
    assert known.is_still(request)
    model.temperature = 0.123
    assert not known.is_still(request)
