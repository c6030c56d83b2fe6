"""The answer to a call is kept under the settings that the call began with, whatever is set meanwhile."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI

import nbcache
from tests.servers.provider import Provider


class Mine(BaseChatModel):
    """Counts its calls, and says what it was set to when it was asked."""

    tone: str = "kind"
    level: int = 0
    calls: int = 0
    meanwhile: ClassVar[Callable[[Any], None]] = staticmethod(lambda _: None)

    @property
    def _llm_type(self) -> str:
        return "mine"

    def _said(self) -> str:
        said = f"{self.tone} {self.level}"
        self.calls += 1
        type(self).meanwhile(self)
        return said

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self._said()))])

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk(content=self._said()))

    def more(self) -> None:
        """A setting that a method of the class raises."""
        self.level += 1


WAYS: dict[str, Callable[[Mine], str]] = {
    "invoke": lambda model: model.invoke("q").text,
    "stream": lambda model: "".join(chunk.text for chunk in model.stream("q")),
    "ainvoke": lambda model: asyncio.run(model.ainvoke("q")).text,
}


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    nbcache.install("memory://")
    yield
    Mine.meanwhile = staticmethod(lambda _: None)


def _elsewhere(change: Callable[[Any], None]) -> Callable[[Any], None]:
    """The change, made by another thread."""

    def meanwhile(model: Any) -> None:
        thread = threading.Thread(target=change, args=(model,))
        thread.start()
        thread.join()

    return meanwhile


CHANGES: dict[str, Callable[[Any], None]] = {
    "a text": lambda model: setattr(model, "tone", "stern"),
    "a number": lambda model: setattr(model, "level", 3),
    "a number, by a method": lambda model: model.more(),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("change", CHANGES)
def test_what_is_set_while_a_call_is_under_way_counts_for_the_next(way: str, change: str) -> None:
    model = Mine()
    Mine.meanwhile = staticmethod(_elsewhere(CHANGES[change]))
    assert WAYS[way](model) == "kind 0"
    Mine.meanwhile = staticmethod(lambda _: None)
    assert WAYS[way](model) != "kind 0"  # it is set otherwise by now
    assert WAYS[way](Mine()) == "kind 0"
    assert WAYS[way](Mine(tone="stern")) == "stern 0"
    assert WAYS[way](Mine(level=3)) == "kind 3"


def test_the_same_holds_for_a_providers_class(provider: Provider) -> None:
    model = ChatOpenAI(model="gpt-4o-mini", temperature=0.0, **provider.openai)
    chunks = model.stream("q")
    first = next(chunks).text
    model.temperature = 1.0
    cold = first + "".join(chunk.text for chunk in chunks)
    assert model.invoke("q").text != cold
    model.temperature = 0.0
    assert model.invoke("q").text == cold
    assert len(provider.requests) == 2


def test_a_block_that_no_with_takes_says_so_where_a_notebook_shows_it() -> None:
    assert "nothing is switched yet. Write `with nbcache.mode(…):`" in repr(nbcache.mode("off"))
