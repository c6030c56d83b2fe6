"""What of a request's headers and body counts: the same for LangChain's calls and an SDK's, each with its real client."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI

import nbcache
from nbcache.keys import identity
from nbcache.keys.ignored.langchain_parameters import ignore_also
from tests.servers.provider import Provider

pytestmark = pytest.mark.usefixtures("store")
Send = Callable[..., None]
MESSAGES: Any = [{"role": "user", "content": "What is a monad?"}]


@pytest.fixture(autouse=True)
def nothing_ignored_besides() -> Iterator[None]:
    yield
    ignore_also(())
    identity.forget()


def by_langchain(provider: Provider, body: Any = None, headers: Any = None) -> None:
    """A call of ChatOpenAI, made anew, with these fields in its body."""
    ChatOpenAI(model="m", **provider.openai, default_headers=headers, extra_body=body).invoke("What is a monad?")


def by_sdk(provider: Provider, body: Any = None, headers: Any = None) -> None:
    """The same by OpenAI's SDK."""
    client = nbcache.wrap(openai.OpenAI(**provider.openai, default_headers=headers))
    client.chat.completions.create(model="m", messages=MESSAGES, extra_body=body)


SENDERS = pytest.mark.parametrize("send", [by_langchain, by_sdk])


def paid(provider: Provider, *calls: Callable[[], None]) -> int:
    """How many of these calls make a request."""
    before = len(provider.requests)
    for call in calls:
        call()
    return len(provider.requests) - before


# Headers

TRACING = [
    *(
        "traceparent",
        "tracestate",
        "baggage",
        "X-B3-TraceId",
        "b3",
        "uber-trace-id",
        "sentry-trace",
        "X-Datadog-Trace-Id",
    ),
    *("X-Request-ID", "X-Correlation-ID", "Idempotency-Key", "langsmith-trace", "Langsmith-Metadata"),
    *("Helicone-Session-Id", "Helicone-Session-Path", "Helicone-User-Id", "Helicone-Request-Id", "Helicone-Cache-Seed"),
    *("Helicone-Property-Run", "Helicone-Auth", "x-portkey-trace-id", "x-portkey-span-id", "x-portkey-api-key"),
    *("x-portkey-cache-namespace", "langfuse_trace_id", "langfuse_session_id", "langfuse_trace_user_id"),
    *("x-litellm-trace-id", "x-litellm-session-id", "x-litellm-spend-logs-metadata", "x-litellm-api-key"),
    *("cf-aig-event-id", "cf-aig-cache-key", "cf-aig-authorization", "HTTP-Referer", "X-Title", "x-bt-parent"),
]
ROUTING = [
    *("x-portkey-config", "x-portkey-provider", "x-portkey-virtual-key", "x-portkey-metadata", "Helicone-Target-URL"),
    *("Helicone-Fallbacks", "Helicone-Prompt-Id", "Helicone-Moderations-Enabled", "x-litellm-tags", "cf-aig-metadata"),
    *("OpenAI-Beta", "OpenAI-Organization", "anthropic-beta", "X-Team", "Helicone-LLM-Security-Enabled"),
]


@SENDERS
@pytest.mark.parametrize("header", TRACING)
def test_a_header_that_only_traces_or_authenticates_pays_once(send: Send, header: str, provider: Provider) -> None:
    assert paid(provider, *[lambda: send(provider, headers={header: str(uuid.uuid4())})] * 2) == 1


@SENDERS
@pytest.mark.parametrize("header", ROUTING)
def test_a_header_that_may_route_counts(send: Send, header: str, provider: Provider) -> None:
    one, other = (lambda value=value: send(provider, headers={header: value}) for value in ("a", "b"))
    assert paid(provider, one, other, one, other) == 2


# The body

WHO_ASKS: list[dict[str, Any]] = [
    *(
        {name: "{}"}
        for name in ("user", "safety_identifier", "prompt_cache_key", "litellm_trace_id", "continuation_id")
    ),
    *({"metadata": {"trace_id": "{}"}}, {"metadata": {"run": "{}", "tags": ["a"]}}, {"trace": {"trace_id": "{}"}}),
    {"cache": {"namespace": "{}"}},
]


@SENDERS
@pytest.mark.parametrize("body", WHO_ASKS, ids=str)
def test_who_asks_and_what_is_traced_pays_once(send: Send, body: dict[str, Any], provider: Provider) -> None:
    def call() -> None:
        send(provider, _filled_in(body))

    assert paid(provider, call, call) == 1


def _filled_in(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _filled_in(item) for name, item in value.items()}
    return str(uuid.uuid4()) if value == "{}" else value


OTHERS: list[tuple[Any, Any]] = [
    ({"params": {"a": 1}}, {"params": {"a": "1"}}),
    ({"query": {"a": True}}, {"query": {"a": "True"}}),
    ({"headers": {"a": 1}}, {"headers": {"a": "1"}}),
    ({"headers": {"Authorization": "a"}}, {"headers": {"Authorization": "b"}}),
    ({"a": {"extra_headers": {"Cookie": "a"}}}, {"a": {"extra_headers": {"Cookie": "b"}}}),
    ({"a": {"b": {"params": {"c": 1}}}}, {"a": {"b": {"params": {"c": 1.0}}}}),
    ({"cookies": {"a": "1"}}, {"cookies": {"a": 1}}),
    ({"api_token": "a"}, {"api_token": "b"}),
    ({"timeout": 1}, {"timeout": 2}),
    ({"search": {"api_key": "a"}}, {"search": {"api_key": "b"}}),
    ({"search": {"verbose": True}}, {"search": {"verbose": False}}),
    ({"store": True}, {"store": False}),
    ({"metadata": {"tags": ["a"]}}, {"metadata": {"tags": ["b"]}}),
    ({"metadata": {"guardrails": ["a"]}}, {"metadata": {"guardrails": ["b"]}}),
    ({"fallbacks": ["a"]}, {"fallbacks": ["b"]}),
]


@SENDERS
@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_what_is_sent_on_counts_with_its_types(
    send: Send, one: dict[str, Any], other: dict[str, Any], provider: Provider
) -> None:
    calls = [lambda body=body: send(provider, body) for body in (one, other)]
    assert paid(provider, *calls, *calls) == 2


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key", "Cookie"])
def test_two_peoples_tokens_for_a_tools_server_are_two_calls(header: str, provider: Provider) -> None:
    tools = [
        {"type": "mcp", "server_label": "mail", "server_url": "https://mcp.example", "headers": {header: who}}
        for who in ("alice", "bob")
    ]
    client: Any = nbcache.wrap(openai.OpenAI(**provider.openai))
    llm = ChatOpenAI(model="m", **provider.openai, use_responses_api=True)
    by_client = [lambda tool=tool: client.responses.create(model="m", input="What?", tools=[tool]) for tool in tools]
    by_llm: list[Any] = [lambda tool=tool: llm.bind_tools([tool]).invoke("What?") for tool in tools]
    assert paid(provider, *by_client, *by_client) == 2
    assert paid(provider, *by_llm, *by_llm) == 2
    assert not any("alice" in str(nbcache.show(key)) for key in nbcache.entries()["key"])


def test_anthropics_user_id_pays_once_and_what_else_stands_there_counts(provider: Provider) -> None:
    client: Any = nbcache.wrap(anthropic.Anthropic(**provider.anthropic))

    def call(**metadata: str) -> Callable[[], None]:
        return lambda: client.messages.create(model="m", max_tokens=9, messages=MESSAGES, metadata=metadata)

    assert paid(provider, call(user_id="a"), call(user_id="b")) == 1
    assert paid(provider, call(user_id="a", tenant="a"), call(user_id="a", tenant="b")) == 2


# What the user says


@SENDERS
@pytest.mark.parametrize(
    ("ignored", "body"),
    [
        ("run", {"run": "{}"}),
        ("extra_body.run", {"run": "{}"}),
        ("agent.run", {"agent": {"run": "{}", "name": "a"}}),
        ("extra_body.agent.run", {"agent": {"run": "{}", "name": "a"}}),
        ("Agent.Run.*", {"agent": {"run": {"id": "{}", "at": "{}"}}}),
        ("agent.*", {"agent": {"run": "{}"}}),
        ("metadata.tags", {"metadata": {"tags": "{}"}}),
    ],
)
def test_a_path_that_the_user_names_does_not_count(
    send: Send, ignored: str, body: dict[str, Any], provider: Provider
) -> None:
    def call() -> None:
        send(provider, _filled_in(body))

    assert paid(provider, call, call) == 2
    ignore_also([ignored])
    identity.forget()
    assert paid(provider, call, call) == 1


@SENDERS
def test_a_path_is_no_name_that_stands_elsewhere(send: Send, provider: Provider) -> None:
    ignore_also(["agent.run"])
    calls = [lambda run=run: send(provider, {"run": run, "other": {"run": run}}) for run in ("a", "b")]
    assert paid(provider, *calls) == 2


@SENDERS
@pytest.mark.parametrize("ignored", ["X-Run", "headers.x-run", "default_headers.X-Run"])
def test_a_header_that_the_user_names_does_not_count(send: Send, ignored: str, provider: Provider) -> None:
    ignore_also([ignored])
    identity.forget()
    assert paid(provider, *[lambda: send(provider, headers={"X-Run": str(uuid.uuid4())})] * 2) == 1


# What changes what a provider remembers


@pytest.mark.parametrize("body", [{"thread": {"type": "create"}}, {"thread": {"type": "continue"}}])
def test_a_thread_that_the_provider_holds_goes_on_each_time(body: dict[str, Any], provider: Provider) -> None:
    client: Any = nbcache.wrap(anthropic.Anthropic(**provider.anthropic))
    call = [lambda: client.messages.create(model="m", max_tokens=9, messages=MESSAGES, extra_body=body)]
    assert paid(provider, *call * 2) == 2


def test_langchains_client_of_anthropic_counts_what_it_sends_on(provider: Provider) -> None:
    servers = [[{"type": "url", "name": "a", "url": "https://a", "authorization_token": who}] for who in ("a", "b")]
    calls: list[Any] = [
        lambda each=each: ChatAnthropic(model="m", **provider.anthropic, mcp_servers=each).invoke(
            [HumanMessage("What?")]
        )
        for each in servers
    ]
    assert paid(provider, *calls, *calls) == 2


# An id that is new in each run, and that nobody listed

RUN_IDS: list[tuple[Any, Any, str]] = [
    ({"agent": {"run": "{}"}}, None, "agent.run"),
    ({"label": "{}"}, None, "label"),
    (None, {"X-Run-Id": "{}"}, "headers.x-run-id"),
]


@SENDERS
@pytest.mark.parametrize(("body", "headers", "path"), RUN_IDS)
def test_why_says_what_to_type_where_an_id_is_new_in_each_run(
    send: Send, body: Any, headers: Any, path: str, provider: Provider
) -> None:
    def call() -> None:
        send(provider, _filled_in(body), _filled_in(headers))

    call()
    call()
    assert f"%config NBCache.ignore = ['{path}']" in str(nbcache.why())
    ignore_also([path])
    identity.forget()
    assert paid(provider, call, call) == 1


@SENDERS
@pytest.mark.parametrize(("one", "other"), [({"seed": 1}, {"seed": 2}), ({"style": "a"}, {"style": "b"})])
def test_why_says_nothing_of_ids_where_a_setting_is_none(send: Send, one: Any, other: Any, provider: Provider) -> None:
    send(provider, one)
    send(provider, other)
    assert "NBCache.ignore" not in str(nbcache.why())
