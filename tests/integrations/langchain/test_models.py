"""Real provider clients over real HTTP: what is paid once, and that nobody gets another call's answer."""

import asyncio
import multiprocessing
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_ollama import ChatOllama, OllamaLLM
from langchain_openai import ChatOpenAI, OpenAI
from pydantic import BaseModel

import nbcache
from nbcache import NbcacheWarning
from tests.servers.provider import Answer, Provider


class City(BaseModel):
    name: str
    inhabitants: int


def openai(provider: Provider, **settings: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": "gpt-4o-mini", **provider.openai, **settings})


CLIENTS: dict[str, Callable[[Provider], Any]] = {
    "ChatOpenAI": openai,
    "ChatOpenAI responses": lambda provider: openai(provider, use_responses_api=True),
    "OpenAI": lambda provider: OpenAI(model="gpt-3.5-turbo-instruct", **provider.openai),
    "ChatAnthropic": lambda provider: ChatAnthropic(model_name="claude-for-tests", **provider.anthropic),
    "ChatOllama": lambda provider: ChatOllama(model="llama3", **provider.ollama),
    "OllamaLLM": lambda provider: OllamaLLM(model="llama3", **provider.ollama),
}


def text(said: Any) -> str:
    return str(said if isinstance(said, str) else said.text)


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, provider: Provider) -> Any:
    return CLIENTS[request.param](provider)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    nbcache.install(folder)
    return folder


def test_a_call_is_paid_once_and_also_in_a_new_session(client: Any, provider: Provider, installed: Path) -> None:
    first = client.invoke("What is a monad?")
    assert text(client.invoke("What is a monad?")) == text(first)
    nbcache.install(installed)
    assert text(client.invoke("What is a monad?")) == text(first)
    assert len(provider.requests) == 1
    assert text(client.invoke("What is a functor?")) != text(first)
    assert len(provider.requests) == 2


async def test_sync_and_async_share_their_answers(client: Any, provider: Provider, installed: Path) -> None:
    first = await client.ainvoke("q")
    assert text(client.invoke("q")) == text(first) == text(await client.ainvoke("q"))
    assert len(provider.requests) == 1


def test_a_hit_is_equal_to_the_live_answer_but_for_its_id(client: Any, provider: Provider, installed: Path) -> None:
    live, hit = client.invoke("q"), client.invoke("q")
    if isinstance(live, AIMessage):
        assert hit.id != live.id
        usage = {**hit.usage_metadata}
        assert usage.pop("total_cost") == 0  # LangChain's mark of a hit
        live.id, hit.id, hit.usage_metadata = None, None, usage
    assert hit == live


def chat(model: Any, turns: int = 3) -> list[BaseMessage]:
    history: list[BaseMessage] = []
    for turn in range(turns):
        history += [HumanMessage(f"question {turn}")]
        history += [model.invoke(history)]
    return history


def test_rerun_of_a_chat_pays_nothing(provider: Provider, installed: Path) -> None:
    model = openai(provider)
    first = chat(model)
    assert len(provider.requests) == 3
    for _ in range(2):
        assert [said.text for said in chat(openai(provider))] == [said.text for said in first]
    assert len(provider.requests) == 3


def test_in_memory_cache_pays_again_for_the_same_chat(provider: Provider) -> None:
    """The reason for a key of our own: if LangChain mends this, our canonical prompt can go."""
    set_llm_cache(InMemoryCache())
    chat(openai(provider))
    chat(openai(provider))
    assert len(provider.requests) > 3


def test_by_hand_too_rerun_of_a_chat_pays_nothing(provider: Provider, tmp_path: Path) -> None:
    set_llm_cache(nbcache.NotebookCache(tmp_path / "s"))
    chat(openai(provider))
    chat(openai(provider))
    assert len(provider.requests) == 3


@pytest.mark.parametrize(
    "settings",
    [
        {"max_retries": 7},
        {"timeout": 99},
        {"verbose": True},
        {"api_key": "sk-other"},
        {"default_headers": {"Authorization": "Bearer x", "traceparent": "00-1"}},
        {"stream_usage": True},
        {"metadata": {"run": "1"}, "tags": ["t"]},
    ],
    ids=str,
)
def test_what_cannot_change_the_answer_is_not_paid_again(
    settings: dict[str, Any], provider: Provider, installed: Path
) -> None:
    openai(provider).invoke("q")
    openai(provider, **settings).invoke("q")
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "gpt-4o"},
        {"temperature": 0.5},
        {"seed": 1},
        {"max_tokens": 5},
        {"model_kwargs": {"prediction": {"a": 1}}},
        {"extra_body": {"unknown_option": 1}},
        {"default_headers": {"X-Route": "b"}},
        {"default_query": {"version": "2"}},
        {"stop_sequences": ["END"]},
        {"n": 2},
        {"reasoning_effort": "high"},
        {"organization": "org-2"},
    ],
    ids=str,
)
def test_what_may_change_the_answer_is_another_call(
    settings: dict[str, Any], provider: Provider, installed: Path
) -> None:
    openai(provider).invoke("q")
    openai(provider, **settings).invoke("q")
    assert len(provider.requests) == 2


@pytest.mark.parametrize(
    "options",
    [{"temperature": 0.5}, {"stop": ["END"]}, {"tools": [{"type": "function", "function": {"name": "f"}}]}],
    ids=str,
)
@pytest.mark.parametrize("name", ["ChatOpenAI", "OpenAI", "ChatOllama", "OllamaLLM"])
def test_options_of_the_call_make_another_call(
    name: str, options: dict[str, Any], provider: Provider, installed: Path
) -> None:
    if name in {"OpenAI", "OllamaLLM"} and "tools" in options:
        options = {"suffix": "the end"} if name == "OpenAI" else {"system": "be brief"}
    if name == "OllamaLLM" and "temperature" in options:
        options = {"options": options}
    if name == "ChatOllama" and "temperature" in options:
        options = {"format": "json"}
    asked = CLIENTS[name](provider)
    asked.invoke("q")
    asked.invoke("q", **options)
    assert len(provider.requests) == 2
    asked.invoke("q", **options)
    assert len(provider.requests) == 2


@pytest.mark.parametrize("cls", [ChatOllama, OllamaLLM])
def test_two_ollama_models_are_two_models(cls: Any, provider: Provider, installed: Path) -> None:
    one, two = cls(model="llama3", **provider.ollama), cls(model="mistral", **provider.ollama)
    assert text(one.invoke("q")) != text(two.invoke("q"))
    assert text(one.invoke("q")) != text(two.invoke("q"))
    assert len(provider.requests) == 2


def test_a_temperature_changed_after_the_first_use_counts(provider: Provider, installed: Path) -> None:
    model = openai(provider, temperature=0.1)
    cold = model.invoke("q").text
    model.temperature = 0.9
    assert model.invoke("q").text != cold
    assert len(provider.requests) == 2
    model.temperature = 0.1
    assert model.invoke("q").text == cold
    assert len(provider.requests) == 2


def test_an_endpoint_from_the_environment_counts(
    provider: Provider, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Provider() as other:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
        for server in (provider, other, provider):
            monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
            ChatOpenAI(model="gpt-4o-mini").invoke("q")
        assert (len(provider.requests), len(other.requests)) == (1, 1)


def test_structured_output_is_an_instance_of_the_callers_class(provider: Provider, installed: Path) -> None:
    provider.answer('{"name": "Bern", "inhabitants": 134000}')
    asked = openai(provider).with_structured_output(City, method="json_schema")
    live, hit = asked.invoke("a city"), asked.invoke("a city")
    assert live == hit == City(name="Bern", inhabitants=134000)
    assert type(hit) is City
    assert len(provider.requests) == 1


_IN_A_NEW_PROCESS = """
import sys, nbcache
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

class City(BaseModel):
    name: str
    {second}

nbcache.install(sys.argv[1])
model = ChatOpenAI(model="gpt-4o-mini", base_url=sys.argv[2], api_key="k")
found = model.with_structured_output(City, method="json_schema").invoke("a city")
assert type(found) is City, found
print(found)
"""


@pytest.mark.slow
def test_structured_output_in_a_new_process_is_the_callers_class_and_an_edited_class_another_call(
    provider: Provider, tmp_path: Path
) -> None:
    def run(second: str) -> str:
        code = _IN_A_NEW_PROCESS.format(second=second)
        arguments = [sys.executable, "-c", code, str(tmp_path / "s"), f"{provider.url}/v1"]
        return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout

    provider.answer('{"name": "Bern", "inhabitants": 1}', '{"name": "Rome", "rivers": 2}')
    assert run("inhabitants: int") == run("inhabitants: int") == "name='Bern' inhabitants=1\n"
    assert len(provider.requests) == 1
    assert run("rivers: int") == "name='Rome' rivers=2\n"
    assert len(provider.requests) == 2


def test_tool_calls_come_back(provider: Provider, installed: Path) -> None:
    provider.answer(Answer(tool_calls=(("weather", {"city": "Bern"}),)))
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
    asked = openai(provider).bind_tools([tool])
    live, hit = asked.invoke("q"), asked.invoke("q")
    assert isinstance(live, AIMessage)
    assert isinstance(hit, AIMessage)
    assert live.tool_calls == hit.tool_calls
    assert hit.tool_calls[0]["args"] == {"city": "Bern"}


def test_a_chain_and_a_batch_are_cached_too(provider: Provider, installed: Path) -> None:
    chain = ChatPromptTemplate.from_messages([("system", "be brief"), ("human", "{q}")]) | openai(provider)
    for _ in range(2):
        assert len(chain.batch([{"q": "a"}, {"q": "b"}, {"q": "c"}])) == 3
    assert len(provider.requests) == 3


async def test_gathered_calls_keep_their_identities(provider: Provider, installed: Path) -> None:
    models = [openai(provider, temperature=i / 10) for i in range(1, 9)]
    live = await asyncio.gather(*(model.ainvoke("q") for model in models))
    again = await asyncio.gather(*(model.ainvoke("q") for model in models))
    assert len({said.text for said in live}) == 8
    assert [said.text for said in live] == [said.text for said in again]
    assert len(provider.requests) == 8


def test_an_error_is_never_kept(provider: Provider, installed: Path) -> None:
    provider.fail(500)
    model = openai(provider, max_retries=0)
    with pytest.raises(Exception, match="500"):
        model.invoke("q")
    assert model.invoke("q").text
    assert nbcache.stats().entries == 1


def test_an_answer_cut_off_by_accident_is_asked_for_again(provider: Provider, installed: Path) -> None:
    provider.answer(Answer("half", finish_reason="length"), "whole")
    model = openai(provider)
    assert [model.invoke("q").text for _ in range(3)] == ["half", "whole", "whole"]
    assert len(provider.requests) == 2


def test_model_with_its_own_cache_setting(provider: Provider, installed: Path) -> None:
    model = openai(provider, cache=False)
    model.invoke("q")
    model.invoke("q")
    assert len(provider.requests) == 2


class Mute(BaseChatModel):
    """Tells nothing about itself but its type."""

    @property
    def _llm_type(self) -> str:
        return "mute"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=messages[-1].text))])


class Talkative(Mute):
    """Counts its calls in a field, and tells what its answers depend on."""

    model_path: str = "a.gguf"
    calls: int = 0

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_path": self.model_path}

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.calls += 1
        return super()._generate(messages)


def test_a_model_that_tells_nothing_is_not_cached_and_one_warning_names_the_remedy(installed: Path) -> None:
    with pytest.warns(NbcacheWarning, match="_identifying_params") as warned:
        Mute().invoke("q")
    with warnings.catch_warnings(record=True) as more:
        warnings.simplefilter("always")
        assert [Mute().invoke("q").content for _ in range(2)] == ["q", "q"]
    assert (len(warned), len(more)) == (1, 0)
    assert nbcache.stats().entries == 0
    assert nbcache.stats().misses == 3


def test_a_model_that_counts_its_calls_is_cached(installed: Path) -> None:
    model = Talkative()
    for _ in range(3):
        model.invoke("a")
    model.invoke("b")
    assert model.calls == 2
    other = Talkative(model_path="b.gguf")
    other.invoke("a")
    assert other.calls == 1
    nbcache.install(installed)
    fresh = Talkative()
    fresh.invoke("a")
    assert fresh.calls == 0


def test_an_object_among_the_options_is_not_cached_and_the_warning_names_it(
    provider: Provider, installed: Path
) -> None:
    class Opaque:
        pass

    model = Talkative()
    with pytest.warns(NbcacheWarning, match="'thing'"):
        model.invoke("q", thing=Opaque())
    assert nbcache.stats().entries == 0


def test_under_errors_for_warnings_an_uncacheable_call_still_answers(installed: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Mute().invoke("q").content == "q"


def _ask(url: str, folder: str, number: int) -> str:
    nbcache.install(folder)
    model = ChatOpenAI(model="gpt-4o-mini", base_url=url, api_key="k", temperature=number / 10)
    return model.invoke("q").text


@pytest.mark.slow
def test_processes_share_a_folder(provider: Provider, tmp_path: Path) -> None:
    work = [(f"{provider.url}/v1", str(tmp_path / "s"), number) for number in (1, 2, 3)]
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        first = pool.starmap(_ask, work)
        second = pool.starmap(_ask, work)
    assert first == second
    assert len(set(first)) == 3
    assert len(provider.requests) == 3
