"""`cache.get` and `cache.put`: what was put comes back as it was, to the same question and to no other."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.language_models import FakeListLLM
from langchain_core.messages import HumanMessage
from pydantic import BaseModel

import nbcache
from nbcache import NbcacheWarning, NotebookCache
from nbcache.codec.plain_store import prompt_and_identity
from nbcache.entry.records import Filter
from nbcache.keys.key import cache_key
from nbcache.ui.panel.board import Board
from tests.support.paths import ROOT

ASKED: list[dict[str, Any]] = [
    {"role": "system", "content": "Be terse."},
    {"role": "user", "content": [{"type": "text", "text": "What is a monad?"}]},
]


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[NotebookCache]:
    made = NotebookCache(tmp_path / "store")
    yield made
    made.close()


class City(BaseModel):
    name: str
    twin: "City | None" = None


# What comes back

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
).filter(lambda value: value is not None)


@given(json_values)
def test_json_comes_back_as_it_was(value: Any) -> None:
    cache = NotebookCache("memory://")
    cache.put("q", value, model="m")
    for _ in range(2):  # from the store, then from memory
        found = cache.get("q", model="m")
        assert found == value
        assert repr(found) == repr(value)  # 1, 1.0 and True are equal
    cache.close()


@pytest.mark.parametrize(
    "value",
    [
        *(0, False, "", "  ", [], {}, 2**70, -0.0, float("inf"), "\ud83d", {"!model": {"name": "City"}}),
        *((1, [2]), {3, 4}, frozenset({5}), b"\0\xff", {1: "one", None: 2}),
        *(datetime(2026, 11, 21, 9, 30, tzinfo=UTC), date(2026, 11, 21), Decimal("0.10"), UUID(int=7)),
        *(City(name="Bonn"), [City(name="Bonn", twin=City(name="Oxford"))], {"city": City(name="Köln")}),
    ],
)
def test_so_do_pythons_own_values_and_pydantic_objects(cache: NotebookCache, value: Any) -> None:
    cache.put("q", value, model="m")
    for _ in range(2):
        found = cache.get("q", model="m")
        assert found == value
        assert repr(found) == repr(value)
        assert type(found) is type(value)


def test_what_is_no_number_comes_back_too(cache: NotebookCache) -> None:
    cache.put("q", [float("nan")], model="m")
    assert repr(cache.get("q", model="m")) == "[nan]"


def test_each_get_has_an_object_of_its_own(cache: NotebookCache) -> None:
    value: dict[str, Any] = {"list": [1, (2, [3])], "city": City(name="Bonn")}
    cache.put("q", value, model="m")
    cache.put("plain", {"list": [1, (2, [3])]}, model="m")
    value["list"].append(4)
    for _ in range(3):
        for question in ("q", "plain"):
            found = cache.get(question, model="m")
            assert found["list"] == [1, (2, [3])]
            found["list"][1][1].append(4)
            found["list"].append(5)
        cache.get("q", model="m")["city"].name = "Köln"
        assert cache.get("q", model="m")["city"] == City(name="Bonn")


def test_a_later_put_replaces_an_earlier_one(cache: NotebookCache) -> None:
    for value in ("first", "second"):
        cache.put("q", value, model="m")
        assert cache.get("q", model="m") == value
    assert cache.stats().entries == 1


_ELSEWHERE = """
import sys
from nbcache import NotebookCache
from tests.codec.test_plain_store import ASKED, City

cache = NotebookCache(sys.argv[1])
found = cache.get(ASKED, model="m", temperature=0.5, seed=7)
if found is None:
    cache.put(ASKED, [City(name="Bonn"), (1.5, None)], model="m", seed=7, temperature=0.5)
print(found)
cache.close()
"""


@pytest.mark.slow
def test_a_new_process_gets_what_an_earlier_one_put(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _ELSEWHERE, str(tmp_path / "store")]
    said = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert said == ["None\n", "[City(name='Bonn', twin=None), (1.5, None)]\n"]


def test_an_object_whose_class_was_edited_or_is_gone_is_a_miss(
    cache: NotebookCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.put("q", City(name="Bonn"), model="m")

    class Edited(BaseModel):
        name: str
        country: str = "DE"

    Edited.__qualname__ = "City"
    monkeypatch.setitem(globals(), "City", Edited)
    assert cache.get("q", model="m") is None
    monkeypatch.delitem(globals(), "City")
    assert cache.get("q", model="m") is None
    monkeypatch.undo()
    assert cache.get("q", model="m") == City(name="Bonn")
    assert (cache.stats().hits, cache.stats().misses) == (1, 2)


# To the same question and to no other


def test_messages_are_the_same_in_whatever_order_their_names_stand(cache: NotebookCache) -> None:
    cache.put(ASKED, "terse", model="m", temperature=0, tools=[{"name": "f"}])
    again = [dict(reversed(message.items())) for message in ASKED]
    assert cache.get(again, model="m", tools=[{"name": "f"}], temperature=0) == "terse"


@pytest.mark.parametrize(
    ("messages", "params"),
    [
        (ASKED, {"model": "n"}),
        (ASKED, {"temperature": 1}),
        (ASKED, {"temperature": 0.0}),
        (ASKED, {"temperature": False}),
        (ASKED, {"temperature": "0"}),
        (ASKED, {"temperature": None}),
        (ASKED, {"top_p": 1}),
        (ASKED[::-1], {}),
        (ASKED[:1], {}),
        ([*ASKED, {}], {}),
        ([{**ASKED[0], "name": "x"}, ASKED[1]], {}),
        ([{**ASKED[0], "id": "x"}, ASKED[1]], {}),
        (str(prompt_and_identity(ASKED, "m", None, {})[0]), {}),
        ("What is a monad?", {}),
    ],
)
def test_whatever_else_differs_is_another_question(cache: NotebookCache, messages: Any, params: dict[str, Any]) -> None:
    cache.put(ASKED, "terse", model="m", temperature=0)
    assert cache.get(messages, **{"model": "m", "temperature": 0, **params}) is None


def test_what_cant_change_an_answer_does_not_count_and_no_key_reaches_the_disk(cache: NotebookCache) -> None:
    cache.put("q", 1, model="m", api_key="TOPSECRET-4711", timeout=5, auth_token="TOPSECRET-4712")
    assert cache.get("q", model="m", api_key="another", max_retries=3, auth_token="TOPSECRET-4712") == 1
    assert cache.get("q", model="m", auth_token="another") is None
    cache.close()
    files = [path for path in Path.cwd().rglob("*") if path.is_file()]
    assert files
    assert not any(b"TOPSECRET" in path.read_bytes() for path in files)


def test_a_models_answer_is_nobodys_value(tmp_path: Path) -> None:
    cache = nbcache.install(tmp_path / "store")
    FakeListLLM(responses=["said"]).invoke("q")
    assert cache.get("q", model="FakeListLLM") is None
    cache.put("q", "put", model="FakeListLLM")
    assert FakeListLLM(responses=["said"]).invoke("q") == "said"


def first_and_last(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The system prompt and what was asked last."""
    return [messages[0], messages[-1]]


def test_keys_stay_what_they_are() -> None:
    keys = [
        cache_key(*prompt_and_identity("What is a monad?", "m", None, {})),
        cache_key(*prompt_and_identity(ASKED, "m", None, {"temperature": 0.5, "stop": ["x"]})),
        cache_key(*prompt_and_identity(ASKED, "m", first_and_last, {})),
    ]
    assert keys == [
        "533b84109065b91e7c155b3e586f5b4b2b773de5",
        "abc818b3052b63c53d57066c706a3c084ee7e840",
        "b0eb581719fe6dd71af54c32f4157f49d5ef51ef",
    ]


# A part of the messages


def test_a_key_fn_that_is_no_function_is_refused(cache: NotebookCache) -> None:
    with pytest.raises(TypeError, match="key_fn='last': pass a function"):
        cache.get(ASKED, model="m", key_fn="last")  # type: ignore[arg-type]


def test_with_a_key_fn_only_what_it_returns_counts(cache: NotebookCache) -> None:
    between = [ASKED[0], {"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}, ASKED[1]]
    cache.put(between, "terse", model="m", key_fn=first_and_last)
    assert cache.get(ASKED, model="m", key_fn=first_and_last) == "terse"
    assert cache.get(ASKED, model="m", key_fn=lambda messages: messages[::-1]) is None
    assert cache.get(ASKED, model="n", key_fn=first_and_last) is None
    assert cache.get(ASKED, model="m", key_fn=first_and_last, seed=1) is None


def test_a_part_is_never_taken_for_the_whole(cache: NotebookCache) -> None:
    cache.put(ASKED, "all", model="m", key_fn=lambda messages: messages)
    cache.put("q", "text", model="m", key_fn=lambda text: text)
    assert cache.get(ASKED, model="m") is None
    assert cache.get("q", model="m") is None
    assert cache.get("another q", model="m", key_fn=lambda text: text[-1]) == "text"


class Always:
    def __init__(self, part: Any) -> None:
        self.part = part

    def __call__(self, _: Any) -> Any:
        return self.part


def test_parts_of_other_types_are_others(cache: NotebookCache) -> None:
    parts = ["1", 1, 1.0, True, [1], {"1": 1}, '"1"']
    for number, part in enumerate(parts):
        cache.put(ASKED, number, model="m", key_fn=Always(part))
    assert [cache.get(ASKED, model="m", key_fn=Always(part)) for part in parts] == [*range(len(parts))]


def test_what_a_key_fn_raises_is_raised(cache: NotebookCache) -> None:
    with pytest.raises(ZeroDivisionError):
        cache.get("q", model="m", key_fn=lambda _: 1 / 0)


def test_people_see_the_messages_and_not_the_part_that_counts(cache: NotebookCache) -> None:
    cache.put(ASKED, 1, model="m", key_fn=lambda _: "counts")
    (meta,) = cache.contents().entries()
    assert meta.prompt == "What is a monad?"
    assert cache.contents().read(meta.key).prompt == "system: Be terse.\n\nuser: What is a monad?"


def test_of_the_same_messages_different_parts_may_count(cache: NotebookCache) -> None:
    for number in range(2):
        cache.put(ASKED, number, model="m", key_fn=Always(str(number)))
    assert [cache.get(ASKED, model="m", key_fn=Always(part)) for part in ("0", "1", "")] == [0, 1, None]


# What is wrong is said


class Kind(StrEnum):
    A = "a"


class Local:
    @staticmethod
    def made() -> BaseModel:
        class Hidden(BaseModel):
            name: str = "x"

        return Hidden()


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def _itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [
        (None, ValueError, "value=None"),
        (object(), TypeError, "object"),
        ([{"deep": object()}], TypeError, "builtins.object"),
        (np.float64(1), TypeError, "numpy.float64"),
        (np.zeros(2), TypeError, "numpy.ndarray"),
        (Kind.A, TypeError, "Kind"),
        (HumanMessage("a library's class"), TypeError, "HumanMessage"),
        (Local.made(), TypeError, "Hidden"),
        (_itself(), ValueError, "holds itself"),
    ],
)
def test_a_value_that_would_not_come_back_is_refused(
    cache: NotebookCache, value: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        cache.put("q", value, model="m")
    assert cache.stats().entries == 0


@pytest.mark.parametrize(
    ("messages", "params", "error", "said"),
    [
        (None, {}, TypeError, "NoneType"),
        (b"q", {}, TypeError, "bytes"),
        ({"role": "user"}, {}, TypeError, "a dict is neither"),
        (tuple(ASKED), {}, TypeError, "a tuple is neither"),
        ([HumanMessage("q")], {}, TypeError, "a list with a HumanMessage"),
        (["q"], {}, TypeError, "a list with a str"),
        ([{"content": b"q"}], {}, TypeError, "bytes"),
        ([{"content": ("q",)}], {}, TypeError, "tuples"),
        ([{"content": {1: "q"}}], {}, TypeError, "names"),
        ([{"content": float("nan")}], {}, TypeError, "Out of range"),
        ([{"content": _itself()}], {}, TypeError, "Circular"),
        ([{"content": nested(100_000)}], {}, TypeError, "recursion"),
        ([{"a": 1, 2: 3}], {}, TypeError, "messages"),
        ("q", {"model": ""}, ValueError, "model"),
        ("q", {"model": None}, ValueError, "model"),
        ("q", {"seed": object()}, TypeError, "seed"),
        ("q", {"seed": _itself()}, TypeError, "seed"),
        ("q", {"key_fn": lambda _: None}, ValueError, "key_fn returned None"),
        ("q", {"key_fn": lambda _: object()}, TypeError, "key_fn"),
        ("q", {"key_fn": lambda _: ("a",)}, TypeError, "key_fn"),
    ],
)
def test_a_question_that_is_none_is_refused(
    cache: NotebookCache, messages: Any, params: dict[str, Any], error: type[Exception], said: str
) -> None:
    asked_for = {"model": "m", **params}
    with pytest.raises(error, match=said):
        cache.get(messages, **asked_for)
    with pytest.raises(error, match=said):
        cache.put(messages, 1, **asked_for)
    assert (cache.stats().misses, cache.stats().entries) == (0, 0)


def test_a_store_that_fails_is_a_miss_and_one_warning(cache: NotebookCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError("gone")

    for name in ("get", "put"):
        monkeypatch.setattr(cache.store, name, fail)
    with pytest.warns(NbcacheWarning, match="gone"):
        cache.put("q", 1, model="m")
    assert cache.get("q", model="m") is None
    assert cache.stats().errors == 2


@pytest.mark.parametrize("depth", [200, 300])  # JSON's fast reader and writer go down 254
def test_deep_values_come_back(cache: NotebookCache, depth: int) -> None:
    cache.put("q", nested(depth), model="m")
    assert cache.get("q", model="m") == nested(depth)


def test_values_that_are_too_deep_are_refused(cache: NotebookCache) -> None:
    with pytest.raises(ValueError, match="too many"):
        cache.put("q", nested(100_000), model="m")


# Modes, and what is counted


@pytest.mark.parametrize(
    ("mode", "found", "kept"),
    [("on", True, True), ("off", False, False), ("read-only", True, False), ("refresh", False, True)],
)
def test_the_modes_are_those_of_every_call(cache: NotebookCache, mode: str, found: bool, kept: bool) -> None:
    cache.put("old", "value", model="m")
    with nbcache.mode(mode, tags="mine"):
        assert cache.get("old", model="m") == ("value" if found else None)
        cache.put("new", 1, model="m")
    assert cache.get("new", model="m") == (1 if kept else None)
    assert [meta.tags for meta in cache.contents().page(Filter(tag="mine"))] == [("mine",)] * kept


def test_a_value_lives_as_long_as_the_settings_say(cache: NotebookCache, monkeypatch: pytest.MonkeyPatch) -> None:
    with nbcache.mode(ttl=60):
        cache.put("q", 1, model="m")
    (row,) = cache.contents().entries()
    assert row.expires == pytest.approx(row.created + 60, abs=5)


def test_samples_are_no_matter_to_values(cache: NotebookCache) -> None:
    with nbcache.mode(samples=True):
        cache.put("q", 1, model="m")
        assert [cache.get("q", model="m") for _ in range(3)] == [1, 1, 1]


def test_what_doesnt_count_in_a_prompt_doesnt_count_here(tmp_path: Path) -> None:
    cache = NotebookCache(tmp_path / "store", normalize=r"\d{4}-\d\d-\d\d")
    cache.put([{"role": "user", "content": "On 2026-11-21: go"}], 1, model="m")
    assert cache.get([{"role": "user", "content": "On 2026-11-22: go"}], model="m") == 1
    assert cache.get([{"role": "user", "content": "On 2026-11-22: stop"}], model="m") is None
    cache.close()


def test_gets_are_counted_and_money_is_never_made_up(tmp_path: Path) -> None:
    cache = nbcache.install(tmp_path / "store", prices={"gpt-4o-mini": {"input": 1, "output": 1}})
    assert cache.get(ASKED, model="gpt-4o-mini") is None
    cache.put(ASKED, "terse", model="gpt-4o-mini")
    cache.get(ASKED, model="gpt-4o-mini")
    found = cache.stats()
    assert (found.hits, found.misses) == (1, 1)
    assert (found.unpriced_hits, found.unpriced_misses) == (1, 1)
    assert not any((found.spent_usd, found.saved_usd, found.saved_seconds, found.estimated))
    calls = nbcache.last()
    assert list(calls["model"]) == ["gpt-4o-mini"] * 2
    (miss, hit) = cache.ledger.calls()
    assert (miss.hit, miss.answered, miss.why) == (False, True, "new")
    assert (hit.hit, hit.key) == (True, miss.key)


def test_a_put_that_nobody_asked_for_is_no_call(cache: NotebookCache) -> None:
    cache.put("q", 1, model="m")
    assert (cache.stats().hits, cache.stats().misses, cache.stats().entries) == (0, 0, 1)


# What people see


def test_people_see_the_conversation_and_the_value_and_find_them_by_their_words(cache: NotebookCache) -> None:
    called = {"id": "1", "type": "function", "function": {"name": "look_up", "arguments": '{"what": "Kleisli"}'}}
    messages = [*ASKED, {"role": "assistant", "content": None, "tool_calls": [called]}]
    cache.put(messages, {"city": City(name="Köln"), "when": date(2026, 11, 21)}, model="m", temperature=0.5)
    cache.ledger.index()
    for word in ("monad", "kleisli", "köln"):
        (found,) = cache.contents().page(Filter(words=(word,)))
        assert (found.model, found.status) == ("m", "ok")
    record = cache.contents().read(found.key)
    assert record.prompt == ('system: Be terse.\n\nuser: What is a monad?\n\nassistant: look_up({"what": "Kleisli"})')
    assert record.answer == '{"city": {"name": "Köln", "twin": null}, "when": "2026-11-21"}'
    assert record.identity["params"] == {"temperature": 0.5}
    entry = Board(cache).ask({"type": "entry", "key": found.key})
    assert [said["role"] for said in entry["prompt"]] == ["system", "user", "assistant"]
    assert entry["prompt"][1]["parts"][0]["text"] == "What is a monad?"
    assert ["Tokens", "not reported"] in entry["facts"]


def test_of_a_text_people_see_the_text(cache: NotebookCache) -> None:
    cache.put("What is a monad?", "a monoid", model="m")
    cache.put("What is nothing?", "", model="m")
    shown = {(meta.prompt, meta.answer, meta.status) for meta in cache.contents().entries()}
    assert shown == {("What is a monad?", "a monoid", "ok"), ("What is nothing?", '""', "ok")}


def test_what_has_no_words_of_its_own_is_shown_as_python_prints_it(cache: NotebookCache) -> None:
    cache.put("q", {(1, 2): 3}, model="m")
    (meta,) = cache.contents().entries()
    assert meta.answer == "{(1, 2): 3}"


# At the same time


def test_threads_that_put_and_get_never_get_anothers(cache: NotebookCache) -> None:
    def ask(number: int) -> bool:
        question = f"question {number % 10}"
        found = cache.get(question, model="m")
        if found is None:
            cache.put(question, {"to": question}, model="m")
            found = cache.get(question, model="m")
        return bool(found == {"to": question})

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(ask, range(200)))
    assert cache.stats().entries == 10


def test_who_misses_alongside_another_waits_for_nobody(cache: NotebookCache) -> None:
    def ask(_: int) -> Any:
        return cache.get("q", model="m")

    make: Callable[[], Any] = lambda: [cache.get("q", model="m"), cache.get("q", model="m")]  # noqa: E731
    assert make() == [None, None]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, range(8))) == [None] * 8
    cache.put("q", 1, model="m")
    assert make() == [1, 1]
