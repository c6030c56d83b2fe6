"""install and uninstall: what is on, and that nothing is left when it is off."""

import re
import subprocess
import sys
import threading
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import get_llm_cache, set_llm_cache
from langchain_core.language_models import BaseChatModel, BaseLLM, FakeListChatModel, FakeListLLM
from langchain_core.runnables.retry import RunnableRetry

import nbcache
from nbcache import AmbiguousKeyError, NotebookCache, NotInstalledError, UnknownKeyError
from nbcache.session import installation
from nbcache.stores import DiskStore
from tests.support.naming import shown
from tests.support.rows import full

WRAPPED = (BaseChatModel, BaseLLM, RunnableRetry, FakeListChatModel)


def model(*answers: str) -> FakeListChatModel:
    return FakeListChatModel(responses=list(answers or ("one", "two", "three")))


def test_uninstall_puts_back_exactly_what_was_there() -> None:
    before = InMemoryCache()
    set_llm_cache(before)
    originals = {cls: dict(vars(cls)) for cls in WRAPPED}
    cache = nbcache.install("memory://")
    assert get_llm_cache() is cache
    list(model().stream("q"))
    assert all(changed(cls, originals[cls]) for cls in WRAPPED)
    nbcache.install("memory://")
    nbcache.uninstall()
    assert get_llm_cache() is before
    assert not any(changed(cls, originals[cls]) for cls in WRAPPED)
    nbcache.uninstall()  # off already: does nothing
    assert get_llm_cache() is before


def changed(cls: type, before: dict[str, object]) -> set[str]:
    """The members of a class that are not the very objects that they were."""
    now = vars(cls)
    return {name for name in now.keys() | before.keys() if now.get(name) is not before.get(name)} - {"__signature__"}


def test_a_global_cache_that_was_set_after_us_stays() -> None:
    nbcache.install("memory://")
    theirs = InMemoryCache()
    set_llm_cache(theirs)
    nbcache.uninstall()
    assert get_llm_cache() is theirs


def test_a_wrapper_that_was_put_over_ours_stays_and_works() -> None:
    original = BaseChatModel.__dict__["_generate_with_cache"]
    nbcache.install("memory://")
    ours = BaseChatModel._generate_with_cache
    seen = []

    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(1)
        return ours(self, *args, **kwargs)

    BaseChatModel._generate_with_cache = theirs  # type: ignore[method-assign]
    try:
        nbcache.uninstall()
        assert model().invoke("q").content == "one"
        assert seen == [1]
        assert BaseChatModel.__dict__["_generate_with_cache"] is theirs
    finally:
        BaseChatModel._generate_with_cache = original  # type: ignore[method-assign]


def test_install_replaces_and_the_session_goes_on() -> None:
    first = nbcache.install("memory://")
    model().invoke("q")
    assert nbcache.stats().misses == 1
    second = nbcache.install("memory://")
    assert second is not first
    assert get_llm_cache() is second
    model().invoke("q")
    assert (nbcache.stats().hits, nbcache.stats().misses) == (0, 2)
    nbcache.uninstall()
    nbcache.install("memory://")
    assert (nbcache.stats().hits, nbcache.stats().misses) == (0, 0)


def test_a_wrong_setting_leaves_what_is_installed() -> None:
    cache = nbcache.install("memory://")
    for wrong in (
        {"mode": "x"},
        {"ttl": "x"},
        {"scope": "x"},
        {"store": "x://y"},
        {"max_bytes": -1},
        {"secrets": "("},
    ):
        with pytest.raises(ValueError, match="write"):
            nbcache.install(**{"store": "memory://", **wrong})  # type: ignore[arg-type]
    assert get_llm_cache() is cache
    assert installation.installed() is cache


def test_what_needs_a_cache_says_how_to_turn_it_on() -> None:
    for asked in (nbcache.stats, nbcache.entries, nbcache.clear, lambda: nbcache.evict("a")):
        with pytest.raises(NotInstalledError, match="load_ext"):
            asked()


@pytest.mark.parametrize("form", ["path", "str", "url"])
def test_a_store_is_named_by_path_or_url(form: str, tmp_path: Path) -> None:
    folder = tmp_path / "a store"
    named: dict[str, str | Path] = {"path": folder, "str": str(folder), "url": f"disk://{folder}".replace(" ", "%20")}
    cache = nbcache.install(named[form])
    model().invoke("q")
    assert (folder / "cache.db").exists()
    assert isinstance(cache.store, DiskStore)
    assert cache.store.folder == folder


def test_entries_are_a_frame_newest_first(tmp_path: Path) -> None:
    nbcache.install(tmp_path / "s", tags=["draft"], ttl=timedelta(days=1))
    asked = model()
    for question in ("first", "second", "first"):
        asked.invoke(question)
    frame = nbcache.entries()
    assert list(frame.columns) == [
        *("key", "model", "provider", "prompt", "answer", "status", "tags", "notebook", "cell", "created"),
        *("last_hit", "hits", "size_bytes", "expires", "input_tokens", "output_tokens", "cost_usd", "seconds"),
        *("charged", "client", "streamed", "kind", "function"),
    ]
    assert list(frame.prompt) == ["second", "first"]
    assert list(frame.hits) == [0, 1]
    assert frame.last_hit.isna().tolist() == [True, False]
    assert (frame.expires - frame.created).dt.total_seconds().round().tolist() == [86400, 86400]
    assert set(frame.tags) == {"draft"}
    assert str(frame.created.dt.tz) == "UTC"


def test_entries_of_an_empty_store_have_the_same_columns() -> None:
    nbcache.install("memory://")
    frame = nbcache.entries()
    assert len(frame) == 0
    assert "expires" in frame.columns


def test_evict_takes_a_prefix_and_names_the_candidates(tmp_path: Path) -> None:
    nbcache.install(tmp_path / "s")
    asked = model()
    for i in range(40):
        asked.invoke(f"question {i}")
    keys = list(nbcache.entries().key)
    first_digits = [key[0] for key in keys]
    common = next(digit for digit in first_digits if first_digits.count(digit) > 1)
    with pytest.raises(AmbiguousKeyError) as ambiguous:
        nbcache.evict(common)
    assert set(ambiguous.value.candidates) <= {key for key in keys if key[0] == common}
    assert nbcache.stats().entries == 40
    evicted = nbcache.evict(keys[0][:12])
    assert evicted.key == keys[0]
    assert nbcache.stats().entries == 39
    for unknown in (keys[0], "", "xyz", "a" * 41):
        with pytest.raises(UnknownKeyError):
            nbcache.evict(unknown)


def test_evict_needs_four_digits_so_that_a_rows_number_deletes_nothing(tmp_path: Path) -> None:
    nbcache.install(tmp_path / "s")
    model().invoke("q")
    [key] = nbcache.entries().key
    for digits in range(1, 4):
        with pytest.raises(AmbiguousKeyError, match=f"at least 4 digits of it, such as {key[:8]}") as raised:
            nbcache.evict(key[:digits])
        assert raised.value.candidates == [key]
        assert nbcache.show(key[:digits]).meta.key == key
    assert nbcache.evict(key[:4]).key == key


@pytest.mark.parametrize("name", ["model", "client", "tag", "status"])
def test_a_filter_that_is_no_text_is_an_error_that_says_what_to_pass(tmp_path: Path, name: str) -> None:
    nbcache.install(tmp_path / "s")
    model().invoke("q")
    says = re.escape(f"{name}=['x']: pass one text, such as {name}='")
    with pytest.raises(TypeError, match=says):
        nbcache.entries(**{name: ["x"]})  # type: ignore[arg-type]
    if name != "status":
        with pytest.raises(TypeError, match=says):
            nbcache.clear(**{name: ["x"]})  # type: ignore[arg-type]
    assert nbcache.stats().entries == 1


@pytest.mark.parametrize(
    ("which", "says"),
    [
        ({"unused": "yes"}, "unused='yes': write True or False"),
        ({"unused": 0}, "unused=0: write True or False"),
        ({"status": "okay"}, "status='okay': write one of ok, cut off, filtered, empty, unfinished"),
        ({"cheaper_than": Decimal("sNaN")}, "cheaper_than=Decimal('sNaN'): write a number of US dollars"),
        ({"larger_than": float("nan")}, "larger_than=nan: write a number of bytes"),
        ({"older_than": -1}, "older_than=-1: write a number of seconds"),
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused_by_every_function(
    tmp_path: Path, which: dict[str, Any], says: str
) -> None:
    nbcache.install(tmp_path / "s")
    model().invoke("q")
    for choose in (nbcache.entries, nbcache.clear, partial(nbcache.tag, "t"), partial(nbcache.expire, "1d")):
        with pytest.raises((TypeError, ValueError), match=re.escape(says)):
            choose(**which)
    assert nbcache.stats().entries == 1


def test_a_misspelt_argument_is_an_error_that_names_the_function_and_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"nbcache\.install has no argument 'tll': write ttl"):
        nbcache.install(tmp_path / "s", tll="7d")  # type: ignore[call-arg]
    nbcache.install(tmp_path / "s")
    with pytest.raises(TypeError, match=r"nbcache\.clear has no argument 'clients': write client"):
        nbcache.clear(clients="openai")
    with pytest.raises(TypeError, match=r"nbcache\.clear has no argument 'zzz': there are match, model"):
        nbcache.clear(zzz=1)


def test_clear_takes_filters_and_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    nbcache.install(tmp_path / "s")
    asked = model()
    with nbcache.mode(tags="draft"):
        asked.invoke("about apples")
    asked.invoke("about pears " + "and more " * 100 + "at the END")
    asked.invoke("about plums")
    asked.invoke("about plums")
    planned = nbcache.clear(tag="draft", dry_run=True)
    assert planned.deleted == len(planned.entries) == 1
    assert repr(planned) == f"Cleared(deleted=1, size_bytes={planned.size_bytes}, kept=0)"  # not thousands of entries
    assert nbcache.clear(older_than="1h").deleted == 0
    assert nbcache.clear(model="no such model").deleted == 0
    assert nbcache.stats().entries == 3
    assert nbcache.clear(match="at the end").deleted == 1
    assert nbcache.clear(tag="draft").deleted == 1
    assert nbcache.clear(unused=True).deleted == 0
    assert nbcache.clear().deleted == 1
    with pytest.raises(ValueError, match="older_than"):
        nbcache.clear(older_than="a while")


@pytest.mark.parametrize(
    ("mode", "looks_up", "keeps"), [("on", 1, 1), ("read-only", 1, 0), ("refresh", 0, 1), ("off", 0, 0)]
)
def test_a_mode_looks_up_and_keeps_as_it_says(mode: str, looks_up: int, keeps: int, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "s")
    asked = FakeListLLM(responses=["one", "two", "three"])
    asked.invoke("known")
    nbcache.install(tmp_path / "s", mode=mode)
    again = asked.invoke("known")
    asked.invoke("new")
    assert (again == "one") == bool(looks_up)
    stored = {row.prompt: row.answer for row in installation.installed().contents().entries()}
    assert ("new" in stored) == bool(keeps)
    assert (stored["known"] == "two") == (mode == "refresh")


def test_mode_follows_the_context_and_nests() -> None:
    nbcache.install("memory://")
    asked = model("one", "two", "three", "four")
    asked.invoke("q")
    with nbcache.mode("refresh"):
        assert asked.invoke("q").content == "two"
        with nbcache.mode("off"):
            assert asked.invoke("q").content == "three"
        assert asked.invoke("q").content == "four"
    assert asked.invoke("q").content == "four"
    with nbcache.mode("off"):
        seen = []
        thread = threading.Thread(target=lambda: seen.append(asked.invoke("q").content))
        thread.start()
        thread.join()
    assert seen == ["four"]  # a thread of the user's own has a context of its own


@pytest.mark.parametrize("wrong", [{"mode": "x"}, {"ttl": "x"}, {"tags": [" "]}])
def test_a_wrong_mode_block_raises_before_it_begins(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="write"), nbcache.mode(**wrong):
        pytest.fail("the block must not run")


def test_one_calls_metadata_sets_its_mode() -> None:
    nbcache.install("memory://")
    asked = model()
    asked.invoke("q")
    assert asked.invoke("q", config={"metadata": {"nbcache": "off"}}).content == "two"
    assert asked.invoke("q").content == "one"
    with pytest.raises(ValueError, match="write"):
        asked.invoke("q", config={"metadata": {"nbcache": "sometimes"}})


def test_a_batch_of_a_completion_model_has_one_mode() -> None:
    nbcache.install("memory://")
    asked = FakeListLLM(responses=["one", "two", "three", "four"])
    off, on = {"metadata": {"nbcache": "off"}}, {"metadata": {"nbcache": "on"}}
    asked.batch(["a", "b"], config=[off, off])  # type: ignore[list-item]
    assert nbcache.stats().entries == 0
    with pytest.raises(ValueError, match="one mode"):
        asked.batch(["a", "b"], config=[off, on])  # type: ignore[list-item]


def test_the_environment_sets_what_is_left_at_its_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "STORE": str(tmp_path / "e"),
        "MODE": "read-only",
        "TTL": "2h",
        "TAGS": "a, b",
        "MAX_ENTRIES": "7",
    }.items():
        monkeypatch.setenv(f"NBCACHE_{name}", value)
    cache = nbcache.install()
    assert cache.store.url == f"disk://{tmp_path / 'e'}"
    assert (cache.settings.mode, cache.settings.ttl, cache.settings.tags) == ("read-only", 7200, ("a", "b"))
    assert nbcache.install("memory://", mode="off").settings.mode == "off"
    monkeypatch.setenv("NBCACHE_MAX_ENTRIES", "many")
    with pytest.raises(ValueError, match="NBCACHE_MAX_ENTRIES"):
        nbcache.install()
    monkeypatch.delenv("NBCACHE_MAX_ENTRIES")
    monkeypatch.setenv("NBCACHE_MODE", "replay now")
    with pytest.raises(ValueError, match="NBCACHE_MODE"):
        nbcache.install()


@pytest.mark.parametrize(
    "name",
    ["store", "scope", "mode", "ttl", "tags", "notebook", "prices", "exclude", "normalize", "cassette", "secrets"],
)
def test_a_setting_of_another_kind_is_refused_by_its_name_and_changes_nothing(name: str) -> None:
    cache = nbcache.install("memory://")
    with pytest.raises(ValueError, match=name):
        nbcache.install(**{name: 3.5 if name != "ttl" else []})  # type: ignore[arg-type]
    assert installation.installed() is cache


def test_a_notebook_may_be_named_by_text(tmp_path: Path) -> None:
    nbcache.install(notebook=str(tmp_path / "a.ipynb"))
    FakeListChatModel(responses=["at noon"]).invoke("boat?")
    assert [meta.notebooks for meta in full(installation.installed().store).page()] == [("a.ipynb",)]


def test_importing_is_light() -> None:
    heavy = "pandas, anywidget, ipywidgets, genai_prices, redis, langchain_community, IPython, langchain_core"
    code = f"import nbcache, sys; print([n for n in '{heavy}'.split(', ') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


LOAD = """
import re, sys
from IPython.core.interactiveshell import InteractiveShell

compile, compiled = re._compile, set()

def recorded(pattern, flags):
    compiled.add(sys._getframe(2).f_globals["__name__"])
    return compile(pattern, flags)

re._compile = recorded
InteractiveShell.instance().run_line_magic("load_ext", "nbcache")
print(*(name for name in compiled if name.startswith("nbcache.replay")))
print(*(name for name in sys.modules if name.startswith("nbcache.replay.cassette_")))
print("nbcache.errors" in compiled)
"""


def test_loading_the_extension_makes_ready_for_no_secrets_and_no_cassette(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines() == ["", "", "True"]


def test_every_public_name_is_there_and_no_other() -> None:
    for name in nbcache.__all__:
        assert getattr(nbcache, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = nbcache.nothing_like_it
    assert set(nbcache.__all__) <= set(dir(nbcache))
    modules = {path.stem for path in Path(nbcache.__file__).parent.iterdir()}
    assert not modules & set(nbcache.__all__)  # importing such a module would put it in the name's place


@pytest.mark.parametrize("thing", [model(), object(), "a client", None, NotebookCache], ids=shown)
def test_what_cannot_be_wrapped_is_an_error_that_says_so(thing: object) -> None:
    with pytest.raises(TypeError, match=r"nbcache\.wrap"):
        nbcache.wrap(thing)


@pytest.mark.parametrize("wrong", [{"mode": "of"}, {"ttl": "soon"}])
def test_a_wrong_block_is_an_error_where_it_is_made(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="write"):
        nbcache.mode(**wrong)  # type: ignore[arg-type]
