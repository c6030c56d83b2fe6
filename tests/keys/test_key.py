"""The key of a call: equal for what must get the same answer, other for everything else."""

import functools
import json
import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal, TypedDict

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_anthropic import ChatAnthropic
from langchain_core.callbacks import StdOutCallbackHandler
from langchain_core.language_models import BaseChatModel, FakeListChatModel, FakeListLLM, FakeMessagesListChatModel
from langchain_core.language_models.llms import LLM
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_ollama import ChatOllama, OllamaLLM
from langchain_openai import AzureChatOpenAI, ChatOpenAI, OpenAI
from pydantic import BaseModel, Field, PrivateAttr, SecretStr, create_model

import nbcache
from nbcache.cache.call import Call
from nbcache.errors import UnstableIdentityError
from nbcache.keys import identity_cache
from nbcache.keys.canonical import NotCanonicalError, canonical
from nbcache.keys.digests import KEY_LENGTH
from nbcache.keys.ignored.langchain_parameters import ignore_also
from nbcache.keys.key import cache_key, call_key
from nbcache.keys.model_fields import call_counters
from tests.compat import CHAT, KEYS, City, keys_asked
from tests.servers.provider import Provider
from tests.support.naming import shown
from tests.support.paths import ROOT

OPENAI = '[("_type", "openai-chat"), ("model_name", "gpt-4o"), ("stop", None)]'.replace('"', "'")
SERIALISED = (
    '{"id": ["langchain", "chat_models", "openai", "ChatOpenAI"], "kwargs": {%s}, "lc": 1}---[(\'stop\', None)]'
)


@pytest.fixture(autouse=True)
def nothing_learned() -> Iterator[None]:
    """What a test teaches the process about counters, and settings of it, end with the test."""
    yield
    ignore_also(())
    call_counters._counters.clear()
    identity_cache.forget()


def key(model: Any, prompt: Any = "What is a monad?", /, **options: Any) -> str:
    """The key under which LangChain looks this call up, with the cache on."""
    (found,) = keys_asked(lambda: model.invoke(prompt, **options))
    return found


def chat_openai(**settings: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": "gpt-4o", "api_key": "sk-test", **settings})


def in_notebook(source: str, **names: Any) -> Any:
    """What a cell of a notebook defines under the name `Defined`."""
    namespace = {"__name__": "__main__", **names}
    exec(source, namespace)
    return namespace["Defined"]


# Golden


@pytest.mark.parametrize("told", json.loads(KEYS.read_text())["strings"], ids=lambda told: told["what"])
def test_golden_keys_of_strings_hold(told: dict[str, str]) -> None:
    assert cache_key(told["prompt"], told["llm_string"]) == told["key"]


def test_a_key_is_forty_hexadecimal_digits() -> None:
    found = cache_key("hi", OPENAI)
    assert len(found) == KEY_LENGTH == 40
    assert int(found, 16) >= 0
    assert nbcache.cache_key("hi", OPENAI) == found


def test_what_the_key_was_made_of_is_told() -> None:
    model = chat_openai(temperature=0.5, base_url="http://localhost:1/v1")
    told = call_key(dumps([HumanMessage("hi")]), "x", Call(model))
    # a string of neither form is kept, so that nothing is lost
    assert json.loads(told.identity)["request"] == {"model": "gpt-4o", "temperature": 0.5}
    assert (told.model, told.endpoint, told.limits_tokens) == ("gpt-4o", "http://localhost:1/v1", False)


@pytest.mark.parametrize("option", [{"max_tokens": 5}, {"max_completion_tokens": 5}])
def test_a_token_limit_is_noticed_where_it_is_set(option: dict[str, int]) -> None:
    assert call_key("hi", "x", Call(chat_openai(), options=option)).limits_tokens
    assert call_key("hi", "x", Call(chat_openai(**option))).limits_tokens
    assert call_key("hi", SERIALISED % '"model_name": "m", "max_tokens": 5').limits_tokens
    assert not call_key("hi", SERIALISED % '"model_name": "m", "max_tokens": null').limits_tokens


# The prompt


def chat_of_three(usage: dict[str, Any] | None, answer_id: str, metadata: dict[str, Any]) -> list[BaseMessage]:
    def said(text: str) -> AIMessage:
        message = AIMessage(text, id=answer_id, response_metadata=metadata)
        message.usage_metadata = usage  # type: ignore[assignment]  # as LangChain leaves it after a hit
        return message

    return [
        SystemMessage("Be terse."),
        *(HumanMessage("one"), said("1"), HumanMessage("two"), said("2"), HumanMessage("three", id="h-3")),
    ]


USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}


@pytest.mark.parametrize(
    ("usage", "metadata"),
    [
        ({**USAGE, "total_cost": 0}, {"id": "chatcmpl-1"}),
        ({"total_cost": 0}, {"id": "chatcmpl-1"}),
        (None, {"id": "chatcmpl-1"}),
        (USAGE, {"id": "chatcmpl-2", "system_fingerprint": "fp"}),
        (USAGE, {}),
    ],
)
def test_rerun_of_a_chat_asks_for_the_same_key(usage: dict[str, Any] | None, metadata: dict[str, Any]) -> None:
    first = chat_of_three(USAGE, "run-1", {"id": "chatcmpl-1"})
    again = chat_of_three(usage, "run-2", metadata)
    assert key(chat_openai(), first) == key(chat_openai(), again)
    serialised = SERIALISED % '"model_name": "gpt-4o"'
    assert cache_key(dumps(first), serialised) == cache_key(dumps(again), serialised)


def test_without_instrumentation_what_langchain_adds_to_a_hit_does_not_split_the_key() -> None:
    first = chat_of_three(USAGE, "run-1", {"id": "chatcmpl-1"})
    again = chat_of_three({**USAGE, "total_cost": 0}, "run-1", {"id": "chatcmpl-1"})
    assert cache_key(dumps(first), OPENAI) == cache_key(dumps(again), OPENAI)
    # but the string may be a completion model's prompt that only looks like messages: the rest of it counts
    other = chat_of_three(USAGE, "run-1", {"id": "chatcmpl-2"})
    assert cache_key(dumps(first), OPENAI) != cache_key(dumps(other), OPENAI)


def test_a_model_that_refers_to_earlier_answers_by_their_id_gets_another_key_for_another_id() -> None:
    one = chat_of_three(USAGE, "run-1", {"id": "resp_1"})
    two = chat_of_three(USAGE, "run-1", {"id": "resp_2"})
    refers = chat_openai(use_previous_response_id=True)
    assert key(refers, one) != key(refers, two)
    assert key(refers, one) == key(refers, chat_of_three({**USAGE, "total_cost": 0}, "run-9", {"id": "resp_1"}))
    serialised = SERIALISED % '"model_name": "gpt-4o", "use_previous_response_id": true'
    assert cache_key(dumps(one), serialised) != cache_key(dumps(two), serialised)


def test_what_a_client_reads_of_an_answers_metadata_counts() -> None:
    """ChatAnthropic sends reasoning back only to its own provider, and goes on in the container of before."""

    def asked(**metadata: Any) -> list[BaseMessage]:
        return [HumanMessage("a"), AIMessage("b", response_metadata={"id": "1", **metadata}), HumanMessage("c")]

    model = ChatAnthropic(model="claude-test", api_key=SecretStr("x"))
    assert key(model, asked(container={"id": "c1"})) == key(model, asked())
    going_on = ChatAnthropic(model="claude-test", api_key=SecretStr("x"), reuse_last_container=True)
    assert key(going_on, asked(container={"id": "c1"})) != key(going_on, asked())
    assert key(going_on, asked(container={"id": "c1"})) != key(going_on, asked(container={"id": "c2"}))
    responses = chat_openai(use_responses_api=True, use_previous_response_id=True)
    assert key(responses, asked(id="resp_1")) != key(responses, asked(id="resp_2"))


def test_an_object_in_a_prompt_is_refused() -> None:
    message = HumanMessage([{"type": "image", "data": Opaque()}])
    with pytest.raises(UnstableIdentityError, match="Opaque"):
        key(chat_openai(), [message])


@pytest.mark.parametrize(
    "other",
    [
        [SystemMessage("You are verbose."), *CHAT[1:]],
        CHAT[:-1],
        [*CHAT, HumanMessage("?")],
        [CHAT[0], AIMessage(str(CHAT[1].content)), *CHAT[2:]],
        [
            *CHAT[:2],
            AIMessage("", tool_calls=[{"name": "weather", "args": {"city": "Ulm"}, "id": "call_1"}]),
            *CHAT[3:],
        ],
        [*CHAT[:3], ToolMessage("sunny", tool_call_id="call_2"), *CHAT[4:]],
        [*CHAT[:4], HumanMessage([{"type": "text", "text": "And in Köln? ☀"}])],
        [*CHAT[:4], HumanMessage(CHAT[4].content, name="Ann")],
    ],
)
def test_what_is_sent_of_a_message_counts(other: list[BaseMessage]) -> None:
    assert key(chat_openai(), other) != key(chat_openai(), CHAT)


def test_a_prompt_that_looks_like_messages_is_text_to_a_completion_model() -> None:
    one, two = (dumps([HumanMessage("hi", id=name)]) for name in ("a", "b"))
    model = OpenAI(model="m", api_key=SecretStr("sk"))
    assert key(model, one) != key(model, two)
    assert key(chat_openai(), [HumanMessage("hi", id="a")]) == key(chat_openai(), [HumanMessage("hi", id="b")])
    assert key(model, one) != key(model, one + " ")


@pytest.mark.parametrize(
    "prompt",
    [
        '[{"lc": 1',
        '[{"lc": 1}]',
        '[{"lc": 1}, 2]',
        '[{"lc": 1, "id": 3, "kwargs": 4}]',
        '[{"lc":' * 3,
        "",
        "[]",
        "\x00",
    ],
)
def test_a_text_that_is_no_chat_has_a_key_of_its_own(prompt: str) -> None:
    assert cache_key(prompt, OPENAI) == cache_key(prompt, OPENAI)
    assert cache_key(prompt, OPENAI) != cache_key(prompt + " ", OPENAI)


BIG = 12345678901234567890123


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (BIG, BIG + 1),
        (2**64, 2**64 + 1),
        (float("nan"), None),
        (float("inf"), float("-inf")),
        ("\ud83d", "\ud83e"),
        ("\ud83d", "?"),
        (1, 1.5),
        (1, "1"),
        (True, 1),
    ],
    ids=repr,
)
def test_unusual_arguments_of_a_tool_call_are_told_apart(one: object, two: object) -> None:
    def asked(value: object, message_id: str) -> list[BaseMessage]:
        call = {"name": "f", "args": {"x": value}, "id": "c"}
        return [HumanMessage("hi"), AIMessage("", id=message_id, tool_calls=[call])]

    assert key(chat_openai(), asked(one, "a")) != key(chat_openai(), asked(two, "a"))
    assert key(chat_openai(), asked(one, "a")) == key(chat_openai(), asked(one, "b"))


def test_a_message_id_of_many_digits_does_not_split_the_key() -> None:
    chats = [dumps([HumanMessage("Wie heißt du?", id=name)]) for name in ("8305986882425703351", "a")]
    serialised = SERIALISED % '"model_name": "m"'
    assert len({cache_key(told, serialised) for told in chats}) == 1


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_fields_are_never_run_together(one: tuple[str, str], two: tuple[str, str]) -> None:
    assert (cache_key(*one) == cache_key(*two)) == (one == two)


def test_text_may_not_move_from_the_prompt_to_the_model() -> None:
    assert cache_key("ab", "c") != cache_key("a", "bc")
    assert cache_key("", "abc") != cache_key("abc", "")


# What does not split the key


@pytest.mark.parametrize(
    "settings",
    [
        {"max_retries": 7},
        {"timeout": 3},
        {"request_timeout": httpx.Timeout(3)},
        {"api_key": "sk-another"},
        {"verbose": True},
        {"streaming": True},
        {"stream_usage": True},
        {"disable_streaming": True},
        {"tags": ["a"], "metadata": {"b": 1}, "name": "mine"},
        {"callbacks": [StdOutCallbackHandler()]},
        {"rate_limiter": InMemoryRateLimiter()},
        {
            "default_headers": {
                "Authorization": "Bearer x",
                "X-Api-Key": "y",
                "traceparent": "00-1",
                "X-Request-ID": "z",
            }
        },
        {"default_headers": {"x-stainless-lang": "python", "User-Agent": "me", "X-B3-TraceId": "1"}},
        {"model_kwargs": {"extra_headers": {"traceparent": "00-1"}}},
        {"temperature": None, "n": None, "logit_bias": None},
        {"base_url": "https://API.openai.com:443/v1/"},
        {"openai_proxy": None},
    ],
    ids=shown,
)
def test_what_cannot_change_the_answer_does_not_split_the_key(settings: dict[str, Any]) -> None:
    assert key(chat_openai(**settings)) == key(chat_openai())


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 3},
        {"stream": False},
        {"extra_headers": {"traceparent": "00-1", "Authorization": "x"}},
        {"seed": 1, "temperature": 0.5},
    ],
    ids=str,
)
def test_an_option_that_changes_nothing_may_be_given_to_a_call(options: dict[str, Any]) -> None:
    settings = {name: options.pop(name) for name in ("seed", "temperature") if name in options}
    assert key(chat_openai(**settings), **options) == key(chat_openai(**settings))


def test_ollama_keep_alive_and_credentials_do_not_split_the_key() -> None:
    kept = ChatOllama(model="m", keep_alive="5m", client_kwargs={"headers": {"authorization": "x"}, "timeout": 3})
    assert key(kept) == key(ChatOllama(model="m"))


def test_the_token_limit_that_anthropics_class_fills_in_does_not_count() -> None:
    """It changes with releases of langchain-anthropic."""
    model = ChatAnthropic(model="claude-sonnet-4-5", api_key=SecretStr("x"))
    filled_in = model.max_tokens
    assert filled_in is not None
    assert json.loads(call_key("hi", "x", Call(model)).identity)["request"] == {"model": "claude-sonnet-4-5"}
    limited = ChatAnthropic(model="claude-sonnet-4-5", api_key=SecretStr("x"), max_tokens=filled_in - 1)
    assert key(limited) != key(model)


def test_used_client_has_the_key_of_an_unused_one(provider: Provider) -> None:
    model = ChatAnthropic(model="claude-test", **provider.anthropic)
    before = key(model)
    model.invoke("hi")
    assert key(model) == before == key(ChatAnthropic(model="claude-test", **provider.anthropic))


def test_what_the_user_lists_does_not_split_the_key() -> None:
    assert key(chat_openai(service_tier="flex")) != key(chat_openai())
    ignore_also(["service_tier", "X-Team"])
    identity_cache.forget()
    assert key(chat_openai(service_tier="flex", default_headers={"x-team": "a"})) == key(chat_openai())


# What does


SPLITTING: list[dict[str, Any]] = [
    {},
    {"model": "gpt-4o-mini"},
    {"base_url": "https://eu.api.openai.com/v1"},
    {"base_url": "http://api.openai.com/v1"},
    {"base_url": "https://api.openai.com/v2"},
    {"base_url": "https://api.openai.com:8443/v1"},
    {"temperature": 0},
    {"temperature": 0.7},
    {"seed": 0},
    {"seed": 1},
    {"max_tokens": 5},
    {"top_p": 0.5},
    {"n": 2},
    {"stop": ["a"]},
    {"stop": ["a", "b"]},
    {"logprobs": True},
    {"reasoning_effort": "low"},
    {"reasoning": {"effort": "low"}},
    {"verbosity": "low"},
    {"service_tier": "flex"},
    {"use_responses_api": True},
    {"output_version": "v1"},
    {"organization": "org-1"},
    {"default_headers": {"x-route": "a"}},
    {"default_headers": {"x-route": "b"}},
    {"default_headers": {"openai-beta": "a"}},
    {"default_query": {"version": "1"}},
    {"default_query": {"accept": "1"}},  # a header's name, which says nothing of a query
    {"default_query": {"accept": "2"}},
    {"extra_body": {"foo": 1}},
    {"extra_body": {"foo": 2}},
    {"model_kwargs": {"foo": {"bar": [1]}}},
    {"http_client": httpx.Client(headers={"x-route": "c"})},
]
SAME_REQUEST: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"model_kwargs": {"foo": 1}}, {"extra_body": {"foo": 1}}),
    ({"http_client": httpx.Client(headers={"x-route": "a"})}, {"default_headers": {"x-route": "a"}}),
    ({"disabled_params": {"parallel_tool_calls": None}}, {}),
    ({"extra_body": {"seed": 1}}, {"seed": 1}),
    ({"max_tokens": 5}, {"max_completion_tokens": 5}),
    ({"model_kwargs": {"user": "me", "safety_identifier": "me", "prompt_cache_key": "k"}}, {}),
    ({"extra_body": {"metadata": {"trace": "1"}}}, {}),
]


def test_every_setting_that_may_change_the_answer_splits_the_key() -> None:
    keys = {key(chat_openai(**settings)): settings for settings in SPLITTING}
    assert list(keys.values()) == SPLITTING


@pytest.mark.parametrize(("one", "other"), SAME_REQUEST, ids=", ".join)
def test_settings_that_send_the_same_request_share_a_key(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert key(chat_openai(**one)) == key(chat_openai(**other))


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"stop": ["a"]},
    {"stop": []},
    {"temperature": 0.5},
    {"temperature": 0},
    {"max_tokens": 3},
    {"model": "gpt-4o-mini"},
    {"tools": [TOOL]},
    {"tools": [TOOL], "tool_choice": "required"},
    {"tools": [TOOL, TOOL]},
    {"tools": [{**TOOL, "function": {**TOOL["function"], "description": "edited"}}]},  # type: ignore[dict-item]
    {"response_format": {"type": "json_object"}},
    {"extra_headers": {"x-route": "a"}},
    {"extra_headers": {"x-route": "b"}},
    {"extra_body": {"foo": 1}},
    {"an_option_of_tomorrow": 1},
    {"an_option_of_tomorrow": 2},
    {"an_option_of_tomorrow": {"a": b"bytes"}},
    {"an_option_of_tomorrow": {1, 2}},
]


def test_every_option_of_a_call_that_may_change_the_answer_splits_the_key() -> None:
    keys = {key(chat_openai(), **options): options for options in OPTIONS}
    assert list(keys.values()) == OPTIONS


def test_an_option_that_switches_a_setting_off_splits_the_key() -> None:
    assert key(chat_openai(temperature=0.5), temperature=None) != key(chat_openai(temperature=0.5))


def test_batch_and_bind_and_async_ask_for_the_key_of_invoke() -> None:
    model = chat_openai(seed=3)
    once = key(model, "a", stop=["."])
    assert keys_asked(lambda: model.batch(["a", "a"], stop=["."])) == [once, once]
    assert key(model.bind(stop=["."]), "a") == once
    assert key(chat_openai(seed=3, timeout=9).with_retry().bind(stop=["."]), "a") == once


def test_values_that_are_secret_are_not_in_the_identity() -> None:
    model = chat_openai(
        api_key="TOPSECRET",
        base_url="http://user:TOPSECRET@localhost/v1",
        default_headers={"x-route": "TOPSECRET", "authorization": "TOPSECRET"},
        http_client=httpx.Client(headers={"x-route": "TOPSECRET"}),
    )
    told = call_key(
        "hi", "x", Call(model, options={"extra_headers": {"x-a": "TOPSECRET"}, "key": SecretStr("TOPSECRET")})
    )
    assert "TOPSECRET" not in told.identity.decode() + told.endpoint
    ollama = ChatOllama(model="m", client_kwargs={"headers": {"x-route": "TOPSECRET"}})
    assert "TOPSECRET" not in call_key("hi", "x", Call(ollama)).identity.decode()


@pytest.mark.parametrize(
    "model",
    [
        functools.partial(chat_openai, openai_proxy="http://user:TOPSECRET@proxy"),
        functools.partial(chat_openai, default_query={"api_key": "TOPSECRET"}),
        functools.partial(ChatOllama, model="m", client_kwargs={"cookies": {"session": "TOPSECRET"}}),
    ],
    ids=["proxy", "query", "cookies"],
)
def test_credentials_given_to_a_client_are_not_in_the_identity(model: Callable[[], Any]) -> None:
    told = call_key("hi", "x", Call(model()))
    assert "TOPSECRET" not in told.identity.decode() + told.endpoint


# Classes and functions among the options


def test_a_class_counts_by_its_schema() -> None:
    def city(**fields: Any) -> type[BaseModel]:
        return create_model("City", __module__="__main__", **fields)

    model = chat_openai()
    one = key(model, response_format=city(name=(str, ...)))
    assert one == key(model, response_format=city(name=(str, ...)))  # the cell was run again
    others = [
        city(name=(str, ...), country=(str, "")),
        city(name=(int, ...)),
        city(name=(str, Field(description="in German"))),
        create_model("Town", __module__="__main__", name=(str, ...)),
    ]
    assert len({one, *(key(model, response_format=other) for other in others)}) == 5


def test_structured_output_of_an_edited_class_is_another_call() -> None:
    cell = "from pydantic import BaseModel\nclass Defined(BaseModel):\n    name: str\n"
    model = chat_openai()

    def asked(source: str, method: Literal["json_schema", "function_calling"]) -> str:
        return key(model.with_structured_output(in_notebook(source), method=method, include_raw=True))

    for method in ("json_schema", "function_calling"):
        once = asked(cell, method)
        assert asked(cell, method) == once
        assert asked(cell + "    country: str\n", method) != once


def test_a_typed_dict_and_a_nested_class_count_by_their_schema() -> None:
    class Old(TypedDict):
        a: int

    class Inner(BaseModel):
        a: int

    def outer(inner: type) -> type[BaseModel]:
        return create_model("Outer", inner=(inner, ...))

    options: list[Any] = [
        Old,
        Inner,
        outer(Inner),
        outer(create_model("Inner", b=(int, ...))),
        list[Inner],
        dict[str, int],
    ]
    assert len({key(chat_openai(), response_format=option) for option in options}) == len(options)


def test_a_function_counts_by_its_code() -> None:
    def function(source: str, **names: Any) -> Any:
        return in_notebook(source, **names)

    model = chat_openai()
    one = key(model, hook=function("def Defined(x): return x + 1"))
    assert one == key(model, hook=function("# moved\n\n\ndef Defined(x):\n    return x + 1  # commented"))
    others = [
        "def Defined(x): return x + 2",
        "def Defined(x): return x - 1",
        "def Defined(y): return y + 1",
        "def Defined(x=1): return x + 1",
        "def Defined(x: int): return x + 1",
        "def Defined(*, x): return x + 1",
        "def Defined(*, y): return y + 1",
        "def make(n):\n    def Defined(x): return x + n\n    return Defined\nDefined = make(1)",
        "def make(n):\n    def Defined(x): return x + n\n    return Defined\nDefined = make(2)",
        "Defined = lambda x: x + 1",
    ]
    assert len({one, *(key(model, hook=function(source)) for source in others)}) == 1 + len(others)


def test_builtins_and_partials_count_by_what_they_are() -> None:
    options = [len, sum, functools.partial(round, ndigits=1), functools.partial(round, ndigits=2), int, str]
    assert len({key(chat_openai(), hook=option) for option in options}) == len(options)


@pytest.mark.slow
def test_keys_are_the_same_in_another_process() -> None:
    script = "from tests.keys.test_key import chat_openai, key, odd_options; print(key(chat_openai(), **odd_options()))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**environment, "PYTHONHASHSEED": "1"},  # here it is another
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == key(chat_openai(), **odd_options())


def odd_options() -> dict[str, Any]:
    """Options that a process may well show in an order, or at an address, of its own."""

    def hook(word: str) -> bool:
        return word in {"a", "b", "c", "d"}

    return {
        "bias": {"b", "a", "c", "d"},
        "hook": hook,
        "schema": City,
        "known": frozenset({("x", 1), ("y", 2)}),
        "bytes": b"\xff",
        "message": HumanMessage("hi", id="1"),
    }


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_plain_values_have_a_canonical_form(value: Any) -> None:
    assert json.loads(canonical({"value": value})) == {"value": value}


# An object that can't be told from another


class Opaque:
    """A thing with an address and nothing else."""


@pytest.mark.parametrize("holder", [lambda thing: thing, lambda thing: [thing], lambda thing: {"deep": (thing,)}])
def test_an_object_known_only_by_its_address_is_refused_and_the_parameter_named(
    holder: Callable[[object], object],
) -> None:
    with pytest.raises(UnstableIdentityError, match=r"'my_option'.*Opaque") as refused:
        key(chat_openai(), my_option=holder(Opaque()), another=1)
    assert "my_option" in refused.value.cause
    with pytest.raises(UnstableIdentityError, match="'model_kwargs'"):
        key(chat_openai(model_kwargs={"deep": holder(Opaque())}))


def test_an_object_known_only_by_its_address_has_no_canonical_form() -> None:
    loop: list[Any] = []
    loop.append(loop)
    for value in (Opaque(), iter([1]), loop, threading_lock()):
        with pytest.raises(NotCanonicalError):
            canonical({"value": value})


def threading_lock() -> object:
    import threading

    return threading.Lock()


# Where the calls go


def test_base_url_from_the_environment_splits_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = key(chat_openai())
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:8000/v1")
    assert key(chat_openai()) != usual
    assert key(chat_openai()) == key(chat_openai(base_url="http://localhost:8000/v1"))
    monkeypatch.delenv("OPENAI_BASE_URL")
    monkeypatch.setenv("OPENAI_API_BASE", "http://localhost:8000/v1")
    assert key(chat_openai()) == key(chat_openai(base_url="http://localhost:8000/v1/"))


def test_ollama_host_from_the_environment_splits_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = key(ChatOllama(model="m"))
    monkeypatch.setenv("OLLAMA_HOST", "http://gpu:11434")
    assert key(ChatOllama(model="m")) != usual
    assert key(ChatOllama(model="m")) == key(ChatOllama(model="m", base_url="http://gpu:11434"))


def test_anthropic_base_url_from_the_environment_splits_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def model(**settings: Any) -> ChatAnthropic:
        return ChatAnthropic(model="claude-sonnet-4-5", api_key=SecretStr("x"), **settings)

    usual = key(model())
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://localhost:9")
    assert key(model()) == key(model(base_url="http://localhost:9")) != usual


def test_azure_deployment_endpoint_and_version_split_the_key() -> None:
    def asked(**settings: str) -> str:
        usual = {"azure_endpoint": "https://a", "azure_deployment": "d", "api_version": "1", "api_key": "k"}
        return key(AzureChatOpenAI(**(usual | settings)))

    assert asked() == asked(api_key="other")
    others = [{"azure_endpoint": "https://b"}, {"azure_deployment": "e"}, {"api_version": "2"}]
    assert len({asked(), *(asked(**other) for other in others)}) == 4


# What llm_string does not tell


@pytest.mark.parametrize("model_class", [ChatOllama, OllamaLLM])
def test_two_ollama_models_never_share_an_answer(model_class: Any) -> None:
    assert key(model_class(model="llama3")) != key(model_class(model="qwen3"))
    assert key(model_class(model="llama3")) == key(model_class(model="llama3"))
    assert key(model_class(model="llama3", temperature=0.1)) != key(model_class(model="llama3"))


@pytest.mark.parametrize("model_class", [ChatOllama, OllamaLLM])
def test_ollama_is_refused_where_only_its_string_is_known(model_class: Any) -> None:
    strings: list[str] = []

    class Told(nbcache.NotebookCache):
        def lookup(self, prompt: str, llm_string: str) -> Any:
            strings.append(llm_string)
            return [ChatGeneration(message=AIMessage("x"))]

    for options in ({}, {"stop": ["a"]}):
        model_class(model="llama3", cache=Told("memory://")).invoke("hi", **options)
    for told in strings:
        with pytest.raises(UnstableIdentityError, match="install"):
            cache_key("hi", told)


def test_a_setting_changed_after_the_first_use_splits_the_key_and_back_again() -> None:
    model = chat_openai(temperature=0.5)
    before = key(model)
    model.temperature = 0.9
    changed = key(model)
    assert changed == key(chat_openai(temperature=0.9)) != before
    model.temperature = 0.5
    assert key(model) == before


def test_model_kwargs_edited_in_place_split_the_key() -> None:
    for model in (chat_openai(), chat_openai(model_kwargs={"foo": 1}), chat_openai(extra_body={"deep": {"a": 1}})):
        before = key(model)
        assert key(model) == before
        (model.extra_body["deep"] if isinstance(model.extra_body, dict) else model.model_kwargs)["bar"] = 2
        assert key(model) != before


def test_headers_of_an_http_client_edited_in_place_split_the_key() -> None:
    client = httpx.Client(headers={"x-route": "a"})
    model = chat_openai(http_client=client)
    before = key(model)
    client.headers["x-route"] = "b"
    assert key(model) != before


def test_another_model_at_the_same_address_is_another_model() -> None:
    """Objects die and their addresses are used again."""
    keys = set()
    for seed in range(20):
        keys.add(key(chat_openai(seed=seed)))
    assert len(keys) == 20


@pytest.mark.parametrize("options", [{"temperature": 0.1}, {"suffix": "!"}, {"stop": ["a"]}, {"model": "other"}])
def test_options_of_one_call_split_the_key_of_completion_models(options: dict[str, Any]) -> None:
    model = OpenAI(model="m", api_key=SecretStr("sk"))
    assert key(model, **options) != key(model)
    fake = FakeListLLM(responses=["a"])
    assert key(fake, **options) != key(fake)


# Models that people write themselves


class Silent(BaseChatModel):
    """Tells nothing about itself, as many a class in a tutorial."""

    _secretly: str = PrivateAttr("x")

    @property
    def _llm_type(self) -> str:
        return "silent"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("x"))])


class SilentLLM(LLM):
    """The same as a completion model."""

    @property
    def _llm_type(self) -> str:
        return "silent-llm"

    def _call(self, prompt: str, *args: Any, **kwargs: Any) -> str:
        return "x"


class Telling(Silent):
    """Tells what its answers depend on, though no field does."""

    calls: ClassVar[list[str]] = []

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"path": self._secretly}


@pytest.mark.parametrize("model", [Silent(), SilentLLM()], ids=lambda model: type(model).__name__)
def test_a_model_that_tells_nothing_is_refused_and_the_remedy_named(model: Any) -> None:
    with pytest.raises(UnstableIdentityError, match="_identifying_params") as refused:
        key(model)
    assert type(model).__name__ in str(refused.value)
    with pytest.raises(UnstableIdentityError):
        key(model, stop=["a"])


def test_what_a_class_tells_counts_even_if_no_field_holds_it() -> None:
    one, two = Telling(), Telling()
    two._secretly = "y"
    assert key(one) != key(two)
    assert key(one) == key(Telling())


def test_a_setting_is_not_taken_for_a_credential_by_the_look_of_its_type() -> None:
    class Acting(Silent):
        role: Literal["Secret agent", "Poet"] | None = None
        password: SecretStr | None = None

    assert key(Acting(role="Secret agent")) != key(Acting(role="Poet"))
    assert key(Acting(role="Secret agent", password=SecretStr("a"))) == key(Acting(role="Secret agent"))


def test_a_model_that_is_given_an_object_is_refused() -> None:
    class Holding(Silent):
        client: Any = None
        engine: Any = None

    with pytest.raises(UnstableIdentityError, match="'client'"):
        key(Holding(client=Opaque(), engine="a"))
    with pytest.raises(UnstableIdentityError, match="'engine'"):
        key(Holding(engine=Opaque()))


def test_a_model_that_tells_an_object_by_its_address_is_refused() -> None:
    class Addressed(Silent):
        @property
        def _identifying_params(self) -> dict[str, Any]:
            return {"engine": Opaque(), "model": "m"}

    with pytest.raises(UnstableIdentityError, match="'engine'"):
        key(Addressed())


CELL = """
from functools import cached_property
from langchain_core.language_models.llms import LLM
from typing import ClassVar
MARK = "!"
def marked(word): return word + MARK
class Defined(LLM):
    style: str = "plain"
    words: ClassVar[list[str]] = ["a"]
    model_words: ClassVar[list[str]] = ["x"]
    @cached_property
    def manner(self): return "polite"
    @property
    def _llm_type(self): return "mine"
    @property
    def _identifying_params(self): return {"style": self.style}
    def _call(self, prompt, stop=None, run_manager=None, prefix="> ", **kwargs):
        return marked(prefix + prompt.upper())
"""


def test_a_model_class_written_in_the_notebook_counts_by_its_code() -> None:
    once = key(in_notebook(CELL)())
    assert key(in_notebook("# run again\n" + CELL)()) == once
    for old, new in (
        ("prompt.upper()", "prompt.lower()"),
        ('"plain"', '"fancy"'),
        ("prefix + prompt", '"- " + prompt'),
    ):
        assert key(in_notebook(CELL.replace(old, new))()) != once, new


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('prefix="> "', 'prefix="* "'),
        ('["a"]', '["b"]'),
        ('["x"]', '["y"]'),
        ('return "polite"', 'return "rude"'),
        ('MARK = "!"', 'MARK = "?"'),
        ("word + MARK", "MARK + word"),
    ],
)
def test_defaults_and_constants_of_a_class_written_in_the_notebook_count(old: str, new: str) -> None:
    assert key(in_notebook(CELL.replace(old, new))()) != key(in_notebook(CELL)())


def test_the_counter_of_a_fake_model_does_not_split_the_key() -> None:
    nbcache.install("memory://")
    for model in (
        FakeListChatModel(responses=["a", "b", "c"]),
        FakeMessagesListChatModel(responses=[AIMessage("a")] * 3),
    ):
        first = model.invoke("hi")
        model.invoke("another")
        again = model.invoke("hi")
        assert again.content == first.content
        assert (info := nbcache.info(again)) is not None
        assert info.hit


def test_responses_of_a_fake_model_count() -> None:
    assert key(FakeListChatModel(responses=["a"])) != key(FakeListChatModel(responses=["b"]))


def test_a_setting_that_grew_while_the_model_answered_is_no_counter() -> None:
    """Another thread or cell may well raise `num_ctx` meanwhile: that must never make it stop counting."""
    model = ChatOllama(model="llama3", num_ctx=2048, seed=1)
    before = key(model)
    numbers = call_counters.whole_numbers(model)
    model.num_ctx, model.seed = 4096, 2
    call_counters.learn_counters(model, numbers)
    assert key(model) != before
    assert key(ChatOllama(model="llama3", seed=1)) != key(ChatOllama(model="llama3", seed=2))

    class Seeded(Silent):
        seed: int = 0

    mine = Seeded(seed=1)
    numbers = call_counters.whole_numbers(mine)
    mine.seed = 2
    call_counters.learn_counters(mine, numbers)
    assert key(Seeded(seed=1)) != key(Seeded(seed=2))


# Without instrumentation


@pytest.mark.parametrize(
    "llm_string",
    [
        "[('_type', 'chat-ollama'), ('stop', None)]",
        "[('_type', 'ollama-llm'), ('stop', ['a'])]",
        "[('_type', 'chat-ollama'), ('format', 'json'), ('stop', None)]",
        "[('_type', 'anything'), ('stop', None)]",
        "[('_type', 'x'), ('engine', <__main__.Engine object at 0x7f12e4>), ('model', 'm'), ('stop', None)]",
        "[('_type', 'x'), ('model', 'm'), ('response_format', <class '__main__.City'>), ('stop', None)]",
        SERIALISED.replace("('stop', None)", "('response_format', <class '__main__.City'>)") % '"model_name": "m"',
        SERIALISED % '"engine": {"lc": 1, "type": "not_implemented", "id": ["Engine"], "repr": "<Engine>"}',
        "any text with <Engine object at 0x7f12e4> in it",
    ],
)
def test_a_string_that_is_known_to_hide_something_is_refused(llm_string: str) -> None:
    with pytest.raises(UnstableIdentityError, match="install"):
        cache_key("hi", llm_string)


@pytest.mark.parametrize("llm_string", ["model-a", "", "[]", "{}", "[('model', 'x')]", "{not json", "é\ud800"])
def test_any_other_string_is_taken_at_its_word(llm_string: str) -> None:
    assert cache_key("hi", llm_string) == cache_key("hi", llm_string)
    assert cache_key("hi", llm_string) != cache_key("hi", llm_string + "x")


def test_strings_split_and_do_not_split_as_models_do() -> None:
    one = cache_key("hi", SERIALISED % '"model_name": "m", "temperature": 0.5')
    assert one == cache_key("hi", SERIALISED % '"model_name": "m", "temperature": 0.5, "output_version": null')
    assert one == cache_key("hi", SERIALISED % '"model_name": "m", "temperature": 0.5, "max_retries": 9')
    token = '"hub_token": {"lc": 1, "type": "secret", "id": ["HUB_TOKEN"]}'
    assert one == cache_key("hi", SERIALISED % f'"model_name": "m", "temperature": 0.5, {token}')
    secret = '"openai_api_key": {"lc": 1, "type": "secret", "id": ["OPENAI_API_KEY"]}'
    assert one == cache_key("hi", SERIALISED % f'"model_name": "m", "temperature": 0.5, {secret}')
    assert one != cache_key("hi", SERIALISED % '"model_name": "m", "temperature": 0.6')
    assert one != cache_key("hi", SERIALISED % '"model_name": "n", "temperature": 0.5')
    assert one != cache_key("hi", SERIALISED % '"model_name": "m", "temperature": 0.5, "base_url": "http://x"')


def test_a_module_is_no_setting() -> None:
    with pytest.raises(UnstableIdentityError, match="'option'"):
        key(chat_openai(), option=types)
