"""What users have hold of says `nbcache` as its module: no pickle, no traceback and no page of docs has our layout."""

import base64
import concurrent.futures
import copy
import importlib
import inspect
import json
import multiprocessing
import pickle
import subprocess
import sys
import traceback
import typing
import warnings
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

import nbcache
from nbcache import errors, stores
from nbcache.errors import AmbiguousKeyError, DamagedError, ReplayMiss, StoreError, UnstableIdentityError
from tests.support.paths import GOLDEN

META = nbcache.EntryMeta(
    "0" * 40, "m", "p", "a", "ok", 1.0, ("t",), ("n.ipynb",), cost_usd=Decimal("0.25"), charged=True
)
RECORDS = [
    META,
    nbcache.Stats(2, 1, 0, 3, 4, spent_usd=Decimal("0.5"), model_seconds=2.0),
    nbcache.Record(META, "prompt", "answer", {"model": "m"}, {"nbcache": "0.5.0"}),
    nbcache.Info(True, "0" * 40, datetime(2026, 1, 1, tzinfo=UTC)),
    nbcache.Cleared(1, 2, 3, (META,)),
    nbcache.Plan("this", 2, (nbcache.PlannedMiss("0" * 40, "m", "new", 1, None, False),)),
    nbcache.Why("m", "p", "new", "it is new"),
    nbcache.Event("0" * 40, "m", ("t",), 1.5, Decimal("0.25"), "new"),
    nbcache.Exported(Path("a.jsonl"), 1, 2, changed=True, scrubbed={"k": ["a key"]}),
    nbcache.Warmed(2, 1, usd=Decimal("0.25"), seconds=1.5, calls=2),
    nbcache.Imported(Path("a.jsonl"), 1, 0, (), "store"),
]
ERRORS = [
    StoreError("x"),
    DamagedError("x", newer=True),
    ReplayMiss("x", "key"),
    AmbiguousKeyError("x", ["a", "b"]),
    UnstableIdentityError("cause", "x"),
]


def kind(thing: object) -> str:
    return type(thing).__name__


@pytest.mark.parametrize("name", nbcache.__all__)
def test_a_public_name_is_nbcaches_own(name: str) -> None:
    thing = getattr(nbcache, name)
    assert thing.__module__ == "nbcache"
    assert pickle.loads(pickle.dumps(thing)) is thing
    assert inspect.getdoc(thing)


def test_every_error_is_a_public_name() -> None:
    found = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, BaseException)]
    assert {each.__name__ for each in found} <= {*nbcache.__all__}


def test_stores_are_of_the_package_that_hands_them_on() -> None:
    assert {getattr(stores, name).__module__ for name in ("DiskStore", "MemoryStore")} == {"nbcache.stores"}


@pytest.mark.parametrize("record", RECORDS, ids=kind)
def test_a_record_goes_through_a_pickle_without_our_layout(record: Any) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        written = pickle.dumps(record, protocol)
        assert pickle.loads(written) == record
        assert b"nbcache." not in written
    assert copy.deepcopy(record) == record
    first = fields(record)[0].name
    assert replace(record, **{first: getattr(record, first)}) == record
    assert asdict(record)
    assert typing.get_type_hints(type(record)).keys() == {field.name for field in fields(record)}
    assert TypeAdapter(type(record)).validate_python(record) == record


def test_a_record_reads_the_pickle_of_a_release_with_other_fields() -> None:
    values = META.__getstate__() | {"of_tomorrow": 1}  # type: ignore[operator]
    del values["charged"]
    other = object.__new__(nbcache.EntryMeta)
    other.__setstate__(values)  # type: ignore[attr-defined]
    assert other == replace(META, charged=False)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", json.loads((GOLDEN / "pickles_v0.4.0.json").read_text()))
def test_a_pickle_of_0_4_is_read(name: str) -> None:
    thing = pickle.loads(base64.b64decode(json.loads((GOLDEN / "pickles_v0.4.0.json").read_text())[name]))
    assert type(thing).__name__ == name
    assert repr(thing)
    if name == "EntryMeta":
        assert (thing.cost_usd, thing.seconds, thing.charged) == (Decimal("0.25"), 1.5, False)
    if name == "Stats":
        assert (thing.hits, thing.spent_usd, thing.model_seconds) == (2, Decimal("0.5"), 0.0)
    if name == "AmbiguousKeyError":
        assert thing.candidates == ["a"]


@pytest.mark.parametrize("error", ERRORS, ids=kind)
def test_an_error_crosses_processes_whole_and_its_traceback_names_nbcache(error: BaseException) -> None:
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        other = pool.submit(copy.copy, error).result(timeout=100)
    assert type(other) is type(error)
    assert (str(other), other.args, vars(other)) == (str(error), error.args, vars(error))
    (line,) = traceback.format_exception_only(other)
    assert line == f"nbcache.{type(error).__name__}: x\n"


def test_functions_show_their_source_and_say_what_they_take() -> None:
    for name in nbcache.__all__:
        thing = getattr(nbcache, name)
        if inspect.isfunction(thing):
            assert f"def {name}(" in inspect.getsource(thing)
            assert inspect.signature(thing)
    assert typing.get_type_hints(nbcache.plan)["return"] is nbcache.Plan
    assert typing.get_type_hints(nbcache.export_cassette)["return"] is nbcache.Exported
    assert "def lookup" in inspect.getsource(nbcache.NotebookCache.lookup)


# Earlier paths


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("nbcache.cache", "NotebookCache"),
        ("nbcache.keys", "cache_key"),
        ("nbcache.session", "install"),
        ("nbcache.session", "plan"),
        ("nbcache.session", "is_installed"),
        ("nbcache.stores", "DiskStore"),
        ("nbcache.stores", "Store"),
        ("nbcache.stores", "open_store"),
        ("nbcache.codec", "read"),
        ("nbcache.entry", "EntryMeta"),
        ("nbcache.entry", "Filter"),
        ("nbcache.errors", "StoreError"),
        ("nbcache.pytest_plugin", "pytest_addoption"),
    ],
)
def test_names_go_on_under_their_earlier_paths(module: str, name: str) -> None:
    code = f"from {module} import {name}; assert callable({name})"  # in a process that has imported nothing else
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize(
    ("module", "name", "now"),
    [
        ("nbcache.codec", "About", "nbcache.codec.header.EntryHeader"),
        ("nbcache.codec", "HEADER_LENGTH", "nbcache.codec.payload.PREAMBLE_LENGTH"),
        ("nbcache.codec", "fresh", "nbcache.codec.messages.fresh"),
        ("nbcache.keys", "replay_key", "nbcache.replay.replay_key.replay_key"),
        ("nbcache.session", "listen", "nbcache.concurrency.change_listeners.listen"),
        ("nbcache.entry", "KEY_LENGTH", "nbcache.keys.digests.KEY_LENGTH"),
        ("nbcache.plans", "Plan", "nbcache.Plan"),
        ("nbcache.misses", "Why", "nbcache.Why"),
        ("nbcache.exports", "Exported", "nbcache.Exported"),
    ],
)
def test_a_name_that_moved_goes_on_for_a_release_and_says_where_it_is(module: str, name: str, now: str) -> None:
    home, _, there = now.rpartition(".")
    with pytest.warns(DeprecationWarning, match=f"^{module}.{name} is {now} now$") as caught:
        found = getattr(importlib.import_module(module), name)
    assert found is getattr(importlib.import_module(home), there)
    assert caught[0].filename == __file__


def test_every_name_that_moved_is_still_somewhere() -> None:
    for package in ("codec", "keys", "session", "entry"):
        source = inspect.getclosurevars(importlib.import_module(f"nbcache.{package}").__getattr__).nonlocals["moved"]
        assert source
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            for name in source:
                assert getattr(importlib.import_module(f"nbcache.{package}"), name) is not None


def test_a_package_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="nothing_like_it"):
        importlib.import_module("nbcache.stores").nothing_like_it  # noqa: B018
