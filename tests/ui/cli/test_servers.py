"""`nbcache …` in a terminal with a store on a server, alone and behind a folder."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

import nbcache
from nbcache.cache.modes import checked_scope
from nbcache.entry.records import EntryMeta
from nbcache.stores import RedisStore, TieredStore
from nbcache.stores.opening import open_store
from nbcache.ui.jupyter.arguments import parse
from tests.servers.redis_server import RedisServer, program
from tests.ui.cli.test_main import Ran, Run, keep, run, terminal

__all__ = ["run", "terminal"]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(program()) as running:
        yield running


@pytest.fixture
def url(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty store. Ann and Bob have asked `both`, and each one question more; a key of somebody else's is beside it."""
    server.client.flushall()
    server.client.set("foreign", "stays")
    place = server.url("team")
    monkeypatch.chdir(tmp_path)
    for name in ("bob", "ann"):
        monkeypatch.setenv("NBCACHE_OWNER", name)
        keep("both", name, store=place)
    return place


def on_server(url: str) -> dict[str, EntryMeta]:
    store = RedisStore(url)
    try:
        return {meta.prompt.removeprefix("Human: "): meta for meta in store.page()}
    finally:
        store.close()


def done(ran: Ran) -> Ran:
    assert ran.code == 0, ran
    return ran


def test_what_all_have_stored_is_listed_shown_and_counted(run: Run, url: str) -> None:
    rows = json.loads(done(run("ls", "--store", url, "--json")).out)
    assert {row["prompt"].removeprefix("Human: ") for row in rows} == {"both", "ann", "bob"}
    of_bob = next(owner for row in rows for owner in row["notebooks"] if owner.startswith("bob:"))
    assert len(json.loads(done(run("ls", "--store", url, "--notebook", of_bob, "--json")).out)) == 2
    assert len(json.loads(done(run("ls", "--store", url, "--notebook", "a.ipynb", "--json")).out)) == 2
    assert "an answer" in done(run("show", rows[0]["key"][:8], "--store", url)).out
    assert json.loads(done(run("stats", "--store", url, "--json")).out)["entries"] == 3
    assert f"store: {RedisStore(url).url}\n" == done(run("where", "--store", url)).out
    done(run("check", "--store", url))
    done(run("check", "--fix", "--yes", "--store", url))


def test_a_server_that_is_only_read_is_counted_and_checked_and_not_changed(run: Run, url: str) -> None:
    read_only = f"{url}:ro"
    assert json.loads(done(run("stats", "--store", read_only, "--json")).out)["entries"] == 3
    assert run("stats", "--store", read_only, "--json").out == run("stats", "--store", url, "--json").out
    done(run("check", "--store", read_only))
    assert done(run("where", "--store", read_only)).out.endswith(":ro\n")
    for command in (["clear", "--yes", "--scope", "store"], ["check", "--fix", "--yes"]):
        assert "can only be read" in run(*command, "--store", read_only).err
    assert len(on_server(url)) == 3


def test_the_environment_names_the_server_too(run: Run, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBCACHE_STORE", url)
    assert len(json.loads(done(run("ls", "--json")).out)) == 3


def test_a_clear_deletes_what_only_this_owner_has(run: Run, url: str, server: RedisServer) -> None:
    ran = done(run("clear", "--store", url, "--notebook", "a.ipynb", "--yes"))
    assert set(on_server(url)) == {"both", "bob"}, ran
    assert all(owner.startswith("bob:") for meta in on_server(url).values() for owner in meta.notebooks)
    assert server.client.get("foreign") == b"stays"


def test_a_clear_of_nothing_named_is_about_the_user_alone(run: Run, url: str) -> None:
    ran = done(run("clear", "--store", url, "--yes"))
    assert len(on_server(url)) == 3
    assert "what ann owns" in ran.err
    assert "--scope store" in ran.err


@pytest.mark.parametrize("scope", ["store", "folder"])
def test_everybodys_entries_are_cleared_when_that_is_typed_and_no_foreign_key(
    run: Run, url: str, server: RedisServer, scope: str
) -> None:
    other = server.url("other")
    keep("other", store=other)
    assert run("clear", "--store", url, "--scope", scope).code == 2  # nobody can be asked
    done(run("clear", "--store", url, "--scope", scope, "--yes"))
    assert not on_server(url)
    assert set(on_server(other)) == {"other"}
    assert server.client.get("foreign") == b"stays"


def test_a_notebook_and_everybody_are_not_both_meant(run: Run, url: str) -> None:
    ran = run("clear", "--store", url, "--scope", "store", "--notebook", "a.ipynb", "--yes")
    assert ran.code == 2
    assert len(on_server(url)) == 3


def test_an_entry_is_tagged_expires_and_is_evicted(run: Run, url: str) -> None:
    key = on_server(url)["both"].key
    done(run("tag", key[:8], "good", "--store", url))
    assert on_server(url)["both"].tags == ("good",)
    done(run("untag", key[:8], "good", "--store", url))
    assert on_server(url)["both"].tags == ()
    done(run("expire", key[:8], "--ttl", "7d", "--store", url))
    assert on_server(url)["both"].expires is not None
    done(run("evict", key[:8], "--store", url, "--yes"))
    assert set(on_server(url)) == {"ann", "bob"}


def test_filters_change_what_this_owner_has_unless_everybody_is_meant(run: Run, url: str) -> None:
    done(run("tag", "mine", "--model", "*", "--notebook", "a.ipynb", "--store", url))
    assert {name for name, meta in on_server(url).items() if meta.tags} == {"both", "ann"}
    done(run("tag", "no", "--model", "*", "--store", url))
    assert not any("no" in meta.tags for meta in on_server(url).values())
    done(run("tag", "all", "--model", "*", "--scope", "store", "--store", url))
    assert all("all" in meta.tags for meta in on_server(url).values())


def test_a_cassette_goes_out_of_a_server_and_into_another(run: Run, url: str, server: RedisServer) -> None:
    done(run("export", "--store", url, "--notebook", "a.ipynb"))
    assert Path("a.llmcache.jsonl").is_file()
    other = server.url("second")
    assert json.loads(done(run("import", "a.llmcache.jsonl", "--store", other, "--dry-run", "--json")).out)["new"] == 2
    assert not on_server(other)
    done(run("import", "a.llmcache.jsonl", "--store", other))
    assert {owner for meta in on_server(other).values() for owner in meta.notebooks} == {"ann"}
    Path("a.ipynb").touch()
    done(run("import", "a.llmcache.jsonl", "--store", other))
    assert set(on_server(other)) == {"both", "ann"}
    assert set(on_server(other)["ann"].notebooks) == {"ann", *on_server(url)["ann"].notebooks}


def test_what_is_evicted_in_a_terminal_does_not_come_back_from_the_tier_below(run: Run, url: str) -> None:
    tiers = f"disk, {url}"
    keep("tiered", store=tiers)
    key = on_server(url)["tiered"].key
    done(run("evict", key[:8], "--store", tiers, "--yes"))
    assert "tiered" not in on_server(url)
    assert RedisStore(url).url in done(run("where", "--store", tiers)).out
    assert not json.loads(done(run("ls", "--store", tiers, "--json")).out)


def test_a_clear_in_tiers_takes_nothing_of_others_from_the_server(run: Run, url: str) -> None:
    tiers = f"disk, {url}"
    keep("both", "ann", store=tiers)  # hits, which are in the folder now
    ran = done(run("clear", "--store", tiers, "--yes"))
    assert "what ann owns" in ran.err
    done(run("clear", "--store", tiers, "--notebook", "a.ipynb", "--yes"))
    assert set(on_server(url)) == {"both", "bob"}


def test_what_a_silent_server_misses_is_done_later(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with RedisServer(program(), "--appendonly", "yes", "--appendfsync", "always") as second:
        gone = f"disk, {second.url('team')}"
        keep("later", store=gone)
        key = on_server(second.url("team"))["later"].key
        second.stop()
        ran = done(run("evict", key[:8], "--store", gone, "--yes"))
        assert "later" in ran.err
        assert run("ls", "--store", second.url("team")).code == 2
        second.start()
        assert "later" in on_server(second.url("team"))
        with closing(cast("TieredStore", open_store(gone))) as store:  # as a notebook's next session does
            assert store.get(key) is None
            until = time.monotonic() + 60
            while "later" in on_server(second.url("team")):
                assert time.monotonic() < until
                store.flush(1)


def test_a_server_that_is_only_read_is_not_changed(run: Run, url: str) -> None:
    assert len(json.loads(done(run("ls", "--store", f"{url}:ro", "--json")).out)) == 3
    ran = run("evict", on_server(url)["both"].key, "--store", f"{url}:ro", "--yes")
    assert ran.code == 2
    assert "can only be read" in ran.err
    assert len(ran.err.splitlines()) == 1
    assert len(on_server(url)) == 3


def test_a_refused_password_is_one_line_and_is_not_printed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with RedisServer(program(), "--requirepass", "right") as closed:
        monkeypatch.setenv("NBCACHE_REDIS_PASSWORD", "wrong-one")
        ran = run("ls", "--store", closed.url())
        assert ran.code == 2
        assert len(ran.err.splitlines()) == 1
        assert "wrong-one" not in ran.err
        monkeypatch.setenv("NBCACHE_REDIS_PASSWORD", "right")
        done(run("ls", "--store", closed.url()))


def test_a_password_is_not_typed_in_a_shell(run: Run) -> None:
    for place in ("redis://:hunter2@127.0.0.1:1/0", "disk, redis://ann:hunter2@127.0.0.1:1/0:ro"):
        ran = run("ls", "--store", place)
        assert ran.code == 2
        assert "NBCACHE_REDIS_PASSWORD" in ran.err
        assert "hunter2" not in ran.err + ran.out


def test_a_missing_package_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    ran = run("ls", "--store", "redis://127.0.0.1:1/0")
    assert ran.code == 2
    assert "nbcache[redis]" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_keys_in_a_terminal_are_long_enough_to_be_typed(terminal: Run, url: str) -> None:
    ran = done(terminal("ls", "--store", url))
    for meta in on_server(url).values():
        assert f"{meta.key[:12]} " in ran.out
        done(terminal("show", meta.key[:12], "--store", url))


def test_store_is_another_word_for_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NBCACHE_SCOPE", "store")
    cache = nbcache.install(notebook=tmp_path / "a.ipynb")
    assert cache.scope == "folder"
    assert cache.contents("store").notebook is None
    assert parse("on --scope store").scope == "store"
    nbcache.uninstall()
    assert checked_scope("store") == checked_scope("folder") == "folder"
    assert checked_scope("notebook") == "notebook"
