"""Why a call of a function missed: which argument, which name that its code uses, or that the code has changed."""

import os
from pathlib import Path
from typing import Any

import pytest

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
