"""A chat costs what is new in it: a message is converted once, and the request is the same as if all were converted together."""

import copy
import random
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

import langchain_openai.chat_models.base as langchain_openai_base
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI

from nbcache.keys.canonical import canonical
from nbcache.keys.provider_requests import message_parts
from nbcache.keys.provider_requests.message_parts import contents_of
from nbcache.keys.provider_requests.provider_families import converts_by_message, family_of
from nbcache.keys.provider_requests.request_parts import RequestSettings
from tests.keys.provider_requests.test_request_parts import KEY, MODELS

_CALL = {"name": "weather", "args": {"city": "Rome", "days": 1}, "id": "call_1", "type": "tool_call"}
_USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
_PNG = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
_TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", " a ", "é", "\ud800", '{"a": 1}', "nbcache-text-7d1f0c2e", "<think>a</think>b", "1", "null"]),
)
_CONTENTS = st.one_of(
    _TEXTS,
    st.lists(st.one_of(_TEXTS, st.builds(lambda text: {"type": "text", "text": text}, _TEXTS)), max_size=3),
    st.just([{"type": "text", "text": "what is this?"}, _PNG]),
)
_BESIDE: dict[str, Any] = {
    "id": st.sampled_from([None, "run-1", "run-2"]),
    "name": st.sampled_from([None, "ada"]),
    "response_metadata": st.sampled_from([{}, {"id": "resp_1", "model_provider": "openai"}, {"output_version": "v1"}]),
    "additional_kwargs": st.sampled_from([{}, {"x": 2**70}, {"name": "bob"}, {"audio": {"id": "a"}}, {"prefix": True}]),
}
_ANSWERS = st.builds(
    AIMessage,
    content=_CONTENTS,
    tool_calls=st.sampled_from([[], [_CALL], [_CALL, {**_CALL, "id": "call_2", "args": {}}]]),
    usage_metadata=st.sampled_from([None, _USAGE]),
    **_BESIDE,
)
_MESSAGES = st.one_of(
    _ANSWERS,
    st.builds(HumanMessage, content=_CONTENTS, **_BESIDE),
    st.builds(SystemMessage, content=_CONTENTS, **_BESIDE),
    st.builds(ToolMessage, content=_CONTENTS, tool_call_id=st.sampled_from(["call_1", "call_2"]), **_BESIDE),
    st.builds(ChatMessage, content=_TEXTS, role=st.sampled_from(["user", "critic"])),
)


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    message_parts.forget()
    yield
    message_parts.forget()


def settings_of(model: BaseChatModel, **options: Any) -> RequestSettings:
    family = family_of(type(model))
    assert family is not None
    by_message = converts_by_message(type(model))
    return family.settings(model, None, options, is_chat=True, is_complete=True, by_message=by_message)


def together(settings: RequestSettings, model: BaseChatModel, messages: Sequence[BaseMessage]) -> bytes | str:
    try:
        return canonical(settings._build_prompt(model, list(messages), None, {}))
    except Exception as error:  # noqa: BLE001 - a class refuses some messages, each in its own way
        return repr(error)


def part(settings: RequestSettings, model: BaseChatModel, messages: Sequence[BaseMessage]) -> bytes | str:
    try:
        return settings.prompt_part(model, list(messages), None, {})
    except Exception as error:  # noqa: BLE001 - as above
        return repr(error)


SETTINGS = {name: settings_of(model) for name, model in MODELS.items()}
BY_MESSAGE = ["openai", "openai, o1", "azure", "groq", "mistral", "ollama"]


@pytest.mark.parametrize("name", MODELS)
@given(messages=st.lists(_MESSAGES, min_size=5, max_size=9), data=st.data())
def test_a_chat_is_in_the_request_as_its_class_converts_it(
    name: str, messages: list[BaseMessage], data: st.DataObject
) -> None:
    """Also where a message was sent before, is sent again elsewhere, or was changed meanwhile."""
    model, settings = MODELS[name], SETTINGS[name]
    assert part(settings, model, messages) == together(settings, model, messages)
    random.Random(1).shuffle(messages)
    changed = data.draw(st.sampled_from(messages))
    changed.content = data.draw(_CONTENTS)
    changed.additional_kwargs["y"] = data.draw(st.sampled_from([1, True, 1.0]))
    assert part(settings, model, messages) == together(settings, model, messages)


def chat(turns: int) -> list[BaseMessage]:
    messages: list[BaseMessage] = [SystemMessage("Be terse.")]
    for turn in range(turns):
        metadata = {"id": f"resp_{turn}", "token_usage": {"total_tokens": turn}}
        answer = AIMessage(f"answer {turn}", id=f"run-{turn}", response_metadata=metadata, usage_metadata=_USAGE)
        messages += [HumanMessage(f"question {turn}"), answer]
    return messages


@pytest.mark.parametrize("name", BY_MESSAGE)
def test_each_message_of_a_growing_chat_is_converted_once(name: str) -> None:
    model, settings, messages = MODELS[name], SETTINGS[name], chat(20)
    built: list[int] = []
    build = RequestSettings._build_prompt

    def counted(self: RequestSettings, model: Any, prompt: Any, *args: Any) -> Any:
        built.append(len(prompt))
        return build(self, model, prompt, *args)

    with mock.patch.object(RequestSettings, "_build_prompt", counted):
        part(settings, model, messages[:9])
        built.clear()
        for length in range(11, len(messages), 2):
            part(settings, model, messages[:length])
            assert len(built) <= 1, "more was converted than the answer before the new question, which is a text"
            assert set(built) <= {1}
            built.clear()
        again = [message.model_copy(update={"id": "another"}) for message in copy.deepcopy(messages[:19])]
        assert part(settings, model, again) == together(settings, model, again)
        assert built == [19], "a chat that is run again, whose answers have new ids, was converted anew"


def test_langchain_openai_does_not_look_at_each_character_of_an_answer() -> None:
    model, settings = MODELS["openai"], SETTINGS["openai"]
    part(settings, model, chat(3))
    texts: list[str] = []
    convert = langchain_openai_base._convert_message_to_dict

    def noted(message: BaseMessage, *args: Any, **kwargs: Any) -> Any:
        texts.append(str(message.content))
        return convert(message, *args, **kwargs)

    long = [HumanMessage("q"), AIMessage("an answer " * 1_000, response_metadata={"id": "new"}), HumanMessage("r")]
    with mock.patch.object(langchain_openai_base, "_convert_message_to_dict", noted):
        written = part(settings, model, long)
    assert max(map(len, texts)) < 100
    assert written == together(settings, model, long)


def test_one_is_not_taken_for_true() -> None:
    model, settings = MODELS["openai"], SETTINGS["openai"]
    messages = chat(3)
    answer = messages[2]
    assert isinstance(answer, AIMessage)
    answer.tool_calls.append({"name": "f", "args": {"x": 1}, "id": "call_1", "type": "tool_call"})
    first = part(settings, model, messages)
    answer.tool_calls[0]["args"]["x"] = True
    assert part(settings, model, messages) == together(settings, model, messages) != first


def test_a_class_that_joins_messages_is_asked_for_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release of a provider's package that begins to do so is found out before anything is put together."""
    model = ChatOpenAI(model="gpt-4o", api_key=KEY)
    payload = ChatOpenAI._get_request_payload

    def joining(self: Any, messages: Any, **kwargs: Any) -> Any:
        request = payload(self, messages, **kwargs)
        joined: list[Any] = []
        for message in request["messages"]:
            if joined and joined[-1]["role"] == message["role"] == "user":
                joined[-1] = {**message, "content": f"{joined[-1]['content']}\n{message['content']}"}
            else:
                joined.append(message)
        return {**request, "messages": joined}

    monkeypatch.setattr(ChatOpenAI, "_get_request_payload", joining)
    settings = settings_of(model)
    messages = [*chat(2), HumanMessage("a"), HumanMessage("b")]
    written = part(settings, model, messages)
    assert written == together(settings, model, messages)
    assert isinstance(written, bytes)
    assert b'"a\\nb"' in written


def test_what_is_remembered_of_messages_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_parts, "_MOST", 10)
    monkeypatch.setattr(message_parts, "_LONGEST", 1_000)
    model, settings, messages = MODELS["openai"], SETTINGS["openai"], chat(50)
    messages[2].content = "long " * 1_000
    assert part(settings, model, messages) == together(settings, model, messages)
    assert len(message_parts._converted) == 10
    assert max(len(content) for _, content in message_parts._converted) <= 1_000


def test_a_message_that_holds_an_object_or_is_of_a_users_class_has_no_content() -> None:
    class Own(HumanMessage):
        pass

    assert contents_of([HumanMessage("q", additional_kwargs={"x": object()})]) is None
    assert contents_of([Own(content="q")]) is None
    assert contents_of([HumanMessage("q", id="1")]) == contents_of([HumanMessage("q", id="2")])
    assert contents_of([HumanMessage("q")]) != contents_of([SystemMessage("q")])
