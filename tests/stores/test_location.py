"""Where the store is, whose entries are whose, and that a clear never makes another notebook pay."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from langchain_core.outputs import Generation

from nbcache import NotebookCache
from nbcache.errors import NbcacheWarning
from nbcache.stores import nearby_folders
from nbcache.stores.location import notebook_name, notebook_path, store_folder
from nbcache.stores.nearby_folders import folders_below, notebook_on_command_line

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


def test_a_notebook_finds_its_own_store_wherever_the_kernel_was_started(repository: Path) -> None:
    (repository / "notebooks" / ".nbcache").mkdir(parents=True)
    assert store_folder(repository / "notebooks" / "n.ipynb") == repository / "notebooks" / ".nbcache"
    (repository / "deep" / "er" / ".nbcache").mkdir()  # the working directory's
    assert store_folder(repository / "notebooks" / "n.ipynb") == repository / "notebooks" / ".nbcache"
    assert store_folder(repository / "without" / "n.ipynb") == repository / "deep" / "er" / ".nbcache"


def test_from_the_root_the_only_store_below_is_taken_and_named(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where papermill or a script runs there: it would pay again."""
    monkeypatch.chdir(repository)
    (repository / "note books" / ".nbcache").mkdir(parents=True)
    with pytest.warns(NbcacheWarning, match="the store is note books/.nbcache") as told:
        assert store_folder() == repository / "note books" / ".nbcache"
    assert f"NBCACHE_DIR={repository}/.nbcache" in str(told[0].message)


def test_a_new_store_beside_others_is_said_with_what_to_type(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    for name in ("a b", "c"):
        (repository / name / ".nbcache").mkdir(parents=True)
    (repository.parent / ".nbcache").mkdir()  # above the repository's root
    with pytest.warns(NbcacheWarning, match="a new store begins in .nbcache") as told:
        assert store_folder() == repository / ".nbcache"
    said = str(told[0].message)
    assert f"a b/.nbcache, c/.nbcache, {repository.parent}/.nbcache" in said
    assert "`%llmcache on --store 'a b/.nbcache'` in a notebook" in said
    assert "`--store 'a b/.nbcache'` after a command of `nbcache` in a terminal" in said
    assert "when an answer is stored" in said


def test_a_notebook_that_is_known_begins_a_store_of_its_own_beside_others(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    (repository / "deep" / ".nbcache").mkdir()
    with pytest.warns(NbcacheWarning, match="a new store begins in .nbcache"):
        assert store_folder(repository / "n.ipynb") == repository / ".nbcache"


def test_the_search_below_is_short(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    for place in ("node_modules/x", ".hidden", "a/b/c/d/e", ".venv/lib"):
        (repository / place / ".nbcache").mkdir(parents=True)
    (repository / "away").symlink_to(repository / "node_modules")
    assert folders_below(repository) == []
    (repository / "a/b/c/d/.nbcache").mkdir()
    (repository / "a/.nbcache").mkdir()
    assert folders_below(repository) == [repository / "a/.nbcache", repository / "a/b/c/d/.nbcache"]
    monkeypatch.setattr(nearby_folders, "_FOLDERS", 2)
    assert folders_below(repository) == [repository / "a/.nbcache"]


_STARTER = """
import os, subprocess, sys
environment = {**os.environ, "JPY_PARENT_PID": str(os.getpid())}
code = "import sys; sys.modules['ipykernel'] = sys; from nbcache.stores.nearby_folders import *; print(notebook_on_command_line())"
print(subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True).stdout)
"""


@pytest.mark.parametrize(
    ("program", "arguments", "notebook"),
    [
        ("papermill", ["in it/n.ipynb", "out.ipynb", "-p", "x", "1"], "in it/n.ipynb"),
        ("papermill", ["gone.ipynb", "out.ipynb"], None),
        ("papermill", ["s3://bucket/n.ipynb", "gone.ipynb"], None),
        ("run.py", ["--execute", "in it/n.ipynb"], "in it/n.ipynb"),
        ("run.py", ["in it/n.ipynb", "out.ipynb"], None),
        ("run.py", [], None),
    ],
)
def test_the_starters_command_line_names_the_notebook(
    program: str, arguments: list[str], notebook: str | None, tmp_path: Path
) -> None:
    (tmp_path / "in it").mkdir()
    for name in ("in it/n.ipynb", "out.ipynb"):
        (tmp_path / name).touch()
    (tmp_path / program).write_text(_STARTER)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, program, *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == str(notebook and tmp_path / notebook)


def test_a_process_that_is_no_kernel_asks_for_no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_PARENT_PID", str(os.getpid()))
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert notebook_on_command_line() is None


def test_papermills_parameter_names_the_notebook(tmp_path: Path) -> None:
    assert notebook_path({"PAPERMILL_INPUT_PATH": "n.ipynb"}) is None
    (tmp_path / "n.ipynb").touch()
    assert notebook_path({"PAPERMILL_INPUT_PATH": "n.ipynb"}) == tmp_path / "n.ipynb"
    assert notebook_path({"PAPERMILL_INPUT_PATH": 5}) is None


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
