"""From a function's entry to the calls inside, and from a call to the functions around it."""

import threading
from pathlib import Path
from typing import Any

import nbcache
from nbcache import NotebookCache
from nbcache.stores import MemoryStore
from nbcache.ui.panel.board import Board
from tests.ui.panel.test_board import ask, cache, fake

__all__ = ["cache"]  # a fixture


def opened(prompt: str) -> dict[str, Any]:
    """The entry whose prompt begins so, as the panel shows it."""
    (key,) = (row["key"] for row in ask(Board(), "page")["rows"] if row["prompt"].startswith(prompt))
    return ask(Board(), "entry", key=key)


def key_of(prompt: str) -> str:
    return str(opened(prompt)["key"])


def names() -> Any:
    """Two functions, one of which calls the other."""
    model = fake("an answer")

    def judge(question: str) -> str:
        return model.invoke(question).text

    judge.__qualname__ = "judge"
    cached = nbcache.memoize(judge)

    def whole(question: str) -> list[str]:
        return [cached(question), model.invoke(question).text, model.invoke("another").text]

    whole.__qualname__ = "whole"
    return cached, nbcache.memoize(whole)


def test_a_function_leads_to_its_calls_and_each_of_these_back(cache: NotebookCache) -> None:
    judge, whole = names()
    whole("a boat?")
    judge("a raft?")
    entry = opened("whole(")
    boat, another = (
        {"key": key_of(prompt), "text": f"FakeListChatModel: {prompt}"} for prompt in ("a boat?", "another")
    )
    assert entry["inside"] == [boat | {"times": 2}, another | {"times": 1}]
    assert (entry["calls"], entry["more"], entry["unseen"]) == (3, 0, False)
    assert "around" not in entry
    around = opened("a boat?")["around"]
    assert {link["key"]: link["text"] for link in around} == {
        key_of("whole("): "whole(question='a boat?')",
        key_of("judge(question='a boat?'"): "judge(question='a boat?')",
    }
    assert [link["text"] for link in opened("a raft?")["around"]] == ["judge(question='a raft?')"]
    assert "inside" not in opened("a raft?")


def test_calls_that_lead_nowhere_are_said(cache: NotebookCache) -> None:
    judge, whole = names()
    whole("a boat?")
    ask(Board(), "evict", key=key_of("a boat?"))
    gone = {"key": None, "text": "FakeListChatModel: no longer stored", "times": 2}
    assert opened("whole(")["inside"][0] == gone
    ask(Board(), "evict", key=key_of("whole("))
    assert opened("another")["around"] == []
    assert judge("a boat?") == "an answer"  # its entry does not need that of the call


def test_calls_that_may_have_been_made_unseen_are_said(cache: NotebookCache) -> None:
    model = fake("an answer")

    @nbcache.memoize
    def threaded(question: str) -> str:
        thread = threading.Thread(target=model.invoke, args=(question,))
        thread.start()
        thread.join()
        return question

    threaded("q")
    entry = opened("test_calls_that_may")
    assert (entry["inside"], entry["unseen"]) == ([], True)


def test_of_many_calls_the_first_are_listed(cache: NotebookCache) -> None:
    model = fake("an answer")

    @nbcache.memoize
    def many() -> int:
        return len([model.invoke(str(number)) for number in range(60)])

    assert many() == 60
    entry = opened("test_of_many_calls")
    assert (len(entry["inside"]), entry["calls"], entry["more"]) == (50, 60, 10)


def test_a_store_that_can_not_search_leads_to_the_calls_inside(tmp_path: Path) -> None:
    class Plain(MemoryStore):
        index = similar = None  # type: ignore[assignment]  # a store of a user's own, without a search

    nbcache.install(Plain())
    _, whole = names()
    whole("a boat?")
    assert len(opened("whole(")["inside"]) == 2
    assert opened("another")["around"] == []
