"""Why a call of a function missed: which argument, which name that its code uses, or that the code has changed."""

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

import nbcache
from nbcache import ReplayMiss

LIMIT = 3


def helper(number: int) -> int:
    return number + 1


@nbcache.memoize
def judge(question: str, scale: int = 5, table: list[int] | None = None) -> str:
    return question * helper(scale) * LIMIT


def changes(*args: Any, **kwargs: Any) -> tuple[str, ...]:
    """What `why` says of a call that is new."""
    judge(*args, **kwargs)
    why = nbcache.why()
    assert (why.reason, why.model) == ("new", "judge")
    return why.changes


def test_the_first_call_is_like_no_other(store: Path) -> None:
    judge("a")
    assert str(nbcache.why()) == "judge \"judge(question='a', scale=5, table=None)\": nothing like it was recorded"


def test_an_argument_is_named_with_what_it_was(store: Path) -> None:
    judge("a")
    assert changes("b") == ('argument question: "a" → "b"',)
    assert changes("a", 6) == ("argument scale: 5 → 6",)
    assert changes("a", table=[1]) == ("argument table: null → [1]",)
    assert changes("a", table=[*range(1_000)]) == ("argument table: [1] → a longer value",)
    assert changes("a", table=[*range(1_001)]) == ("argument table: another value",)
    judge("c")
    assert nbcache.why().text.startswith("a call of the same function is recorded as ")
    assert nbcache.why().nearest in {*nbcache.entries().key}


def test_a_name_that_the_code_uses_is_named(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge("a")
    monkeypatch.setattr("tests.integrations.functions.test_explained.LIMIT", 4)
    assert changes("a") == ("LIMIT: 3 → 4",)
    assert "the same arguments are recorded as" in nbcache.why().text


@nbcache.memoize
def styled(text: str) -> str:
    return text + os.environ.get("NBCACHE_TEST_STYLE", "plain")


def test_an_environment_variable_is_named(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NBCACHE_TEST_STYLE", raising=False)
    assert [styled("a"), styled("a"), styled.cache_info().misses] == ["aplain", "aplain", 1]
    monkeypatch.setenv("NBCACHE_TEST_STYLE", "confidential")
    assert styled("a") == "aconfidential"
    assert nbcache.why().changes == ("environment variable NBCACHE_TEST_STYLE: another value",)
    monkeypatch.delenv("NBCACHE_TEST_STYLE")
    assert [styled("a"), styled.cache_info().misses] == ["aplain", 2]


class Rubric:
    """What a class of the user's holds, and how it is graded."""

    def __init__(self, scale: int) -> None:
        self.scale = scale

    def grade(self) -> int:
        return self.scale


@dataclass
class Row:
    text: str
    marks: tuple[int, ...] = (1, 2)


class Case(BaseModel):
    day: date


@nbcache.memoize
def graded(thing: Any) -> str:
    return type(thing).__name__


@pytest.mark.parametrize(
    ("before", "now", "says"),
    [
        (Rubric(5), Rubric(6), "Rubric(scale=5) → Rubric(scale=6)"),
        ([Rubric(5)], {"a": Rubric(6)}, '[Rubric(scale=5)] → {"a": Rubric(scale=6)}'),
        (Row("a"), Row("b", (3,)), 'Row(marks=(1, 2), text="a") → Row(marks=(3,), text="b")'),
        (Case(day=date(2026, 1, 1)), {"a"}, 'Case(day=2026-01-01) → {"a"}'),
        (Rubric, Row, "Rubric → Row"),
        (ChatOpenAI(model="m", api_key="k"), ChatOpenAI(model="n", api_key="k"), "m → n"),
        (
            ChatOpenAI(model="m", api_key="k"),
            ChatOpenAI(model="m", api_key="k", temperature=0),
            "another m: its code or settings, or what it holds, have changed",
        ),
    ],
    ids=["an object", "in a list", "a dataclass", "pydantic", "a class", "a model", "a model's settings"],
)
def test_an_object_is_shown_without_digests(store: Path, before: Any, now: Any, says: str) -> None:
    graded(before)
    graded(now)
    assert [change.replace(f"{__name__}.", "") for change in nbcache.why().changes if "argument" in change] == [
        f"argument thing: {says}"
    ]


def test_a_model_among_the_arguments_is_listed_by_its_class_alone(store: Path) -> None:
    @nbcache.memoize
    def ask(model: Any, question: str) -> str:
        return f"{model.model_name}: {question}"

    ask(ChatOpenAI(model="m", api_key="k"), "a")
    [listed] = nbcache.entries()["prompt"]
    assert listed.endswith(".ask(model=ChatOpenAI, question='a')")


def test_an_edited_class_is_said_of_its_objects(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graded(Rubric(5))
    monkeypatch.setattr(Rubric, "grade", lambda self: self.scale + 1)
    graded(Rubric(5))
    [change] = nbcache.why().changes
    assert change.endswith("Rubric(scale=5): its code or settings, or what it holds, have changed")


def test_changed_code_is_said_and_so_is_a_version(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge("a")
    monkeypatch.setattr("tests.integrations.functions.test_explained.helper", lambda number: number + 2)
    assert changes("a") == ("its code has changed, or code of yours that it uses",)

    def versioned(version: str) -> str:
        @nbcache.memoize(version=version)
        def score() -> str:
            return version

        return score()

    assert [versioned("1"), versioned("1"), versioned("2")] == ["1", "1", "2"]
    assert nbcache.why().changes == ('version: "1" → "2"',)


def test_many_long_arguments_hide_no_function(store: Path) -> None:
    words = " ".join(f"antidisestablishment{number}" for number in range(400))
    judge(words)
    assert changes("short", 7) == ('argument question: a longer value → "short"', "argument scale: 5 → 7")


def test_a_miss_in_replay_says_so_too(store: Path) -> None:
    judge("a")
    nbcache.installed().ledger.index()
    with nbcache.mode("replay"), pytest.raises(ReplayMiss) as raised:
        judge("b")
    text = str(raised.value)
    assert text.startswith("in replay no function is run, and this call of judge")
    assert 'argument question: "a" → "b"' in text


def test_a_function_that_is_left_out_says_why(store: Path) -> None:
    with nbcache.mode("off"):
        judge("a")
    assert (nbcache.why().reason, nbcache.why().model) == ("off", "judge")
    nbcache.install(store, exclude="judge")
    judge("a")
    assert nbcache.why().reason == "excluded"
