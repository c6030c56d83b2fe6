"""`nbcache.on`: the user's own functions are called after hits, misses, stored answers and entries that are gone."""

import functools
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest
from langchain_openai import ChatOpenAI

import nbcache
from nbcache import Event, NbcacheWarning
from nbcache.costs import callbacks as module
from nbcache.costs.events import observation
from nbcache.costs.session_events import EVENTS
from nbcache.session import installation
from tests.servers.provider import Provider
from tests.support.clock import Clock

PRICES = {"gpt-4o-mini": {"request": 0.01}}
Heard = list[tuple[str, Event]]


def chat(provider: Provider) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o-mini", max_retries=0, **provider.openai)


def end_cell() -> None:
    nbcache.installed().leave_cell()


@pytest.fixture
def heard() -> Iterator[Heard]:
    """All events, each with its name."""
    events: Heard = []
    handles = [nbcache.on(name)(lambda event, name=name: events.append((name, event))) for name in EVENTS]  # type: ignore[misc]
    yield events
    for handle in handles:
        handle.cancel()


def names(heard: Heard) -> list[str]:
    return [name for name, _ in heard]


@pytest.fixture(params=["memory", "disk"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    place = "memory://" if request.param == "memory" else tmp_path / "store"
    return nbcache.install(place, prices=PRICES, tags="mine")


def test_a_call_that_is_made_is_a_miss_and_a_store_and_then_a_hit(provider: Provider, heard: Heard, cache: Any) -> None:
    for _ in range(2):
        chat(provider).invoke("q")
    end_cell()
    assert names(heard) == ["miss", "store", "hit"]
    key = nbcache.entries()["key"][0]
    (miss, store, hit) = (event for _, event in heard)
    for event in (miss, store, hit):
        assert (event.key, event.model, event.tags, event.usd) == (key, "gpt-4o-mini", ("mine",), Decimal("0.01"))
        assert event.seconds is not None
    assert (miss.why, store.why, hit.why) == ("new", "", "")


def test_a_record_is_frozen_and_public() -> None:
    assert [field.name for field in fields(Event)] == ["key", "model", "tags", "seconds", "usd", "why"]
    assert (Event.__module__, nbcache.on.__module__) == ("nbcache", "nbcache")
    with pytest.raises(FrozenInstanceError):
        Event("k", "m").key = "other"  # type: ignore[misc]


def test_the_end_of_a_cell_waits_for_nothing_more(provider: Provider, heard: Heard, cache: Any) -> None:
    for number in range(20):
        cache.enter_cell(f"cell {number}")
        chat(provider).invoke(f"{number}")
        chat(provider).invoke(f"{number}")
        cache.leave_cell()
        assert names(heard) == ["miss", "store", "hit"] * (number + 1)


def test_without_a_cell_it_is_called_within_a_second(provider: Provider, cache: Any) -> None:
    called = threading.Event()
    nbcache.on("store")(lambda _: called.set())
    chat(provider).invoke("q")
    assert called.wait(1)


def test_the_caller_never_waits_for_a_callback(provider: Provider, cache: Any) -> None:
    go, began = threading.Event(), threading.Event()

    @nbcache.on("store")
    def waits(_: Event) -> None:
        began.set()
        go.wait(30)

    model = chat(provider)
    model.invoke("q")
    assert began.wait(5)
    for _ in range(20):
        model.invoke("q")  # does not wait
    go.set()


def test_a_callback_that_takes_too_long_holds_up_a_cell_for_some_seconds_only(
    provider: Provider, cache: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    go, done = threading.Event(), threading.Event()

    @nbcache.on("store")
    def waits(_: Event) -> None:
        go.wait(30)
        done.set()

    for number in range(8):  # more than nbcache has threads
        chat(provider).invoke(f"{number}")
        end_cell()
    assert nbcache.stats().misses == 8
    go.set()
    assert done.wait(5)


# What `on` returns


def test_a_decorated_function_can_be_called_and_cancelled(provider: Provider, cache: Any) -> None:
    got: list[Any] = []

    @nbcache.on("hit")
    @nbcache.on("miss")
    def note(event: Any) -> int:
        """Note it."""
        got.append(event)
        return len(got)

    assert note("by hand") == 1
    assert (vars(note)["__name__"], note.__doc__) == ("note", "Note it.")
    for _ in range(2):
        chat(provider).invoke("q")
    end_cell()
    assert len(got) == 3
    note.cancel()
    note.cancel()
    chat(provider).invoke("q")
    chat(provider).invoke("r")
    end_cell()
    assert len(got) == 3
    assert observation.by is None


def test_a_function_of_a_notebook_that_is_defined_again_is_called_once(provider: Provider, cache: Any) -> None:
    cell = "import nbcache\n@nbcache.on('store')\ndef note(event): got.append(event)"
    namespace: dict[str, Any] = {"__name__": "__main__", "got": []}
    for _ in range(3):
        exec(cell, namespace)
    chat(provider).invoke("q")
    end_cell()
    assert len(namespace["got"]) == 1


def test_methods_partials_and_objects_can_be_callbacks(provider: Provider, cache: Any) -> None:
    got: list[str] = []

    class Notes:
        def method(self, _: Event) -> None:
            got.append("method")

        def __call__(self, _: Event) -> None:
            got.append("object")

    for function in (Notes().method, Notes(), functools.partial(lambda name, _: got.append(name), "partial")):
        nbcache.on("store")(function)
    chat(provider).invoke("q")
    end_cell()
    assert got == ["method", "object", "partial"]


async def _later(_: Event) -> None: ...


@pytest.mark.parametrize("function", [3, None, _later], ids=["a number", "nothing", "a coroutine function"])
def test_what_cannot_be_called_is_refused(function: Any) -> None:
    with pytest.raises(TypeError, match="give a plain function"):
        nbcache.on("hit")(function)


@pytest.mark.parametrize("event", ["hits", "", None, ["hit"]], ids=str)
def test_another_event_is_refused(event: Any) -> None:
    with pytest.raises(ValueError, match=r'write one of @nbcache\.on\("hit"\), @nbcache\.on\("miss"\)'):
        nbcache.on(event)


# How long they last


def test_they_outlive_installs_and_end_with_uninstall(provider: Provider, heard: Heard, cache: Any) -> None:
    chat(provider).invoke("q")
    installation.reinstall(max_entries=5)
    end_cell()
    assert names(heard) == ["miss", "store"]
    chat(provider).invoke("q")
    nbcache.uninstall()
    assert names(heard) == ["miss", "store", "hit"]
    nbcache.install("memory://")
    chat(provider).invoke("q")
    end_cell()
    assert len(heard) == 3


def test_they_may_be_there_before_the_cache_is_on(provider: Provider, heard: Heard) -> None:
    nbcache.install("memory://")
    chat(provider).invoke("q")
    end_cell()
    assert names(heard) == ["miss", "store"]


def test_what_is_not_yet_delivered_is_at_the_end_of_the_process(provider: Provider, tmp_path: Path) -> None:
    script = """
import sys, nbcache
from langchain_openai import ChatOpenAI
nbcache.install(sys.argv[2])
@nbcache.on("store")
@nbcache.on("hit")
def note(event):
    with open(sys.argv[3], "a") as file:
        file.write(event.model + "\\n")
model = ChatOpenAI(model="m", base_url=sys.argv[1], api_key="k")
model.invoke("q")
model.invoke("q")
"""
    log = tmp_path / "log"
    arguments = [provider.openai["base_url"], str(tmp_path / "store"), str(log)]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, timeout=60)
    assert log.read_text() == "m\nm\n"


# What goes wrong, and what they do themselves


def test_one_that_fails_is_warned_of_once_and_the_next_still_run(provider: Provider, cache: Any) -> None:
    got: list[Event] = []

    @nbcache.on("hit")
    def fails(event: Event) -> None:
        raise ZeroDivisionError("no")

    nbcache.on("hit")(got.append)
    model = chat(provider)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(4):
            model.invoke("q")
            end_cell()
    assert "fails, which is called after each hit, failed: ZeroDivisionError('no')" in str(caught[0].message)
    assert [each.category for each in caught] == [NbcacheWarning]
    assert len(got) == 3


def test_one_that_exits_is_one_that_fails(provider: Provider, heard: Heard, cache: Any) -> None:
    nbcache.on("store")(lambda _: sys.exit(3))
    chat(provider).invoke("q")
    with pytest.warns(NbcacheWarning, match="SystemExit"):
        end_cell()
    assert names(heard) == ["miss", "store"]


@pytest.mark.parametrize("fails", [False, True], ids=["answered", "failing"])
def test_a_callback_may_make_calls_and_is_not_called_for_its_own(
    fails: bool, provider: Provider, heard: Heard, cache: Any
) -> None:
    made: list[str] = []

    @nbcache.on("miss")
    def asks_more(event: Event) -> None:
        made.append(event.why)
        if fails:
            provider.fail(500)
        try:
            chat(provider).invoke(f"follow-up {len(made)}")
        except openai.InternalServerError:
            assert fails

    chat(provider).invoke("q")
    end_cell()
    assert made == ["new"]
    assert names(heard) == (["miss", "store", "miss"] if fails else ["miss", "store", "miss", "store"])
    chat(provider).invoke("q")
    end_cell()
    assert made == ["new"]


def test_two_that_follow_each_other_come_to_an_end(provider: Provider, cache: Any) -> None:
    made: list[str] = []

    def asks(name: str) -> Callable[[Event], None]:
        def ask(_: Event) -> None:
            made.append(name)
            chat(provider).invoke(f"{name} {len(made)}")

        return ask

    for name in "ab":
        nbcache.on("miss")(asks(name))
    chat(provider).invoke("q")
    end_cell()
    assert sorted(made) == ["a", "a", "b", "b"]


def test_a_callback_may_use_the_api(provider: Provider, cache: Any) -> None:
    rates: list[float] = []

    @nbcache.on("hit")
    def look(_: Event) -> None:
        rates.append(nbcache.stats().hit_rate)
        nbcache.installed().leave_cell()

    for _ in range(2):
        chat(provider).invoke("q")
    end_cell()
    assert rates == [0.5]


# Misses


def test_a_call_that_fails_is_a_miss_without_a_price(provider: Provider, heard: Heard, cache: Any) -> None:
    provider.fail(500)
    with pytest.raises(openai.InternalServerError):
        chat(provider).invoke("q")
    end_cell()
    assert [(name, event.why, event.usd, event.seconds) for name, event in heard] == [("miss", "new", None, None)]


def test_a_call_that_is_tried_again_is_one_miss_with_its_price(provider: Provider, heard: Heard, cache: Any) -> None:
    provider.fail(500)
    client = openai.OpenAI(**provider.openai, max_retries=1)
    client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "q"}])
    end_cell()
    assert [(name, event.usd) for name, event in heard] == [("miss", Decimal("0.01")), ("store", Decimal("0.01"))]


def test_misses_say_why_and_what_is_not_stored_is_no_store(provider: Provider, heard: Heard, cache: Any) -> None:
    for mode in ("off", "read-only", "refresh"):
        with nbcache.mode(mode):
            chat(provider).invoke(mode)
    end_cell()
    assert [(name, event.why) for name, event in heard] == [
        ("miss", "off"),
        ("miss", "new"),
        ("miss", "refresh"),
        ("store", ""),
    ]
    assert heard[0][1].key is None


def test_a_call_that_still_runs_is_no_event_until_it_is_answered(provider: Provider, heard: Heard, cache: Any) -> None:
    with ThreadPoolExecutor(1) as pool, provider.hold() as go:
        call = pool.submit(chat(provider).invoke, "q")
        provider.wait_for(1)
        end_cell()
        assert heard == []
        go.set()
        call.result()
    end_cell()
    assert names(heard) == ["miss", "store"]


def test_what_is_put_by_hand_is_a_store(heard: Heard, cache: Any) -> None:
    cache.put("question", 1, model="m")
    assert cache.get("question", model="m") == 1
    end_cell()
    assert names(heard) == ["store", "hit"]
    assert (heard[0][1].model, heard[0][1].tags) == ("m", ("mine",))


def test_functions_are_events_beside_the_calls_inside(provider: Provider, heard: Heard, cache: Any) -> None:
    """What the calls inside paid is theirs; the entry of the function cost it, and a hit of it saves it."""
    model = chat(provider)

    @nbcache.memoize(tags="eval", ignore=("model",))
    def judge(question: str) -> str:
        return str(model.invoke(question).text)

    for _ in range(2):
        judge("q")
    end_cell()
    cent, nothing, both = Decimal("0.01"), Decimal(0), ("mine", "eval")
    name = judge.__qualname__
    assert [(each, event.model, event.tags, event.usd) for each, event in heard] == [
        ("miss", "gpt-4o-mini", ("mine",), cent),
        ("store", "gpt-4o-mini", ("mine",), cent),
        ("miss", name, both, nothing),
        ("store", name, both, cent),
        ("hit", name, both, cent),
    ]


# Entries that are gone


def gone(heard: Heard) -> list[tuple[str | None, str, tuple[str, ...], str]]:
    return [(event.key, event.model, event.tags, event.why) for name, event in heard if name == "evict"]


def test_evicting_and_clearing_say_what_is_gone(provider: Provider, heard: Heard, cache: Any) -> None:
    for question in "abc":
        chat(provider).invoke(question)
    end_cell()
    keys = {event.key for name, event in heard if name == "store"}
    first = nbcache.evict(nbcache.entries()["key"][0])
    nbcache.clear(dry_run=True)
    nbcache.clear()
    end_cell()
    assert gone(heard)[0] == (first.key, "gpt-4o-mini", ("mine",), "evicted")
    assert {row[0] for row in gone(heard)} == keys
    assert [row[3] for row in gone(heard)] == ["evicted", "cleared", "cleared"]
    assert {event.usd for name, event in heard if name == "evict"} == {Decimal("0.01")}


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_what_the_bounds_evict_is_an_event(place: str, provider: Provider, heard: Heard, tmp_path: Path) -> None:
    nbcache.install("memory://" if place == "memory" else tmp_path / "store", max_entries=2, tags="mine", prices=PRICES)
    for question in "abcd":
        chat(provider).invoke(question)
        end_cell()
    keys = [event.key for name, event in heard if name == "store"]
    assert gone(heard) == [(key, "gpt-4o-mini", ("mine",), "bound") for key in keys[:2]]
    assert {event.usd for name, event in heard if name == "evict"} == {Decimal("0.01")}
    installation.reinstall(tags="others")
    chat(provider).invoke("e")
    end_cell()
    assert [row[0] for row in gone(heard)] == keys[:3], "once, although two caches have had this store"


def test_an_expiry_is_an_event_once_when_it_is_noticed(
    provider: Provider, heard: Heard, clock: Clock, tmp_path: Path
) -> None:
    nbcache.install(tmp_path / "store", ttl="1h", tags="mine")
    chat(provider).invoke("q")
    end_cell()
    clock.ahead = 3601
    end_cell()
    assert gone(heard) == []
    with nbcache.mode("read-only"):
        for _ in range(2):
            chat(provider).invoke("q")
        end_cell()
    assert gone(heard) == [(heard[0][1].key, "gpt-4o-mini", ("mine",), "expired")]
    assert names(heard) == ["miss", "store", "evict", "miss", "miss"]


# Threads and processes


def test_events_of_many_threads_are_all_there_and_each_call_is_in_order(
    provider: Provider, heard: Heard, cache: Any
) -> None:
    def ask(number: int) -> None:
        for _ in range(3):
            chat(provider).invoke(f"{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(16)))
    end_cell()
    by_key: dict[str | None, list[str]] = {}
    for name, event in heard:
        by_key.setdefault(event.key, []).append(name)
    assert list(by_key.values()) == [["miss", "store", "hit", "hit"]] * 16


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_calls_of_a_forked_child_are_events_in_the_parent(provider: Provider, heard: Heard, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store")
    model = chat(provider)
    model.invoke("q")
    end_cell()
    child = os.fork()
    if child == 0:
        try:
            model.invoke("q")
            end_cell()
            os._exit(0 if len(heard) == 2 else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    end_cell()
    assert names(heard) == ["miss", "store", "hit"]
