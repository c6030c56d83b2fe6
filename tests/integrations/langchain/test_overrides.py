"""Model classes that override LangChain's own methods: right answers in `on`, and nothing sent in `replay`."""

import asyncio
import importlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partialmethod
from typing import Any, ClassVar

import pytest
from IPython.extensions.autoreload import superreload
from langchain_core.language_models import BaseChatModel, BaseLLM
from langchain_core.language_models.llms import LLM
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import (
    ChatGeneration,
    ChatGenerationChunk,
    ChatResult,
    Generation,
    GenerationChunk,
    LLMResult,
)
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI

import nbcache
from nbcache.errors import NbcacheWarning, ReplayMiss
from nbcache.integrations.langchain.stream_wrappers import wrap_class
from nbcache.integrations.patching import Wrapping
from nbcache.keys.usercode import piece_of
from tests.servers.provider import Provider


class Sends(BaseChatModel):
    """Counts what it sends."""

    name_of: str = "sends"
    sent: ClassVar[list[str]] = []

    @property
    def _llm_type(self) -> str:
        return "sends"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"name_of": self.name_of}

    def ask(self, text: str) -> str:
        Sends.sent.append(text)
        return f"answer {len(Sends.sent)}"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self.ask(messages[-1].text)))])


class Streams(Sends):
    def _stream(self, messages: Any, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk(content=self.ask(messages[-1].text)))


def made_itself(self: Any, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
    return self._generate(messages)  # type: ignore[no-any-return]


async def made_itself_awaited(self: Any, messages: Any, *args: Any, **kwargs: Any) -> ChatResult:
    return await self._agenerate(messages)  # type: ignore[no-any-return]


class Generates(Sends):
    """Overrides what LangChain looks answers up in."""

    _generate_with_cache = made_itself
    _agenerate_with_cache = made_itself_awaited


class Invokes(Sends):
    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> AIMessage:  # noqa: A002
        return AIMessage(self.ask(input))

    async def ainvoke(self, input: Any, config: Any = None, **kwargs: Any) -> AIMessage:  # noqa: A002
        return AIMessage(self._further(input))

    def stream(self, input: Any, config: Any = None, **kwargs: Any) -> Iterator[AIMessageChunk]:  # noqa: A002
        yield AIMessageChunk(content=self._further(input))

    async def astream(self, input: Any, config: Any = None, **kwargs: Any) -> AsyncIterator[AIMessageChunk]:  # noqa: A002
        yield AIMessageChunk(content=self.ask(input))

    def generate(self, messages: Any, *args: Any, **kwargs: Any) -> LLMResult:
        return LLMResult(generations=[[ChatGeneration(message=AIMessage(self.ask("generate")))]])

    def _further(self, text: str) -> str:
        return self.ask(text)


class StreamsItself(Streams):
    def stream(self, input: Any, config: Any = None, **kwargs: Any) -> Iterator[AIMessageChunk]:  # noqa: A002
        for chunk in self._stream(self._convert_input(input).to_messages()):
            yield chunk.message  # type: ignore[misc]


class Completes(LLM):
    name_of: str = "completes"

    @property
    def _llm_type(self) -> str:
        return "completes"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"name_of": self.name_of}

    def _call(self, prompt: str, *args: Any, **kwargs: Any) -> str:
        Sends.sent.append(prompt)
        return f"answer {len(Sends.sent)}"

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> str:  # noqa: A002
        return self._call(input)


async def _collected(items: Any) -> list[Any]:
    return [item async for item in items]


PAST_US: dict[str, Callable[[], Any]] = {
    "_generate_with_cache": lambda: Generates().invoke("q"),
    "_agenerate_with_cache": lambda: asyncio.run(Generates().ainvoke("q")),
    "invoke": lambda: Invokes().invoke("q"),
    "ainvoke": lambda: asyncio.run(Invokes().ainvoke("q")),
    "stream": lambda: list(Invokes().stream("q")),
    "astream": lambda: asyncio.run(_collected(Invokes().astream("q"))),
    "generate": lambda: Invokes().generate([["q"]]),
    "batch": lambda: Invokes().batch(["q"]),
    "stream of chunks": lambda: list(StreamsItself().stream("q")),
    "a completion model": lambda: Completes().invoke("q"),
}


@pytest.fixture(autouse=True)
def fresh() -> None:
    Sends.sent.clear()


@pytest.mark.parametrize("way", PAST_US)
def test_in_replay_nothing_is_sent_past_langchains_own_methods(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBCACHE_MODE", "replay")
    nbcache.install("memory://")
    with pytest.raises(ReplayMiss, match="past LangChain's own methods"):
        PAST_US[way]()
    assert not Sends.sent


@pytest.mark.parametrize("way", PAST_US)
def test_otherwise_it_is_made_each_time_counted_and_said_once(way: str) -> None:
    nbcache.install("memory://")
    with pytest.warns(NbcacheWarning, match="past LangChain's own methods") as warned:
        PAST_US[way]()
    PAST_US[way]()
    assert len(warned) == 1
    assert len(Sends.sent) == 2
    assert (nbcache.stats().misses, nbcache.stats().hits) == (2, 0)


def test_without_the_cache_the_methods_are_the_classs_own() -> None:
    before = dict(vars(Invokes)), dict(vars(BaseChatModel)), dict(vars(BaseLLM))
    nbcache.install("memory://")
    assert vars(Invokes)["invoke"] is not before[0]["invoke"]
    nbcache.uninstall()
    assert (dict(vars(Invokes)), dict(vars(BaseChatModel)), dict(vars(BaseLLM))) == before


def test_a_class_that_is_made_later_is_held_too() -> None:
    nbcache.install("memory://", mode="replay")

    class Later(Sends):
        def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> AIMessage:  # noqa: A002
            return AIMessage(self.ask(input))

    with pytest.raises(ReplayMiss):
        Later().invoke("q")
    assert not Sends.sent


class Leads(Streams):
    """Overrides everything, and leads to LangChain's own."""

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> AIMessage:  # noqa: A002
        return super().invoke(f"{input}!", config, **kwargs)

    def stream(self, input: Any, config: Any = None, **kwargs: Any) -> Iterator[AIMessageChunk]:  # noqa: A002
        yield from self._led(input)

    def _led(self, text: str) -> Iterator[AIMessageChunk]:
        return BaseChatModel.stream(self, text)

    def _generate_with_cache(self, *args: Any, **kwargs: Any) -> ChatResult:
        super()._generate_with_cache(*args, **kwargs)
        return super()._generate_with_cache(*args, **kwargs)

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        super()._generate(*args, **kwargs)
        return super()._generate(*args, **kwargs)


def test_what_leads_to_langchains_own_methods_is_cached_and_replayed() -> None:
    nbcache.install("memory://")
    model = Leads()
    first = model.invoke("q").text, "".join(chunk.text for chunk in model.stream("s"))
    sent = list(Sends.sent)
    assert sent == ["q!", "q!", "s"]
    with nbcache.mode("replay"):
        assert (model.invoke("q").text, "".join(chunk.text for chunk in model.stream("s"))) == first
        with pytest.raises(ReplayMiss, match="never recorded"):
            model.invoke("another")
    assert (model.invoke("q").text, "".join(chunk.text for chunk in model.stream("s"))) == first
    assert Sends.sent == sent


class Router(Sends):
    """Asks another model, or a chain."""

    _inner: Any = None

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:  # noqa: A002
        return self._inner.invoke(input)


def test_what_leads_to_another_model_is_that_models_affair() -> None:
    nbcache.install("memory://")
    for inner in (Streams(), RunnableLambda(lambda text: text) | Streams()):
        router = Router()
        router._inner = inner
        first = router.invoke("q").text
        with nbcache.mode("replay"):
            assert router.invoke("q").text == first
    assert len(Sends.sent) == 1


class Unstreamed(ChatOpenAI):
    """Streams no more."""

    _stream = BaseChatModel._stream
    _astream = BaseChatModel._astream


class Borrowed(ChatOpenAI):
    _stream = partialmethod(ChatOpenAI._stream)


@pytest.mark.parametrize("cls", [Unstreamed, Borrowed])
async def test_methods_that_are_taken_from_another_class_work(cls: Any, provider: Provider) -> None:
    nbcache.install("memory://")
    model = cls(model="gpt-4o-mini", **provider.openai)
    first = "".join(chunk.text for chunk in model.stream("q"))
    assert first
    assert "".join(chunk.text for chunk in model.stream("q")) == first
    assert "".join([chunk.text async for chunk in model.astream("q")]) == first
    assert model.invoke("q").text == first
    assert len(provider.requests) == 1


class Native(Sends):
    """Makes events without chunks."""

    def _stream_chat_model_events(self, messages: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        Sends.sent.append("events")
        yield from ()


@pytest.mark.skipif(not hasattr(BaseChatModel, "_iter_v2_events"), reason="LangChain has no such events yet")
def test_events_that_are_made_without_chunks_are_not_sent_in_replay() -> None:
    nbcache.install("memory://", mode="replay")
    with pytest.raises(ReplayMiss):
        list(Native().stream_events("q", version="v3"))
    assert not Sends.sent


class Completion(BaseLLM):
    """Streams its completions."""

    name_of: str = "completion"

    @property
    def _llm_type(self) -> str:
        return "completion"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"name_of": self.name_of}

    def _generate(self, prompts: Any, *args: Any, **kwargs: Any) -> LLMResult:
        return LLMResult(generations=[[Generation(text="x")] for _ in prompts])

    def _stream(self, prompt: str, *args: Any, **kwargs: Any) -> Iterator[GenerationChunk]:
        yield GenerationChunk(text="x")


def test_a_class_is_as_it_was_for_langchain_itself() -> None:
    nbcache.install("memory://")
    assert Completion().invoke("q") == "".join(Completion().stream("q")) == "x"
    assert nbcache.stats().hits == 1


EDITED = """
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

class Mine(BaseChatModel):
    word: str = "WORD"

    @property
    def _llm_type(self):
        return "mine"

    def _generate(self, messages, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=AIMessage("WORD"))])

    def _stream(self, messages, **kwargs):
        yield ChatGenerationChunk(message=AIMessageChunk(content="WORD"))
"""
OVERRIDES = """
    def stream(self, input, config=None, **kwargs):
        return super().stream(input, config, **kwargs)
"""


@pytest.mark.parametrize("source", [EDITED, EDITED + OVERRIDES], ids=["plain", "overrides"])
def test_a_module_that_autoreload_reads_again_works_and_is_still_held(
    source: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IPython puts the code of an edited method into the function that is there, if it is one."""
    name = f"edited_{len(source)}"
    module_file = tmp_path / f"{name}.py"
    module_file.write_text(source.replace("WORD", "first"))
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module(name)
    nbcache.install("memory://")
    model = module.Mine()
    assert next(chunk.text for chunk in model.stream("q")) == "first"
    module_file.write_text(source.replace("WORD", "another"))  # of another length: it need not be a second later
    superreload(module)  # type: ignore[no-untyped-call]
    with nbcache.mode("off"):
        assert next(chunk.text for chunk in module.Mine().stream("q")) == "another"
        list(model.stream("q"))
    for each in (model, module.Mine()):
        with nbcache.mode("replay"), pytest.raises(ReplayMiss):
            list(each.stream("never asked"))
    del sys.modules[name]


@pytest.mark.parametrize("cls", [Invokes, StreamsItself, Leads, Borrowed, Unstreamed])
def test_what_a_class_is_doesnt_change_by_being_watched(cls: type) -> None:
    """Its code counts in the key: as its author wrote it."""
    before = piece_of(cls).digest
    nbcache.install("memory://")
    wrapping = Wrapping()
    wrap_class(wrapping, cls)
    assert piece_of(cls).digest == before
    wrapping.remove()
    assert piece_of(cls).digest == before
