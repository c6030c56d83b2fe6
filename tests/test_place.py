"""Where the store is, whose entries are whose, and that a clear never makes another notebook pay."""

import os
import subprocess
from pathlib import Path

import pytest
from langchain_core.outputs import Generation

from nbcache import NotebookCache
from nbcache.notebook import notebook_name, notebook_path, store_folder

LLM = "some model"


def as_notebook(store: Path, notebook: Path | None) -> NotebookCache:
    return NotebookCache(store, notebook=notebook)


def ask(cache: NotebookCache, prompt: str) -> bool:
    """Ask as LangChain does; whether it was a hit."""
    if cache.lookup(prompt, LLM) is not None:
        return True
    cache.update(prompt, LLM, [Generation(text=f"to {prompt}")])
    return False


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """home/work/repo/deep/er, with a .git in repo; the home folder is home."""
    repo = tmp_path / "home" / "work" / "repo"
    (repo / "deep" / "er").mkdir(parents=True)
    (repo / ".git").mkdir()
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    monkeypatch.chdir(repo / "deep" / "er")
    return repo


def test_the_nearest_store_upward_is_found(repository: Path) -> None:
    (repository / ".nbcache").mkdir()
    assert store_folder() == repository / ".nbcache"
    (repository / "deep" / ".nbcache").mkdir()
    assert store_folder() == repository / "deep" / ".nbcache"


def test_a_notebook_has_one_name_whatever_way_leads_to_it(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBCACHE_NOTEBOOK", "../a.ipynb")
    assert notebook_path() == repository / "deep" / "a.ipynb"
    assert notebook_name(notebook_path(), repository / ".nbcache") == "deep/a.ipynb"


def test_not_above_the_repositorys_root(repository: Path) -> None:
    (repository.parent / ".nbcache").mkdir()
    assert store_folder() == repository / "deep" / "er" / ".nbcache"


def test_not_above_the_home_folder(repository: Path, tmp_path: Path) -> None:
    (repository / ".git").rmdir()
    (tmp_path / ".nbcache").mkdir()
    assert store_folder() == repository / "deep" / "er" / ".nbcache"


def test_a_new_store_is_made_beside_the_notebook(repository: Path) -> None:
    assert store_folder(repository / "deep" / "a.ipynb") == repository / "deep" / ".nbcache"


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="users have no numbers here")
def test_anothers_store_is_not_trusted(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / ".nbcache").mkdir()
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    assert store_folder() == repository / "deep" / "er" / ".nbcache"


def test_the_environment_names_another_folder(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (repository / ".nbcache").mkdir()
    monkeypatch.setenv("NBCACHE_DIR", str(tmp_path / "else"))
    assert store_folder() == tmp_path / "else"


def test_the_notebooks_path_is_told_by_environment_vs_code_or_jupyter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert notebook_path() is None
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "lab.ipynb"))
    assert notebook_path() == tmp_path / "lab.ipynb"
    assert notebook_path({"__vsc_ipynb_file__": str(tmp_path / "code.ipynb")}) == tmp_path / "code.ipynb"
    monkeypatch.setenv("NBCACHE_NOTEBOOK", str(tmp_path / "named"))
    assert notebook_path({"__vsc_ipynb_file__": "x.ipynb"}) == tmp_path / "named"


def test_a_console_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "/somewhere/console-1-abc")
    assert notebook_path() is None


def test_a_notebook_is_named_from_the_folder_that_holds_the_store(tmp_path: Path) -> None:
    store = tmp_path / ".nbcache"
    assert notebook_name(tmp_path / "deep" / "a.ipynb", store) == "deep/a.ipynb"
    assert notebook_name(Path("/elsewhere/b.ipynb"), store) == "/elsewhere/b.ipynb"
    assert notebook_name(None, store) is None


def test_a_renamed_or_copied_notebook_pays_nothing(tmp_path: Path) -> None:
    first = as_notebook(tmp_path / ".nbcache", tmp_path / "a.ipynb")
    assert not ask(first, "q")
    copy = as_notebook(tmp_path / ".nbcache", tmp_path / "copy.ipynb")
    assert ask(copy, "q")
    assert [row.notebooks for row in copy.contents().entries()] == [("a.ipynb", "copy.ipynb")]


def test_what_one_notebook_clears_another_does_not_pay(tmp_path: Path) -> None:
    mine = as_notebook(tmp_path / ".nbcache", tmp_path / "a.ipynb")
    theirs = as_notebook(tmp_path / ".nbcache", tmp_path / "b.ipynb")
    ask(mine, "shared")
    ask(mine, "mine")
    ask(theirs, "shared")
    ask(theirs, "theirs")
    theirs.flush()
    assert mine.contents().clear(dry_run=True) == mine.contents().clear()
    assert mine.stats().entries == 0
    assert ask(theirs, "shared")
    assert ask(theirs, "theirs")
    assert not ask(mine, "mine")


def test_a_dry_run_tells_what_a_clear_then_does(tmp_path: Path) -> None:
    mine = as_notebook(tmp_path / ".nbcache", tmp_path / "a.ipynb")
    theirs = as_notebook(tmp_path / ".nbcache", tmp_path / "b.ipynb")
    ask(mine, "shared")
    ask(mine, "mine")
    ask(theirs, "shared")
    theirs.flush()
    told = mine.contents().clear(dry_run=True)
    assert (told.deleted, told.kept) == (1, 1)
    assert told == mine.contents().clear()


def test_what_a_notebook_sees_is_its_own_and_the_folder_all(tmp_path: Path) -> None:
    mine = as_notebook(tmp_path / ".nbcache", tmp_path / "a.ipynb")
    theirs = as_notebook(tmp_path / ".nbcache", tmp_path / "b.ipynb")
    ask(mine, "mine")
    ask(theirs, "theirs")
    assert [row.prompt for row in mine.contents().entries()] == ["mine"]
    assert mine.stats().entries == 1
    assert mine.stats("folder").entries == 2
    assert mine.contents("folder").clear().deleted == 2
    assert not ask(theirs, "theirs")


def test_where_the_notebook_is_unknown_the_scope_is_the_folder(tmp_path: Path) -> None:
    known = as_notebook(tmp_path / ".nbcache", tmp_path / "a.ipynb")
    ask(known, "q")
    unknown = as_notebook(tmp_path / ".nbcache", None)
    assert unknown.scope == "folder"
    assert ask(unknown, "q")
    assert unknown.stats().entries == 1
    unknown.flush()
    assert known.contents().entries()[0].notebooks == ("a.ipynb",)


def test_git_ignores_the_store(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    ask(as_notebook(tmp_path / ".nbcache", None), "q")
    told = subprocess.run(
        ["git", "-C", str(tmp_path), "status", "--porcelain"], check=True, capture_output=True, text=True
    )
    assert told.stdout == ""
