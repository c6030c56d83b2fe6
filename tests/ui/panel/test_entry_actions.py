"""Tags and expiry from the panel: of the entry that is open, and of all that are shown."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

import nbcache
from nbcache import NbcacheError, NotebookCache
from nbcache.errors import StoreError
from nbcache.stores import MemoryStore
from nbcache.ui.panel.board import Board
from tests.servers.canned import Canned
from tests.stores.sqlite.test_opening_modes import lock_up, public
from tests.support.processes import in_new_process
from tests.ui.panel.test_board import (
    as_notebook,
    ask,
    cache,
    fake,
    paying,
    prompts,
    server,
    share_with_another_notebook,
)

__all__ = ["cache", "public", "server"]  # fixtures


def page(**which: Any) -> dict[str, Any]:
    """What the page shows with these filters."""
    return ask(Board(), "page", **which)


def do(action: str, text: str, /, **which: Any) -> str:
    """The reply to what a person does with `text` to all that is shown with these filters, right after they saw it."""
    shown = page(**which)
    return str(ask(Board(), action, text=text, total=shown["total"], place=shown["place"], **which)["text"])


def key_of(prompt: str) -> str:
    (key,) = (row["key"] for row in page()["rows"] if row["prompt"] == prompt)
    return str(key)


def facts(key: str) -> dict[str, str]:
    return dict(ask(Board(), "entry", key=key)["facts"])


def test_one_entry_is_tagged_and_untagged(cache: NotebookCache, server: Canned) -> None:
    paying(server).invoke("q")
    fake().invoke("another")
    key = key_of("q")
    done = ask(Board(), "tag", key=key, text=" second try ")
    assert done["type"] == "done"
    assert done["text"].startswith("tagged 1 entry of ")
    assert done["text"].endswith(": second try; $0.006 to pay again")
    assert prompts(Board(), tag="second try") == ["q"]
    assert facts(key)["Tags"] == "second try"
    assert ask(Board(), "untag", key=key, text="second try")["text"].startswith("untagged 1 entry of ")
    assert ask(Board(), "untag", key=key, text="second try")["text"].startswith("untagged 0 entries of ")
    assert [row["tags"] for row in page()["rows"]] == [[], []]


def test_one_entry_expires_and_is_kept_for_good_again(cache: NotebookCache) -> None:
    fake().invoke("q")
    key = key_of("q")
    before = time.time()
    assert " expire in 1w;" in ask(Board(), "expire", key=key, text="7d")["text"]
    assert before + 7 * 86400 <= page()["rows"][0]["expires"] <= time.time() + 7 * 86400
    assert facts(key)["Expires"].startswith("20")
    assert ask(Board(), "expire", key=key, text="none")["text"].startswith("kept 1 entry of ")
    assert facts(key)["Expires"] == "never"


def test_what_is_shown_is_changed_whoever_else_owns_it(tmp_path: Path) -> None:
    share_with_another_notebook(tmp_path)
    assert prompts(Board(), search="apple") == ["my apple", "shared apple"]
    assert do("tag", "draft", search="apple").startswith("tagged 2 entries of ")
    assert do("tag", "draft", search="apple").startswith("tagged 0 entries of ")
    assert do("tag", "draft").startswith("tagged 1 entry of ")
    assert do("expire", "1h", tag="draft", search="apple").startswith("let 2 entries of ")
    assert do("untag", "draft", search="pear", kind="call").startswith("untagged 1 entry of ")
    rows = {row.prompt: row for row in nbcache.installed().contents("folder").entries()}
    assert {prompt: (row.tags, row.expires is None) for prompt, row in rows.items()} == {
        "my pear": ((), True),
        "my apple": (("draft",), False),
        "shared apple": (("draft",), False),
        "their apple": ((), True),
    }
    assert do("expire", "none", tag="draft").startswith("kept 2 entries of ")
    assert not any(row.expires for row in nbcache.installed().contents("folder").entries())


@pytest.mark.parametrize("change", [("tag", "draft"), ("untag", "old"), ("expire", "1h"), ("expire", "none")])
def test_nothing_is_changed_but_what_was_shown(change: tuple[str, str], tmp_path: Path) -> None:
    action, text = change
    as_notebook(tmp_path / "one", tmp_path / "mine.ipynb")
    with nbcache.mode(tags="old", ttl="1d"):
        fake().invoke("apple one")
        shown = page(search="apple")
        fake().invoke("apple two")
    seen = {"search": "apple", "text": text, "total": shown["total"], "place": shown["place"]}
    before = page(search="apple")["rows"]
    with pytest.raises(ValueError, match="nothing was done: there are 2 such entries by now, not 1"):
        ask(Board(), action, **seen)
    with pytest.raises(ValueError, match="another store or scope"):
        ask(Board(), action, **seen | {"total": 2, "place": None})
    assert page(search="apple")["rows"] == before


@pytest.mark.parametrize(
    ("action", "text", "says"),
    [
        ("tag", "", "write a word or a few"),
        ("tag", "  ", "write a word or a few"),
        ("tag", ["a"], "reload the page"),
        ("untag", "", "write a word or a few"),
        ("expire", "", "such as 90s, 12h or 7d"),
        ("expire", "soon", "such as 90s, 12h or 7d"),
        ("expire", "-1h", "such as 90s, 12h or 7d"),
        ("expire", "0", "above zero"),
        ("expire", "1000000d", "at most a hundred years"),
        ("expire", 7, "reload the page"),
    ],
)
def test_what_is_typed_wrong_is_said_and_changes_nothing(
    cache: NotebookCache, action: str, text: Any, says: str
) -> None:
    with nbcache.mode(tags="old", ttl="1d"):
        fake().invoke("q")
    before = page()
    for which in ({"key": key_of("q")}, {"total": before["total"], "place": before["place"]}):
        with pytest.raises(ValueError, match=says):
            ask(Board(), action, text=text, **which)
    assert page() == before


def test_without_a_cache_it_says_what_to_type() -> None:
    with pytest.raises(NbcacheError, match="load_ext"):
        ask(Board(), "tag", key="0" * 40, text="draft")


def test_an_entry_that_is_gone_is_not_tagged(cache: NotebookCache) -> None:
    fake().invoke("q")
    key = key_of("q")
    ask(Board(), "evict", key=key)
    with pytest.raises(NbcacheError, match="no entry has a key"):
        ask(Board(), "tag", key=key, text="draft")


class Failing(MemoryStore):
    def edit(self, *_: Any) -> int:
        raise StoreError("the disk is on fire")


def test_a_store_that_fails_is_said() -> None:
    nbcache.install(Failing())
    fake().invoke("q")
    for which in ({}, {"key": key_of("q")}):
        with pytest.raises(StoreError, match="on fire"):
            do("tag", "draft", **which)


def _change_as_nobody(folder: Path) -> list[str]:
    nbcache.install("memory://")
    fake().invoke("what has to be imported is imported now")
    key_of("what has to be imported is imported now")
    if os.getuid() == 0:
        os.setuid(65534)
    nbcache.install(folder, scope="folder", mode="replay")
    said = []
    for action, text in (("tag", "draft"), ("expire", "1h")):
        for which in ({}, {"key": key_of("q")}):
            with pytest.raises(NbcacheError) as raised:
                do(action, text, **which)
            said.append(str(raised.value))
    return said


@pytest.mark.filterwarnings("ignore::nbcache.NbcacheWarning")
def test_a_store_that_can_only_be_read_is_said(public: Path) -> None:
    nbcache.install(public)
    fake().invoke("q")
    nbcache.uninstall()
    before = lock_up(public)
    said = in_new_process(_change_as_nobody, public)
    public.chmod(0o755)
    assert all(str(public) in text for text in said)
    assert len(said) == 4
    assert {path.name: path.read_bytes() for path in public.iterdir() if path.is_file()} == {
        name: payload for name, payload in before.items() if "/" not in name
    }


def test_a_clear_says_before_what_it_deletes(tmp_path: Path, server: Canned) -> None:
    theirs = as_notebook(tmp_path / "store", tmp_path / "theirs.ipynb")
    fake().invoke("shared")
    theirs.flush()
    as_notebook(tmp_path / "store", tmp_path / "mine.ipynb")
    for model, question in ((fake(), "shared"), (paying(server), "mine")):
        model.invoke(question)
    said = ask(Board(), "would clear")["text"]
    assert said.startswith("deletes 1 entry (")
    assert said.endswith("); 1 stay, which other notebooks own too; $0.006 to pay again")
    assert prompts(Board()) == ["mine", "shared"]
    assert ask(Board(), "clear", place=Board().state()["place"])["text"].startswith("deleted 1 entry (")
