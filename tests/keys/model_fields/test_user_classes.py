"""Model classes of the user's own whose fields have LangChain's names, and mean something else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import LLM, BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

import nbcache
from nbcache.errors import ReplayMiss


class Words(LLM):
    """A completion model: LangChain asks no rate limiter for it."""

    rate_limiter: Any = None
    n: Any = None
    timeout: Any = None
    calls: list[str] = []  # noqa: RUF012 - a pydantic field

    @property
    def _llm_type(self) -> str:
        return "words"

    def _call(self, prompt: str, *args: Any, **kwargs: Any) -> str:
        self.calls.append(prompt)
        return "word"


class Chat(BaseChatModel):
    """A chat model that streams in one piece."""

    rate_limiter: Any = None
    calls: list[Any] = []  # noqa: RUF012 - as above

    @property
    def _llm_type(self) -> str:
        return "chat"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.calls.append(messages)
        return ChatResult(generations=[ChatGeneration(message=AIMessage("Hi."))])

    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        self.calls.append(messages)
        yield ChatGenerationChunk(message=AIMessageChunk(content="Hi.", response_metadata={"finish_reason": "stop"}))


class Positional:
    """A limiter that isn't one of LangChain's, and that its owner asks by position."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def acquire(self, blocking: bool = True) -> bool:
        self.asked.append(blocking)
        return True


@pytest.mark.parametrize("value", ["fast", 5, {"per_second": 3}, object, ["a"]])
def test_a_rate_limiter_that_is_none_of_langchains_is_in_nobodys_way(value: Any, store: Path) -> None:
    del store
    model = Words(rate_limiter=value)
    assert [model.invoke("q"), model.invoke("q")] == ["word"] * 2
    assert list(model.stream("s")) == ["word"]
    assert model.calls == ["q", "s"]


def test_a_limiter_without_the_async_half_is_asked_as_its_owner_wrote_it(store: Path) -> None:
    del store
    limiter = Positional()
    model = Chat(rate_limiter=limiter)
    assert model.invoke("q").content == model.invoke("q").content == "Hi."
    assert limiter.asked == [True]
    assert "".join(str(chunk.content) for chunk in model.stream("s")) == "Hi."
    assert limiter.asked == [True, True]
    assert limiter.acquire(False)
    assert limiter.asked[-1] is False


@pytest.mark.parametrize("n", [3, "many", object()])
def test_other_fields_that_share_a_name_are_no_matter(n: Any, store: Path) -> None:
    del store
    model = Words(n=n, timeout=lambda: 5)
    assert model.invoke("q") == "word"
    assert model.batch(["a", "b"]) == ["word", "word"]


@pytest.mark.parametrize("tags", ["draft", ("draft", "b"), {"draft"}])
def test_tags_in_another_form_still_exclude(tags: Any, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store", exclude="draft")
    model = Words()
    model.__dict__["tags"] = tags
    assert [model.invoke("q"), model.invoke("q")] == ["word"] * 2
    assert len(model.calls) == 2


@pytest.mark.parametrize("name", ["tags", "metadata"])
@pytest.mark.parametrize("value", [["a", {"b": 1}], [1], (), {"x": object()}])
def test_tags_and_metadata_are_whatever_they_are(name: str, value: Any, tmp_path: Path) -> None:
    bare = Words()
    bare.__dict__[name] = value
    alone = outcome(bare)
    nbcache.install(tmp_path / "store", exclude="draft")
    model = Words()
    model.__dict__[name] = value
    assert outcome(model) == alone


def outcome(model: Words) -> str:
    """What a call answers, or how it fails."""
    try:
        return model.invoke("q")
    except Exception as error:  # noqa: BLE001 - LangChain's own, with or without the cache
        return type(error).__name__


def test_a_model_that_cannot_be_asked_is_called_without_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbcache.integrations.langchain import stream_wrappers

    nbcache.install(tmp_path / "store")
    model = Words()

    def fails(*_: object) -> None:
        raise RuntimeError("no such class")

    monkeypatch.setattr(stream_wrappers, "wrap_chunks", fails)
    with pytest.warns(UserWarning, match="no such class"):
        assert model.invoke("q") == "word"
    assert model.invoke("q") == "word"
    assert model.calls == ["q", "q"]
    nbcache.install(tmp_path / "store", mode="replay")
    with pytest.raises(ReplayMiss, match="no such class"):
        model.invoke("q")
    assert model.calls == ["q", "q"]
