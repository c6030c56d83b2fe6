"""Methods: the object counts, all ways to reach one work, and all of them have what `functools` gives."""

import abc
import asyncio
import copy
import functools
import inspect
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nbcache
from tests.integrations.functions.runs import note, noted


@pytest.fixture
def runs(store: Path) -> Iterator[list[Any]]:
    with noted() as made:
        yield made


class Judge:
    def __init__(self, scale: int) -> None:
        self.scale = scale

    @nbcache.memoize
    def score(self, text: str) -> list[Any]:
        """How good."""
        note((type(self).__name__, self.scale, text))
        return [self.scale, text]

    @nbcache.memoize(ignore=("self",))
    def without_self(self, text: str) -> list[Any]:
        note(text)
        return [text]

    @classmethod
    @nbcache.memoize
    def below(cls, text: str) -> list[Any]:
        note((cls.__name__, text))
        return [cls.__name__, text]

    @nbcache.memoize
    @classmethod
    def above(cls, text: str) -> list[Any]:
        note((cls.__name__, text))
        return [cls.__name__, text]

    @staticmethod
    @nbcache.memoize
    def static(text: str) -> list[Any]:
        note(text)
        return [text]

    @nbcache.memoize
    @staticmethod
    def static_below(text: str) -> list[Any]:
        note(text)
        return [text]

    @property
    @nbcache.memoize
    def size(self) -> int:
        note("size")
        return self.scale

    @functools.cached_property
    @nbcache.memoize
    def kept(self) -> int:
        note("kept")
        return self.scale

    @nbcache.memoize
    def __call__(self, text: str) -> list[Any]:
        note(text)
        return [self.scale, text]

    @nbcache.memoize
    async def awaited(self, text: str) -> list[Any]:
        note(text)
        return [text]

    @nbcache.memoize
    def items(self, number: int) -> Iterator[int]:
        note(number)
        yield from range(number)


class Strict(Judge):
    def score(self, text: str) -> list[Any]:  # type: ignore[override]
        return ["strict", *super().score(text)]


class Plain(Judge):
    pass


def test_an_object_counts_by_its_class_and_state(runs: list[Any]) -> None:
    assert [Judge(1).score("a"), Judge(1).score("a"), Judge(2).score("a"), Plain(1).score("a")] == [
        [1, "a"],
        [1, "a"],
        [2, "a"],
        [1, "a"],
    ]
    assert runs == [("Judge", 1, "a"), ("Judge", 2, "a"), ("Plain", 1, "a")]
    judge = Judge(1)
    judge.scale = 3
    assert judge.score("a") == [3, "a"]
    assert [Judge(1).without_self("a"), Judge(2).without_self("a")] == [["a"], ["a"]]
    assert runs[3:] == [("Judge", 3, "a"), "a"]


def test_all_ways_to_reach_a_method_are_one_call(runs: list[Any]) -> None:
    judge = Judge(1)
    bound = judge.score
    assert judge.score("a") == Judge.score(judge, "a") == bound(text="a") == getattr(judge, "score")("a")  # noqa: B009
    assert len(runs) == 1
    assert judge.score.cache_key("a") == Judge.score.cache_key(judge, "a") == nbcache.entries().key[0]
    with pytest.raises(TypeError):
        judge.score.cache_key()  # type: ignore[call-arg]
    assert judge.score.cache_info()[1:] == Judge.score.cache_info()[1:]
    judge.score.cache_clear()
    assert nbcache.stats().entries == 0


def test_class_methods_and_static_ones_on_either_side_of_the_decorator(runs: list[Any]) -> None:
    owners: list[Any] = [Judge, Judge(1)]
    for owner in owners:
        assert (owner.below("a"), owner.above("a"), owner.static("a"), owner.static_below("b")) == (
            ["Judge", "a"],
            ["Judge", "a"],
            ["a"],
            ["b"],
        )
    assert runs == [("Judge", "a"), ("Judge", "a"), "a", "b"]
    assert Plain.below("a") == ["Plain", "a"]
    keys = {*nbcache.entries().key}
    methods: list[Any] = [Judge.below, Judge.above, Judge.static]
    assert {method.cache_key("a") for method in methods} <= keys


def test_properties_and_calls(runs: list[Any]) -> None:
    assert [Judge(1).size, Judge(1).size, Judge(1).kept, Judge(1).kept] == [1] * 4
    assert [Judge(1)("a"), Judge(1)("a")] == [[1, "a"], [1, "a"]]
    assert runs == ["size", "kept", "a"]


def test_a_subclass_reaches_its_parents_by_super(runs: list[Any]) -> None:
    assert Strict(1).score("a") == Strict(1).score("a") == ["strict", 1, "a"]
    assert runs == [("Strict", 1, "a")]


def test_async_methods_and_generators(runs: list[Any]) -> None:
    judge = Judge(1)
    assert inspect.iscoroutinefunction(judge.awaited)
    assert inspect.iscoroutinefunction(Judge.awaited)
    assert asyncio.iscoroutinefunction(judge.awaited) or inspect.iscoroutinefunction(judge.awaited)
    assert inspect.isgeneratorfunction(Judge.items)
    assert [asyncio.run(judge.awaited("a")) for _ in range(2)] == [["a"], ["a"]]
    assert [[*judge.items(2)] for _ in range(2)] == [[0, 1], [0, 1]]
    assert runs == ["a", 2]


def test_a_method_looks_like_one() -> None:
    judge = Judge(1)
    assert judge.score.__name__ == Judge.score.__name__ == "score"
    assert judge.score.__doc__ == Judge.score.__doc__ == "How good."
    assert str(inspect.signature(judge.score)) == "(text: str) -> list[typing.Any]"
    assert str(inspect.signature(Judge.score)) == "(self, text: str) -> list[typing.Any]"
    assert judge.score == judge.score
    assert hash(judge.score) == hash(judge.score)
    assert judge.score != Judge(1).score
    assert getattr(judge.score, "__self__") is judge  # noqa: B009 - as of any method
    assert "score" in repr(judge.score)
    assert inspect.isroutine(Judge.score)


def test_methods_go_through_pickles_and_copies() -> None:
    judge = Judge(1)
    assert pickle.loads(pickle.dumps(Judge.score)) is Judge.score
    assert pickle.loads(pickle.dumps(judge.score))("a") == [1, "a"]
    assert copy.deepcopy(judge).score("a") == [1, "a"]


def test_an_abstract_method_stays_abstract() -> None:
    class Base(abc.ABC):
        @nbcache.memoize
        @abc.abstractmethod
        def score(self) -> int: ...

    with pytest.raises(TypeError, match="abstract"):
        Base()  # type: ignore[abstract]
