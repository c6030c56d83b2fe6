"""What a call used, as the providers' real clients report it. The answers are canned, the clients aren't."""

import functools
import json
import operator
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_anthropic import ChatAnthropic
from langchain_aws import ChatBedrock, ChatBedrockConverse
from langchain_core.caches import RETURN_VAL_TYPE, BaseCache, InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel, FakeListChatModel, FakeListLLM
from langchain_core.language_models.base import BaseLanguageModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult, Generation
from langchain_google_genai import ChatGoogleGenerativeAI, GoogleGenerativeAI
from langchain_groq import ChatGroq
from langchain_mistralai import ChatMistralAI
from langchain_ollama import ChatOllama, OllamaLLM
from langchain_openai import AzureChatOpenAI, ChatOpenAI, OpenAI

from nbcache.cache.call import Call, current_call
from nbcache.entry.records import Usage
from nbcache.entry.usage.usage_of_call import estimated, usage_of
from nbcache.errors import UnstableIdentityError
from nbcache.integrations.langchain.models import Instrument
from nbcache.keys.identity import identify
from tests.servers import canned as c
from tests.servers.canned import Canned, Reply

HAIKU = "claude-haiku-4-5-20251001"
ON_BEDROCK = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
KEY: dict[str, Any] = {"api_key": "sk-test"}
AWS: dict[str, Any] = {"region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
AZURE: dict[str, Any] = {"azure_deployment": "mine", "api_version": "2024-10-21", **KEY}
AZURE_HOST = "https://me.openai.azure.com/openai/deployments/mine"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Canned]:
    for name in os.environ:
        if name.startswith(("AWS_", "AZURE_", "GEMINI_", "GOOGLE_", "GROQ_", "MISTRAL_")):
            monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    with Canned() as running:
        yield running


@dataclass(frozen=True)
class Seen:
    """An answer as it reaches the cache, and the call's identity."""

    generations: list[Generation]
    identity: Mapping[str, Any]
    endpoint: str

    def usage(self, endpoint: str | None = None) -> Usage:
        """What was used, had the call been sent to `endpoint`."""
        return usage_of(self.generations, self.identity, self.endpoint if endpoint is None else endpoint)


class Recorder(BaseCache):
    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self._identity: tuple[dict[str, Any], str] = {}, ""

    def lookup(self, prompt: str, llm_string: str) -> None:
        try:
            identity = identify(llm_string, current_call.get())
            self._identity = json.loads(identity.document), identity.endpoint
        except UnstableIdentityError:
            self._identity = {}, ""

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        self.seen.append(Seen(list(return_val), *self._identity))

    def clear(self, **kwargs: Any) -> None:
        self.seen.clear()


def seen(model: BaseLanguageModel[Any], *, by_hand: bool = False, options: Mapping[str, Any] | None = None) -> Seen:
    """What a cache sees of one call; `by_hand` is a cache that was set without `nbcache.install`."""
    recorder = Recorder()
    set_llm_cache(recorder)
    instrument = None if by_hand else Instrument(lambda: None)
    try:
        model.invoke("hi", **(options or {}))
    finally:
        if instrument is not None:
            instrument.remove()
        set_llm_cache(None)
    (one,) = recorder.seen
    return one


def streamed(model: BaseChatModel) -> Seen:
    """The chunks of `.stream()` put together."""
    message = functools.reduce(operator.add, model.stream("hi"))
    identity = identify(model._get_llm_string(), Call(model))
    return Seen([ChatGeneration(message=message)], json.loads(identity.document), identity.endpoint)


@dataclass(frozen=True)
class Case:
    """A client class, what its provider answers and what that used. `streams` is how a stream differs."""

    make: Callable[..., BaseChatModel]
    reply: Reply
    stream: Reply
    home: str
    used: Usage
    streams: Mapping[str, Any]


USED = Usage(input_tokens=1200, output_tokens=80, cache_read_tokens=1024, reasoning_tokens=64)
AUDIO = replace(USED, input_audio_tokens=5, output_audio_tokens=3)
NO_DETAILS = {"cache_read_tokens": 0, "reasoning_tokens": 0, "input_audio_tokens": 0, "output_audio_tokens": 0}
CLAUDE = Usage(input_tokens=2521, output_tokens=12, cache_read_tokens=2000, cache_write_tokens=500)

CASES = {
    "ChatOpenAI": Case(
        lambda url, **more: ChatOpenAI(model="gpt-4o-mini", base_url=f"{url}/v1", stream_usage=True, **KEY, **more),
        c.chat("gpt-4o-mini-2024-07-18", c.OPENAI_USAGE, service_tier="flex"),
        c.chat_stream("gpt-4o-mini-2024-07-18", c.OPENAI_USAGE, service_tier="flex"),
        "https://api.openai.com/v1",
        replace(AUDIO, provider="openai", model="gpt-4o-mini-2024-07-18", service_tier="flex"),
        {},
    ),
    "ChatOpenAI, Responses API": Case(
        lambda url, **more: ChatOpenAI(
            model="gpt-4o-mini", base_url=f"{url}/v1", use_responses_api=True, **KEY, **more
        ),
        c.as_json(c.responses("gpt-4o-mini-2024-07-18", service_tier="priority")),
        c.responses_stream("gpt-4o-mini-2024-07-18", service_tier="priority"),
        "https://api.openai.com/v1",
        replace(USED, provider="openai", model="gpt-4o-mini-2024-07-18", service_tier="priority"),
        {},
    ),
    "AzureChatOpenAI": Case(
        lambda url, **more: AzureChatOpenAI(azure_endpoint=url, stream_usage=True, **AZURE, **more),
        c.chat("gpt-4o-2024-08-06", c.OPENAI_USAGE),
        c.chat_stream("gpt-4o-2024-08-06", c.OPENAI_USAGE),
        AZURE_HOST,
        replace(AUDIO, provider="azure", model="gpt-4o-2024-08-06"),
        {},
    ),
    "ChatAnthropic": Case(
        lambda url, **more: ChatAnthropic(model="claude-haiku-4-5", base_url=url, **KEY, **more),
        c.as_json(c.anthropic(HAIKU, c.ANTHROPIC_USAGE)),
        c.anthropic_stream(HAIKU, c.ANTHROPIC_USAGE),
        "https://api.anthropic.com",
        replace(CLAUDE, provider="anthropic", model=HAIKU, cache_write_1h_tokens=300, service_tier="standard"),
        {"cache_write_1h_tokens": 0, "service_tier": None},  # not in the event that brings the counts
    ),
    "ChatGoogleGenerativeAI": Case(
        lambda url, **more: ChatGoogleGenerativeAI(model="gemini-2.5-flash", base_url=url, google_api_key="x", **more),
        c.google("gemini-2.5-flash"),
        c.google_stream("gemini-2.5-flash"),
        "https://generativelanguage.googleapis.com",
        replace(USED, provider="google", model="gemini-2.5-flash"),
        {},
    ),
    "ChatMistralAI": Case(
        lambda url, **more: ChatMistralAI(model_name="mistral-small-latest", base_url=url, **KEY, **more),
        c.chat("mistral-small-2506", c.OPENAI_USAGE),
        c.chat_stream("mistral-small-2506", None, last={"usage": c.OPENAI_USAGE}),
        "https://api.mistral.ai/v1",
        replace(AUDIO, provider="mistral", model="mistral-small-latest"),
        {"model": "mistral-small-2506", **NO_DETAILS},  # LangChain keeps no more of it
    ),
    "ChatGroq": Case(
        lambda url, **more: ChatGroq(model="llama-3.3-70b-versatile", base_url=url, **KEY, **more),
        c.chat("llama-3.3-70b-versatile", c.OPENAI_USAGE),
        c.chat_stream("llama-3.3-70b-versatile", None, last={"x_groq": {"usage": c.OPENAI_USAGE}}),
        "https://api.groq.com",
        replace(USED, provider="groq", model="llama-3.3-70b-versatile", service_tier="on_demand"),
        {},
    ),
    "ChatBedrockConverse": Case(
        lambda url, **more: ChatBedrockConverse(model_id=ON_BEDROCK, endpoint_url=url, **AWS, **more),
        c.converse(serviceTier={"type": "flex"}),
        c.converse_stream(),
        "https://bedrock-runtime.us-east-1.amazonaws.com",
        replace(CLAUDE, provider="aws", model=ON_BEDROCK, service_tier="flex"),
        {"service_tier": None},
    ),
    "ChatBedrock": Case(
        lambda url, **more: ChatBedrock(model_id=ON_BEDROCK, endpoint_url=url, **AWS, **more),
        c.invoke_model(),
        c.invoke_model_stream(),
        "https://bedrock-runtime.us-east-1.amazonaws.com",
        replace(CLAUDE, provider="aws", model=ON_BEDROCK),
        {},
    ),
    "ChatOllama": Case(
        lambda url, streaming=None: ChatOllama(model="llama3.2", base_url=url),
        c.ollama("llama3.2", chat=True, prompt_eval_count=26, eval_count=3),
        c.ollama("llama3.2", chat=True, prompt_eval_count=26, eval_count=3),
        "http://127.0.0.1:11434",
        Usage("ollama", "llama3.2", 26, 3, local=True),
        {},
    ),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


class TestWhatProvidersReport:
    @cases
    def test_an_answer_tells_its_provider_model_and_tokens(self, case: Case, server: Canned) -> None:
        server.reply(case.reply)
        assert seen(case.make(server.url)).usage(case.home) == case.used

    @cases
    def test_so_does_a_streaming_model(self, case: Case, server: Canned) -> None:
        server.reply(case.stream)
        assert seen(case.make(server.url, streaming=True)).usage(case.home) == replace(case.used, **case.streams)

    @cases
    def test_so_do_the_chunks_of_a_stream_put_together(self, case: Case, server: Canned) -> None:
        server.reply(case.stream)
        assert streamed(case.make(server.url)).usage(case.home) == replace(case.used, **case.streams)

    @cases
    def test_the_class_tells_the_provider_where_the_endpoint_is_unknown(self, case: Case, server: Canned) -> None:
        server.reply(case.reply)
        assert seen(case.make(server.url)).usage("") == case.used

    @cases
    def test_a_server_on_loopback_has_no_list_price(self, case: Case, server: Canned) -> None:
        server.reply(case.reply)
        used = seen(case.make(server.url)).usage()
        assert used.provider == ("ollama" if case.used.local else "127.0.0.1")
        assert used.input_tokens == case.used.input_tokens

    @cases
    def test_a_cache_that_was_set_by_hand_sees_the_same(self, case: Case, server: Canned) -> None:
        server.reply(case.reply)
        assert seen(case.make(server.url), by_hand=True).usage(case.home) == case.used

    @pytest.mark.parametrize("streaming", [False, True])
    @pytest.mark.parametrize("by_hand", [False, True])
    def test_a_completion_model_of_openai_reports_no_tokens(
        self, streaming: bool, by_hand: bool, server: Canned
    ) -> None:
        model = "gpt-3.5-turbo-instruct"
        server.reply(c.completion_stream(model) if streaming else c.completion(model))
        llm = OpenAI(model=model, base_url=f"{server.url}/v1", streaming=streaming, **KEY)
        assert seen(llm, by_hand=by_hand).usage("https://api.openai.com/v1") == Usage("openai", model)

    def test_a_completion_model_of_ollama_does(self, server: Canned) -> None:
        server.reply(c.ollama("llama3.2", chat=False, prompt_eval_count=26, eval_count=3))
        llm = OllamaLLM(model="llama3.2", base_url=server.url)
        assert seen(llm).usage() == Usage("ollama", "llama3.2", 26, 3, local=True)

    def test_a_completion_model_of_google_does(self, server: Canned) -> None:
        server.reply(c.google("gemini-2.5-flash"))
        llm = GoogleGenerativeAI(model="gemini-2.5-flash", base_url=server.url, google_api_key="x")
        assert seen(llm).usage("") == replace(USED, provider="google", model="gemini-2.5-flash")

    def test_a_stream_without_usage_has_none(self, server: Canned) -> None:
        server.reply(c.chat_stream("gpt-4o-mini-2024-07-18", None))
        llm = ChatOpenAI(model="gpt-4o-mini", base_url=f"{server.url}/v1", streaming=True, **KEY)
        assert seen(llm).usage("") == Usage("openai", "gpt-4o-mini-2024-07-18")

    def test_two_choices_of_one_call_are_paid_once(self, server: Canned) -> None:
        server.reply(c.chat("gpt-4o-mini-2024-07-18", c.OPENAI_USAGE, n=2, service_tier="flex"))
        answer = seen(ChatOpenAI(model="gpt-4o-mini", base_url=f"{server.url}/v1", n=2, **KEY))
        assert len(answer.generations) == 2
        assert answer.usage("") == replace(AUDIO, provider="openai", model="gpt-4o-mini", service_tier="flex")

    def test_the_model_may_be_an_option_of_the_call(self, server: Canned) -> None:
        server.reply(c.chat("", None))
        llm = ChatOpenAI(model="gpt-4o-mini", base_url=f"{server.url}/v1", **KEY)
        assert seen(llm, options={"model": "gpt-4o"}).usage("").model == "gpt-4o"


class TestAzure:
    def test_a_deployment_that_only_repeats_its_name_has_no_model(self, server: Canned) -> None:
        server.reply(c.as_json(c.responses("mine")))
        llm = AzureChatOpenAI(azure_endpoint=server.url, use_responses_api=True, **AZURE)
        assert seen(llm).usage(AZURE_HOST) == replace(USED, provider="azure")

    def test_its_model_is_what_the_user_says_it_is(self, server: Canned) -> None:
        server.reply(c.as_json(c.responses("mine")))
        llm = AzureChatOpenAI(azure_endpoint=server.url, model="gpt-4o", use_responses_api=True, **AZURE)
        assert seen(llm).usage(AZURE_HOST) == replace(USED, provider="azure", model="gpt-4o")

    def test_openais_class_names_a_deployment_there_too(self, server: Canned) -> None:
        llm = ChatOpenAI(model="gpt-4o", base_url=f"{server.url}/v1", **KEY)  # a deployment that holds another model
        host = "https://me.openai.azure.com/openai/v1"
        server.reply(c.chat("gpt-4o", c.OPENAI_USAGE), c.chat("gpt-4.1-2025-04-14", c.OPENAI_USAGE))
        assert seen(llm).usage(host) == replace(AUDIO, provider="azure")
        assert seen(llm).usage(host).model == "gpt-4.1-2025-04-14"


class TestUnknownModels:
    @pytest.mark.parametrize("model", [FakeListChatModel(responses=["Hi."]), FakeListLLM(responses=["Hi."])])
    def test_a_fake_model_used_nothing_that_is_known(self, model: BaseLanguageModel[Any]) -> None:
        assert seen(model).usage() == Usage()

    def test_a_class_of_the_users_own_has_tokens_and_no_provider(self) -> None:
        assert seen(Own(name_of="tiny")).usage() == Usage(None, "tiny-2", 7, 2)

    def test_a_users_subclass_is_what_it_calls(self, server: Canned) -> None:
        class Polite(ChatOpenAI):
            pass

        server.reply(c.chat("gpt-4o-mini-2024-07-18", c.OPENAI_USAGE))
        answer = seen(Polite(model="gpt-4o-mini", base_url=f"{server.url}/v1", **KEY))
        assert answer.usage("https://api.openai.com/v1").provider == "openai"
        assert answer.usage("").provider == "openai"

    def test_nothing_is_known_of_nothing(self) -> None:
        assert usage_of([], {}, "") == Usage()
        assert usage_of([Generation(text="Hi.")], {}, "") == Usage()


class Own(BaseChatModel):
    name_of: str

    @property
    def _llm_type(self) -> str:
        return "own"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        message = AIMessage(
            "Hi.",
            usage_metadata={"input_tokens": 7, "output_tokens": 2, "total_tokens": 9},
            response_metadata={"model": f"{self.name_of}-2"},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


def of_class(*names: str, **fields: Any) -> dict[str, Any]:
    return {"class": list(names), "fields": fields}


OPENAI = of_class("langchain.chat_models.openai.ChatOpenAI", "ChatOpenAI", model_name="gpt-4o")
OLLAMA = of_class("chat-ollama", "ChatOllama", model="llama3.2")
OLLAMA_LLM = of_class("ollama-llm", "OllamaLLM", model="llama3.2")
FAKE = of_class("fake-list-chat-model", "FakeListChatModel", responses=["Hi."])


class TestWhoIsPaid:
    @pytest.mark.parametrize(
        ("identity", "endpoint", "provider"),
        [
            (OPENAI, "https://api.openai.com/v1", "openai"),
            (OPENAI, "https://eu.api.openai.com/v1", "openai"),
            (OPENAI, "https://api.deepseek.com", "deepseek"),
            (OPENAI, "https://openrouter.ai/api/v1", "openrouter"),
            (OPENAI, "https://generativelanguage.googleapis.com/v1beta/openai", "google"),
            (OPENAI, "https://bedrock-mantle.us-east-1.api.aws/v1", "aws"),
            (OPENAI, "https://abc.s3.amazonaws.com/v1", "abc.s3.amazonaws.com"),
            (OPENAI, "https://api.openai.com.evil.example/v1", "api.openai.com.evil.example"),
            (OPENAI, "https://notapi.openai.com/v1", "notapi.openai.com"),
            (OPENAI, "http://127.0.0.1:8000/v1", "127.0.0.1"),
            (OPENAI, "http://[::1]:8000/v1", "::1"),
            (OPENAI, "http://openai:8000/v1", "openai:8000"),
            (OPENAI, "https://llm.example.org/v1", "llm.example.org"),
            (OPENAI, "https://api.openai.com/v1 https://eu.api.openai.com/v1", "openai"),
            (OPENAI, "https://api.openai.com/v1 https://llm.example.org/v1", None),
            (OPENAI, "https://[broken", "https://[broken"),
            (OPENAI, "llm.example.org:8000", "llm.example.org"),
            (OPENAI, "", "openai"),
            (FAKE, "https://api.openai.com/v1", "openai"),
            (FAKE, "", None),
            ({"class": "langchain.chat_models.openai.ChatOpenAI"}, "", "openai"),
            ({"class": "groq-chat"}, "", "groq"),
            ({}, "https://api.groq.com", "groq"),
        ],
    )
    def test_it_is_who_answers_there(self, identity: dict[str, Any], endpoint: str, provider: str | None) -> None:
        used = usage_of([], identity, endpoint)
        assert (used.provider, used.local) == (provider, False)

    @pytest.mark.parametrize("identity", [OLLAMA, OLLAMA_LLM])
    @pytest.mark.parametrize(
        ("endpoint", "provider", "local"),
        [
            ("", "ollama", True),
            ("http://127.0.0.1:11434", "ollama", True),
            ("http://localhost:11434", "ollama", True),
            ("http://[::1]:11434", "ollama", True),
            ("http://127.0.0.1.evil.example", "127.0.0.1.evil.example", False),
            ("http://10.0.0.5:11434", "10.0.0.5", False),
            ("https://ollama.com", "ollama.com", False),
        ],
    )
    def test_ollama_on_this_machine_is_nobodys(
        self, identity: dict[str, Any], endpoint: str, provider: str, local: bool
    ) -> None:
        used = usage_of([], identity, endpoint)
        assert (used.provider, used.local) == (provider, local)

    def test_a_model_that_ollama_hands_on_to_its_cloud_is_not_local(self) -> None:
        assert not usage_of([], of_class("chat-ollama", "ChatOllama", model="gpt-oss:120b-cloud"), "").local

    @pytest.mark.parametrize(
        ("fields", "model"),
        [
            ({"model": "models/gemini-2.5-flash"}, "gemini-2.5-flash"),
            ({"model_id": "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0"}, "amazon.nova-pro-v1:0"),
            (
                {
                    "model_id": "arn:aws:bedrock:us-east-1:1:application-inference-profile/x7",
                    "base_model_id": "amazon.nova-pro-v1:0",
                },
                "amazon.nova-pro-v1:0",
            ),
            ({"model_id": "arn:aws:bedrock:us-east-1:1:provisioned-model/x7", "base_model_id": "amazon.x"}, "x7"),
            ({"model": ["no", "name"]}, None),
        ],
    )
    def test_a_model_goes_by_the_name_that_has_a_price(self, fields: dict[str, Any], model: str | None) -> None:
        assert usage_of([], {"fields": fields}, "").model == model


class TestWhatWasNotReported:
    @pytest.mark.parametrize(
        ("asked", "answered", "text", "counted"),
        [
            (0, 0, "Hi.", (None, None)),
            (0, 3, "Hi.", (None, 3)),
            (9, 0, "Hi.", (9, None)),
            (0, 3, None, (None, 3)),
            (9, 0, None, (9, 0)),  # an answer that says nothing
            (0, 0, None, (0, 0)),
        ],
    )
    def test_a_zero_is_unknown_where_something_was_said(
        self, asked: int, answered: int, text: str | None, counted: tuple[int | None, int | None], server: Canned
    ) -> None:
        server.reply(c.chat("m", {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": 0}, text=text))
        used = seen(ChatOpenAI(model="m", base_url=f"{server.url}/v1", **KEY)).usage()
        assert (used.input_tokens, used.output_tokens) == counted

    def test_tool_calls_say_something_too(self) -> None:
        call = {"name": "add", "args": {}, "id": "1", "type": "tool_call"}
        assert metadata_usage({"input_tokens": 9, "output_tokens": 0}, "", tool_calls=[call]).output_tokens is None

    def test_ollama_leaves_out_a_prompt_that_it_had_seen(self, server: Canned) -> None:
        server.reply(c.ollama("llama3.2", chat=True, eval_count=3))
        llm = ChatOllama(model="llama3.2", base_url=server.url)
        assert seen(llm).usage() == Usage("ollama", "llama3.2", None, 3, local=True)

    @pytest.mark.parametrize("has_usage", [True, False])
    def test_a_hit_tells_what_the_call_used(self, has_usage: bool, server: Canned) -> None:
        usage = c.OPENAI_USAGE if has_usage else None
        server.reply(c.chat("gpt-4o-mini-2024-07-18", usage))
        set_llm_cache(InMemoryCache())
        llm = ChatOpenAI(model="gpt-4o-mini", base_url=f"{server.url}/v1", **KEY)
        generations = [llm.invoke("hi"), llm.invoke("hi")]
        assert isinstance(generations[1], AIMessage)
        assert "total_cost" in (generations[1].usage_metadata or {})
        paid, hit = (usage_of([ChatGeneration(message=message)], OPENAI, "") for message in generations)
        assert hit == paid
        assert paid.complete is has_usage

    @pytest.mark.parametrize("count", [-1, True, "12", 1.5, float("inf"), float("nan"), 10**30, [3], None])
    def test_what_is_no_count_is_unknown(self, count: Any) -> None:
        used = metadata_usage({"input_tokens": count, "output_tokens": 3})
        assert (used.input_tokens, used.output_tokens) == (None, 3)

    def test_a_whole_float_is_a_count(self) -> None:
        used = metadata_usage({"input_tokens": 12.0, "output_tokens": 3})
        assert (used.input_tokens, type(used.input_tokens)) == (12, int)


class TestPartsOfTheTokens:
    def test_input_that_is_less_than_its_cached_part_leaves_it_out(self) -> None:
        details = {"cache_read": 2000, "cache_creation": 500}
        used = metadata_usage({"input_tokens": 21, "output_tokens": 3, "input_token_details": details})
        assert (used.input_tokens, used.cache_read_tokens, used.cache_write_tokens) == (2521, 2000, 500)

    def test_output_that_is_less_than_its_reasoning_leaves_it_out(self) -> None:
        usage = {"input_tokens": 21, "output_tokens": 3, "output_token_details": {"reasoning": 50}}
        assert metadata_usage(usage).output_tokens == 53

    @pytest.mark.parametrize("uncached", [21, 9000])
    def test_a_client_that_keeps_anthropics_counts_as_they_are(self, uncached: int) -> None:
        message = AIMessage("Hi.", response_metadata={"usage": {**c.ANTHROPIC_USAGE, "input_tokens": uncached}})
        used = usage_of([ChatGeneration(message=message)], {}, "")
        everything = replace(CLAUDE, input_tokens=uncached + 2500)
        assert used == replace(everything, cache_write_1h_tokens=300, service_tier="standard")

    def test_a_client_that_keeps_openais_counts_as_they_are(self) -> None:
        info = {"token_usage": c.OPENAI_USAGE}
        assert usage_of([Generation(text="Hi.", generation_info=info)], {}, "") == AUDIO
        usage = c.responses("m")["usage"]
        assert usage_of([Generation(text="Hi.", generation_info={"usage": usage})], {}, "") == USED

    def test_details_of_another_count_are_not_mixed_in(self) -> None:
        message = AIMessage("Hi.", response_metadata={"token_usage": c.OPENAI_USAGE})
        message.usage_metadata = {"input_tokens": 30, "output_tokens": 3, "total_tokens": 33}
        assert usage_of([ChatGeneration(message=message)], {}, "") == Usage(input_tokens=30, output_tokens=3)


def metadata_usage(usage: Any, text: str = "Hi.", **more: Any) -> Usage:
    """What a message with this `usage_metadata` is worth, however odd."""
    message = AIMessage(text, **more)
    message.usage_metadata = usage
    return usage_of([ChatGeneration(message=message)], {}, "")


class TestEstimates:
    # As OpenAI's cl100k_base counts them.
    COUNTED: Mapping[str, int] = {
        "tiktoken is great!": 6,
        "antidisestablishmentarianism": 6,
        "2 + 2 = 4": 7,
        "get_file_name": 3,
        "お誕生日おめでとう": 9,
        "Hello, world! How are you today?": 9,
        "The quick brown fox jumps over the lazy dog.": 10,
    }

    @pytest.mark.parametrize(("text", "tokens"), COUNTED.items())
    def test_an_estimate_is_near_the_count(self, text: str, tokens: int) -> None:
        used = estimated(Usage(), text, "")
        assert used.input_tokens is not None
        assert 0.6 * tokens <= used.input_tokens <= 1.4 * tokens

    def test_over_many_texts_it_is_nearer(self) -> None:
        used = estimated(Usage(), "\n".join(self.COUNTED), "")
        assert used.input_tokens == pytest.approx(sum(self.COUNTED.values()) + len(self.COUNTED) - 1, rel=0.15)

    def test_a_long_text_is_estimated_from_pieces_of_all_of_it(self) -> None:
        english, japanese = "The quick brown fox jumps over the lazy dog. " * 20_000, "お誕生日おめでとう" * 20_000
        used = estimated(Usage(), english + japanese, "")
        assert used.input_tokens == pytest.approx(20_000 * 10 + 20_000 * 7, rel=0.15)

    @pytest.mark.parametrize(
        "text", ["", " ", "\n", "naïve café", "Привет, мир", "สวัสดี", "🎉🎉🎉🎉🎉", "\ud800", "=" * 80]
    )
    def test_any_text_has_an_estimate(self, text: str) -> None:
        used = estimated(Usage(), text, text)
        assert used.input_tokens == used.output_tokens
        assert used.input_tokens is not None
        assert 0 <= used.input_tokens <= max(1, 2 * len(text))
        assert bool(used.input_tokens) or not text.strip()

    def test_only_what_is_missing_is_estimated(self) -> None:
        used = estimated(Usage("openai", "gpt-4o", None, 1000), "Hello, world!", "Hi.")
        assert used == Usage("openai", "gpt-4o", used.input_tokens, 1000, estimated=True)
        assert used.input_tokens in range(3, 6)
        used = estimated(Usage("openai", "gpt-4o", 1000, None), "Hello, world!", "Hi.")
        assert used.input_tokens == 1000
        assert used.output_tokens in range(1, 4)

    def test_what_was_reported_stays_as_it_is(self) -> None:
        assert estimated(AUDIO, "Hello, world!", "Hi.") is AUDIO

    def test_an_estimate_is_no_less_than_the_parts_that_were_reported(self) -> None:
        used = estimated(Usage(cache_read_tokens=500, cache_write_tokens=20, reasoning_tokens=70), "hi", "Hi.")
        assert (used.input_tokens, used.output_tokens) == (520, 70)


NAMES = [
    *("usage", "token_usage", "usage_metadata", "input_tokens", "output_tokens", "prompt_tokens", "completion_tokens"),
    *("input_token_details", "output_token_details", "prompt_tokens_details", "cached_tokens", "cache_read", "flex"),
    *("cache_creation", "ephemeral_1h_input_tokens", "reasoning", "audio", "eval_count", "flex_cache_read", "model"),
    *("cache_read_input_tokens", "model_name", "model_provider", "service_tier", "serviceTier", "type", "class"),
    *("fields", "told", "options", "base_model_id", "deployment_name", "total_cost"),
]
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 3000)
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["openai", "azure", "ollama", "ChatOpenAI", "arn:x", "flex", b"x", object(), 1j]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner),
    max_leaves=12,
)
MAPPINGS = st.dictionaries(st.sampled_from(NAMES), ANYTHING)


@given(
    usage=MAPPINGS | ANYTHING,
    metadata=MAPPINGS | ANYTHING,
    info=MAPPINGS | ANYTHING,
    content=ANYTHING,
    identity=MAPPINGS,
    endpoint=st.text()
    | st.sampled_from(["https://api.openai.com", "http://[", "//", "https://x.openai.azure.com a b"]),
)
def test_garbage_is_no_error_and_no_nonsense(
    *, usage: Any, metadata: Any, info: Any, content: Any, identity: dict[str, Any], endpoint: str
) -> None:
    message = AIMessage.model_construct(content=content, usage_metadata=usage, response_metadata=metadata)
    chat = ChatGeneration.model_construct(text="", message=message, generation_info=info)
    used = usage_of([chat, Generation.model_construct(text="", generation_info=info)], identity, endpoint)
    for field in fields(used):
        value = getattr(used, field.name)
        if field.name in {"provider", "model", "service_tier", "speed"}:
            assert value is None or (isinstance(value, str) and value)
        elif field.name == "mixed":
            assert set(value.split()) <= {"other", "input_audio", "output_audio", "output_image", "cache_write_1h"}
        elif field.name == "charged":
            assert value is None or 0 <= Decimal(value) <= 10**6
        elif field.name in {"estimated", "local"}:
            assert isinstance(value, bool)
        else:
            assert value is None or (type(value) is int and value >= 0)
    for filled in (used, estimated(used, "some text", "more")):
        if filled.input_tokens is not None:
            assert filled.cache_read_tokens + filled.cache_write_tokens <= filled.input_tokens
        if filled.output_tokens is not None:
            assert filled.reasoning_tokens <= filled.output_tokens
        assert filled.cache_write_1h_tokens <= filled.cache_write_tokens
    assert filled.complete
