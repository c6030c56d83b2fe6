"""A notebook that is renamed while its kernel runs goes on under its new name, where that is certain."""

import json
import warnings
from pathlib import Path

import pytest
from langchain_core.language_models import FakeListChatModel

import nbcache
from nbcache.errors import NbcacheWarning
from nbcache.session import installation
from nbcache.ui.jupyter.notebook_renames import Follower


def write(path: Path, *ids: str) -> Path:
    path.write_text(json.dumps({"cells": [{"id": name, "source": ""} for name in ids]}))
    return path


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    notebook = write(tmp_path / "old.ipynb", "one", "two")
    nbcache.install(notebook=notebook)
    FakeListChatModel(responses=["a"]).invoke("q")
    return notebook


@pytest.fixture
def follower(notebook: Path) -> Follower:
    follower = Follower()
    follower.follow(notebook, "one")
    return follower


def test_entries_and_exports_go_on_under_the_new_name(notebook: Path, follower: Follower, tmp_path: Path) -> None:
    notebook.rename(tmp_path / "new.ipynb")
    write(tmp_path / "another.ipynb", "three")
    with pytest.warns(NbcacheWarning, match=r"this notebook is new\.ipynb now"):
        follower.follow(notebook, "two")
    assert nbcache.entries().notebook.tolist() == ["new.ipynb"]
    assert nbcache.stats().misses == 1
    assert nbcache.stats(lifetime=True).misses == 1
    assert nbcache.history().notebook.tolist() == ["new.ipynb"]
    assert nbcache.export_cassette().path == tmp_path / "new.llmcache.jsonl"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        follower.follow(notebook, "two")


@pytest.mark.parametrize("others", [[], ["a.ipynb", "b.ipynb"]])
def test_where_the_new_name_is_not_certain_it_is_said_once(
    others: list[str], notebook: Path, follower: Follower, tmp_path: Path
) -> None:
    notebook.unlink()
    for name in others:
        write(tmp_path / name, "one", "two")
    with pytest.warns(NbcacheWarning, match=r"old\.ipynb isn't where it was; .* NBCACHE_NOTEBOOK") as heard:
        follower.follow(notebook, "two")
    assert len(heard) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        follower.follow(notebook, "two")
    assert installation.installed().notebook == "old.ipynb"


def test_where_the_page_tells_the_new_name_that_is_it(notebook: Path, follower: Follower, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    moved = notebook.rename(tmp_path / "sub" / "moved.ipynb")
    with pytest.warns(NbcacheWarning, match="this notebook is sub/moved"):
        follower.follow(moved, None)
    assert nbcache.entries().notebook.tolist() == ["sub/moved.ipynb"]


def test_what_was_never_saved_is_not_missed(tmp_path: Path) -> None:
    nbcache.install(notebook=tmp_path / "unsaved.ipynb")
    follower = Follower()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        follower.follow(tmp_path / "unsaved.ipynb", "one")


def test_broken_notebooks_are_passed_by(notebook: Path, follower: Follower, tmp_path: Path) -> None:
    notebook.rename(tmp_path / "new.ipynb")
    (tmp_path / "broken.ipynb").write_bytes(b"\xff{")
    (tmp_path / "list.ipynb").write_text("[]")
    with pytest.warns(NbcacheWarning, match="this notebook is new"):
        follower.follow(None, None)
