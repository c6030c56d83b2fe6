"""Entries that exist get other tags, or another time to expire; filters choose the same entries wherever they are written."""

import contextlib
import io
import json
import shlex
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from IPython.core.error import UsageError
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.outputs import Generation
from langchain_openai import ChatOpenAI

import nbcache
from nbcache import codec
from nbcache.codec.header import EntryHeader
from nbcache.entry.globs import longest_text, matches
from nbcache.entry.records import EntryMeta, Filter, Touch
from nbcache.session import installation
from nbcache.stores import MemoryStore
from nbcache.ui.cli.main import main
from tests.servers.provider import Provider
from tests.stores.contract.entries import Clock, key_of
from tests.support.rows import FullStore, full
from tests.ui.jupyter.test_magics import loaded, run, shell  # noqa: F401 - fixtures

DAY = 86_400.0
PLACES = pytest.mark.parametrize("place", ["disk", "memory"])


def install(tmp_path: Path, place: str = "disk") -> FullStore:
    nbcache.install(tmp_path / ".nbcache" if place == "disk" else "memory://")
    return full(installation.installed().store)


def keep(store: FullStore, prompt: str, answer: str = "yes", *, ago: float = 0.0, **facts: Any) -> str:
    """Store an entry that is so many seconds old. A prompt that begins with `[` is a chat's."""
    facts = {"model": "m", "status": "ok", "client": "langchain", **facts}
    meta = EntryMeta(key=key_of(prompt), prompt=prompt[:20], answer=answer[:20], created=time.time() - ago, **facts)
    payload = codec.encode(
        [Generation(text=answer)], EntryHeader(replace(meta, cost_usd=None), prompt, "{}", ""), reusable=True
    )
    store.put(meta.key, payload, meta)
    return meta.key


def chat(*messages: tuple[str, str]) -> str:
    return json.dumps([{"role": role, "content": text} for role, text in messages])


PROMPTS = {
    "report": "Q3 report, please",
    "chat": chat(("system", "Be brief."), ("user", "Q3 revenue")),
    "old": "an old question",
    "hit": "an old question that was hit",
    "large": "a large question",
    "judge": "judge('a')",
    "search": "search('b')",
    "bracket": "of a model with brackets",
}


@pytest.fixture(params=["disk", "memory"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Names of entries, each of which some filters choose, by their keys."""
    store = install(tmp_path, request.param)
    owned = {"notebooks": ()}
    facts: dict[str, dict[str, Any]] = {
        "report": {"answer": "It rose", "tags": ("eval",), "cost_usd": Decimal("0.02")},
        "chat": {"model": "gpt-4o", "cost_usd": Decimal("0.001"), "cell": "In [1]"},
        "old": {"ago": 40 * DAY, "client": "openai", "model": "gpt-4o-mini"},
        "hit": {"ago": 40 * DAY},
        "large": {"answer": "".join(map(str, range(20_000))), "status": "cut off"},
        "judge": {"kind": "function", "function": "Judge.ask", "cost_usd": Decimal(0), "client": None},
        "search": {"kind": "tool", "function": "search", "client": None},
        "bracket": {"model": "m[1]"},
    }
    made = {keep(store, PROMPTS[name], **(owned | facts[name])): name for name in PROMPTS}
    store.touch([Touch(key, None, 1, time.time()) for key, name in made.items() if name == "hit"])
    return made


FILTERS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "text": ({"match": "q3"}, {"report", "chat"}),
    "text of an answer": ({"match": "it ROSE"}, {"report"}),
    "pattern": ({"match": "Q3*"}, {"report", "chat"}),
    "pattern of the whole prompt": ({"match": "*report*"}, {"report"}),
    "pattern, not of a part": ({"match": "Q?"}, set()),
    "pattern, not of an answer": ({"match": "It*"}, set()),
    "pattern with roles": ({"match": "system: Be brief.*"}, {"chat"}),
    "pattern's case": ({"match": "q3*"}, set()),
    "pattern that has no text": ({"match": "??????????"}, {"judge", "chat"}),
    "model": ({"model": "gpt-4o"}, {"chat"}),
    "models": ({"model": "gpt-4o*"}, {"chat", "old"}),
    "models, by their case": ({"model": "GPT*"}, set()),
    "name with a bracket": ({"model": "m[1]"}, {"bracket"}),
    "function": ({"function": "Judge.ask"}, {"judge"}),
    "functions": ({"function": "*a*"}, {"judge", "search"}),
    "kind": ({"kind": "tool"}, {"search"}),
    "tag": ({"tag": "eval"}, {"report"}),
    "client": ({"client": "openai"}, {"old"}),
    "status": ({"status": "cut off"}, {"large"}),
    "cell": ({"cell": "In [1]"}, {"chat"}),
    "age": ({"older_than": "30d"}, {"old", "hit"}),
    "not hit": ({"not_hit_since": "30d"}, {"old"}),
    "not hit, in seconds": ({"not_hit_since": 30 * DAY}, {"old"}),
    "size": ({"larger_than": "20kB"}, {"large"}),
    "size, in bytes": ({"larger_than": 20_000}, {"large"}),
    "price": ({"cheaper_than": "0.01"}, {"chat", "judge"}),
    "price, as a number": ({"cheaper_than": 0.001}, {"judge"}),
    "price, as it is shown": ({"cheaper_than": "$0.02"}, {"chat", "judge"}),
    "all of several": ({"model": "gpt-4o*", "older_than": "1d"}, {"old"}),
}
EACH = pytest.mark.parametrize(("which", "meant"), FILTERS.values(), ids=FILTERS)


@EACH
@pytest.mark.filterwarnings("ignore:no entry has")
def test_a_filter_means_the_same_everywhere(keys: dict[str, str], which: dict[str, Any], meant: set[str]) -> None:
    def named(found: Any) -> set[str]:
        return {keys[key] for key in found}

    assert named(nbcache.entries(**which)["key"]) == meant
    assert named(row.key for row in nbcache.clear(dry_run=True, **which).entries) == meant
    assert named(row.key for row in nbcache.expire("1h", dry_run=True, **which).entries) == meant
    assert nbcache.tag("new", **which).changed == len(meant)
    if meant:
        assert named(nbcache.entries(tag="new")["key"]) == meant
        assert nbcache.untag("new", **which).changed == len(meant)
        assert nbcache.expire("1h", **which).changed == len(meant)
        assert named(nbcache.entries()["key"][nbcache.entries()["expires"].notna()]) == meant
        assert nbcache.clear(**which).deleted == len(meant)
        assert named(nbcache.entries()["key"]) == set(PROMPTS) - meant
    assert nbcache.check() == []


def test_a_function_of_an_entry_chooses(keys: dict[str, str]) -> None:
    where: dict[str, Any] = {"where": lambda entry: entry.hits > 0}
    assert nbcache.tag("hit", model="m", **where).changed == 1
    assert [keys[key] for key in nbcache.entries(**where)["key"]] == ["hit"]
    assert nbcache.clear(**where).deleted == 1
    with pytest.raises(ZeroDivisionError):
        nbcache.clear(where=lambda entry: 1 / entry.hits)
    assert len(nbcache.entries()) == len(PROMPTS) - 1


WRONG: dict[str, dict[str, Any]] = {
    "write a number of seconds": {"older_than": "soon"},
    "not_hit_since='0d'": {"not_hit_since": "0d"},
    "write a number of bytes": {"larger_than": "much"},
    "write a number of US dollars": {"cheaper_than": "a cent"},
    "cheaper_than=nan": {"cheaper_than": float("nan")},
    "cheaper_than=True": {"cheaper_than": True},
    "write one of call, embedding": {"kind": "chat"},
    "pass a function of an EntryMeta": {"where": "hits > 3"},
    "model=4": {"model": 4},
    "match=''": {"match": ""},
    "function='': write": {"function": ""},
    "has no argument 'modell': write model": {"modell": "m"},
}


@pytest.mark.parametrize(("says", "which"), WRONG.items(), ids=WRONG)
def test_what_cant_be_meant_is_refused_and_nothing_is_lost(tmp_path: Path, says: str, which: dict[str, Any]) -> None:
    keep(install(tmp_path), "a question")
    acts: list[Callable[..., Any]] = [nbcache.clear, nbcache.entries]
    acts += [lambda **each: nbcache.expire("1h", **each), lambda **each: nbcache.tag("t", **each)]
    for act in acts:
        with pytest.raises((ValueError, TypeError)) as error:
            act(**which)
        assert says in str(error.value)
    assert len(nbcache.entries()) == 1


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda: nbcache.expire("7d"), "write a key, or a filter"),
        (lambda: nbcache.expire("7d", scope="folder"), "write a key, or a filter"),
        (lambda: nbcache.tag("draft"), "write a key, or a filter"),
        (lambda: nbcache.untag("draft", unused=False), "write a key, or a filter"),
        (lambda: nbcache.tag(model="m"), "write a tag"),
        (lambda: nbcache.tag(" ", model="m"), "tag=' '"),
        (lambda: nbcache.tag(["a", "b"], model="m"), "write each tag by itself: 'a', 'b'"),  # type: ignore[arg-type]
        (lambda: nbcache.expire(0, model="m"), "above zero"),
        (lambda: nbcache.expire("tomorrow", model="m"), "text such as 90s, 12h or 7d"),
    ],
)
def test_neither_key_nor_filter_changes_nothing(tmp_path: Path, act: Callable[[], Any], says: str) -> None:
    keep(install(tmp_path), "a question")
    with pytest.raises(ValueError, match=says):
        act()
    assert nbcache.entries()["tags"].tolist() == [""]
    assert nbcache.entries()["expires"].isna().all()


@PLACES
def test_a_key_means_one_entry_whoever_owns_it(tmp_path: Path, place: str) -> None:
    store = install(tmp_path, place)
    key, other = (keep(store, prompt, notebooks=("others.ipynb",)) for prompt in ("one", "two"))
    done = nbcache.tag("draft", "second try", key=key[:6])
    assert (done.changed, [row.key for row in done.entries]) == (1, [key])
    assert nbcache.expire("1h", key).changed == 1
    assert nbcache.expire("1h", key=key, model="another").changed == 0
    assert nbcache.show(key).meta.tags == ("draft", "second try")
    assert nbcache.show(other).meta.tags == ()
    with pytest.raises(nbcache.UnknownKeyError):
        nbcache.tag("draft", key="0123456")
    with pytest.raises(nbcache.AmbiguousKeyError, match="at least 4 digits"):
        nbcache.expire("1h", key[:2])


def test_entries_that_other_notebooks_own_too_are_changed_for_all(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("NBCACHE_NOTEBOOK", str(tmp_path / "a.ipynb"))
    store = install(tmp_path)
    shared, mine, theirs = (
        keep(store, name, notebooks=owners, cost_usd=Decimal("0.25"))
        for name, owners in {"s": ("a.ipynb", "b.ipynb"), "m": ("a.ipynb",), "t": ("b.ipynb",)}.items()
    )
    done = nbcache.expire("1h", model="m")
    assert ({row.key for row in done.entries}, done.usd) == ({shared, mine}, Decimal("0.50"))
    assert nbcache.show(theirs).meta.expires is None
    assert nbcache.tag("t", model="m", scope="folder").changed == 3


def test_the_cost_is_what_is_known_of_it(tmp_path: Path) -> None:
    store = install(tmp_path)
    keep(store, "a", cost_usd=Decimal("0.10"))
    keep(store, "b")
    assert nbcache.tag("x", match="a", dry_run=True).usd == Decimal("0.10")
    assert nbcache.tag("x", model="m", dry_run=True).usd == Decimal("0.10")
    assert nbcache.tag("x", where=lambda entry: entry.cost_usd is None).usd is None
    assert nbcache.untag("x", tag="x", kind="tool").usd == Decimal(0)
    assert nbcache.expire("none", model="m").changed == 0  # they are kept for good already


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    keep(install(tmp_path), "a question")
    assert nbcache.tag("t", model="m", dry_run=True).changed == 1
    assert nbcache.expire("1h", model="m", dry_run=True).changed == 1
    frame = nbcache.entries()
    assert (frame["tags"][0], frame["expires"].isna()[0]) == ("", True)


# Hits


@PLACES
def test_an_answer_that_hits_know_by_heart_expires_as_it_was_told(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "time", lambda: clock.now)
    nbcache.install(tmp_path / ".nbcache" if place == "disk" else MemoryStore(clock=lambda: clock.now))
    model = FakeListChatModel(responses=["first", "second", "third"])
    assert [model.invoke("a").content for _ in range(3)] == ["first"] * 3
    assert nbcache.expire("1h", match="a").changed == 1
    assert model.invoke("a").content == "first"
    clock.advance(3_601)
    assert model.invoke("a").content == "second"
    assert nbcache.expire("1h", match="a").changed == 1
    assert nbcache.expire("none", match="a").changed == 1
    clock.advance(1e6)
    assert [model.invoke("a").content for _ in range(2)] == ["second"] * 2


# What keeps tags


def test_tags_come_back_with_a_row_that_was_lost(tmp_path: Path) -> None:
    store = install(tmp_path)
    key, untagged = keep(store, "a"), keep(store, "b", tags=("old",))
    nbcache.tag("draft", key=key)
    nbcache.untag("old", key=untagged)
    with closing(sqlite3.connect(tmp_path / ".nbcache" / "cache.db", isolation_level=None)) as other:
        other.execute("DELETE FROM entry")
    assert len(nbcache.check(fix=True)) == 2
    assert nbcache.show(key).meta.tags == ("draft",)
    assert nbcache.show(untagged).meta.tags == ()
    assert nbcache.entries(tag="draft")["key"].tolist() == [key]
    assert nbcache.check() == []


def test_tags_go_with_a_cassette(provider: Provider, tmp_path: Path) -> None:
    install(tmp_path)
    ChatOpenAI(model="gpt-4o-mini", **provider.openai).invoke("a")
    nbcache.tag("draft", model="gpt-4o-mini")
    nbcache.export_cassette(tmp_path / "c.jsonl")
    nbcache.install(tmp_path / "another")
    nbcache.import_cassette(tmp_path / "c.jsonl")
    assert nbcache.entries(tag="draft")["model"].tolist() == ["gpt-4o-mini"]


# Patterns

_NAMES = st.text(st.sampled_from("ab-[]!^*?é\U0001f419Å \n"), max_size=5)


@given(pattern=_NAMES, names=st.lists(_NAMES.filter(bool), max_size=4, unique=True))
@example(pattern="m[1]", names=["m[1]", "m1", "M1"])
@example(pattern="[!a]*", names=["a", "b", "É"])
@example(pattern="[^a]", names=["a", "^", "b"])
@example(pattern="[]-a]", names=["]", "^", "a", "-"])
def test_a_pattern_means_the_same_in_sqlite_and_in_memory(
    tmp_path_factory: pytest.TempPathFactory, pattern: str, names: list[str]
) -> None:
    meant = {name for name in names if matches(pattern, name)}
    disk = nbcache.stores.DiskStore(tmp_path_factory.mktemp("store"))
    with closing(disk), closing(MemoryStore()) as memory:
        for name in names:
            meta = EntryMeta(key_of(name), name, "p", "a", "ok", 1.0, function=name)
            for store in (disk, memory):
                store.put(meta.key, b"payload", meta)
        for _ in range(2):  # before and after they are listed
            for which in (Filter(models=pattern), Filter(functions=pattern)):
                for store in (disk, memory):
                    assert {row.model for row in store.page(which)} == meant
                    assert store.totals(which).entries == len(meant)
            disk.index(lambda *_: ["word"])


@given(pattern=_NAMES, text=_NAMES)
def test_what_a_pattern_needs_is_in_all_that_it_stands_for(pattern: str, text: str) -> None:
    assert longest_text(pattern) in text or not matches(pattern, text) or text == pattern
    assert matches(text, text)


# Typed


TYPED = {
    "tag {key} draft 'second try'": ["draft, second try"],
    "tag --model m* draft": ["draft"],
    "tag draft --match question": ["draft"],
    "tag --not-hit-since 1d --larger-than 10B --cheaper-than 1 --function f --kind tool --cell c --status ok draft": [
        ""
    ],
}


@pytest.mark.parametrize(("line", "tags"), TYPED.items(), ids=TYPED)
@pytest.mark.parametrize("where", ["magic", "terminal"])
def test_tags_are_typed_after_a_key_or_beside_filters(  # noqa: PLR0917 - fixtures
    tmp_path: Path,
    loaded: Callable[..., str],  # noqa: F811
    where: str,
    line: str,
    tags: list[str],
    capsys: Any,
) -> None:
    key = keep(install(tmp_path), "a question")
    do(loaded, where, tmp_path, line.format(key=key[:6]))
    assert nbcache.entries("folder")["tags"].tolist() == tags
    if tags != [""]:
        do(loaded, where, tmp_path, f"untag {key} {shlex.quote(tags[0].split(', ')[0])}")
        assert nbcache.entries("folder")["tags"].tolist() == [", ".join(tags[0].split(", ")[1:])]


@pytest.mark.parametrize("where", ["magic", "terminal"])
def test_expiry_is_typed(tmp_path: Path, loaded: Callable[..., str], where: str) -> None:  # noqa: F811
    key = keep(install(tmp_path), "a question", cost_usd=Decimal("0.5"))
    told = do(loaded, where, tmp_path, f"expire {key[:6]} --ttl 7d --dry-run")
    assert "would let 1 entry of" in told
    assert "expire in 1w; $0.50 to pay again; nothing was changed" in told
    assert nbcache.entries("folder")["expires"].isna()[0]
    assert "expire in 1h; $0.50 to pay again" in do(loaded, where, tmp_path, "expire --model m --ttl 1h")
    assert not nbcache.entries("folder")["expires"].isna()[0]
    assert "for good" in do(loaded, where, tmp_path, "expire --model m --ttl none")
    assert nbcache.entries("folder")["expires"].isna()[0]
    assert "no entry has the model 'x'" in do(loaded, where, tmp_path, "expire --model x --ttl 1h")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("expire --ttl 1h", "write a key, or a filter"),
        ("expire --model m", "write --ttl"),
        ("expire --model m --ttl soon", "'soon': write a time such as 90s, 12h or 7d"),
        ("tag draft", "write a key before the tags"),
        ("tag --cheaper-than x draft", "cheaper_than='x'"),
        ("clear --larger-than x", "larger_than='x'"),
        ("ls --not-hit-since x", "'x': write a time such as 90s, 12h or 7d"),
    ],
)
def test_what_is_typed_wrong_is_said_and_changes_nothing(
    tmp_path: Path,
    loaded: Callable[..., str],  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    line: str,
    says: str,
) -> None:
    keep(install(tmp_path), "a question")
    assert says in run_line(loaded, line)
    installation.installed().store.close()
    with pytest.raises(SystemExit, match="2"):
        sys.exit(main([*shlex.split(line), "--store", str(tmp_path / ".nbcache")]))
    assert says in capsys.readouterr().err
    assert len(nbcache.entries("folder")) == 1


def test_json_of_a_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = keep(install(tmp_path), "a question", cost_usd=Decimal("0.5"))
    assert main(["tag", key, "draft", "--store", str(tmp_path / ".nbcache"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"changed": 1, "usd": "0.5", "keys": [key], "dry_run": False}


def do(loaded: Callable[..., str], where: str, tmp_path: Path, line: str) -> str:  # noqa: F811
    """What is printed where this is typed in a notebook, or in a terminal."""
    if where == "magic":
        return loaded(f"%llmcache {line} --scope folder")
    installation.installed().store.close()
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        assert main([*shlex.split(line), "--store", str(tmp_path / ".nbcache")]) == 0
    return out.getvalue()


def run_line(loaded: Callable[..., str], line: str) -> str:  # noqa: F811
    """The error of a line in a notebook."""
    with pytest.raises((UsageError, ValueError)) as error:
        loaded(f"%llmcache {line} --scope folder")
    return str(error.value)
