"""What destroys something names the store and asks first, or says what to type where nobody can be asked."""

import io
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from nbcache.entry.records import Filter
from nbcache.stores import DiskStore
from tests.ui.cli.test_main import Run, keep, no_database, run, stored

__all__ = ["run"]

DESTROYING = [["clear"], ["evict", "KEY"], ["check", "--fix"], ["import", "answers.jsonl", "--prefer", "file"]]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose root has a store, and a folder in it: the working directory."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "sub folder").mkdir()
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return tmp_path


def type_in(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))


def damage(prompt: str) -> None:
    with closing(sqlite3.connect(".nbcache/cache.db")) as database, database:
        database.execute("UPDATE Cache SET value = zeroblob(99) WHERE key = ?", (stored()[prompt].key,))


def prepare(command: list[str], run: Run) -> list[str]:
    """What `command` would destroy, in the store of the working directory; the command with its key."""
    keep("one", "two")
    if command[0] == "import":
        assert run("export", "answers.jsonl").code == 0
        file = Path("answers.jsonl")
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        edited = [line | {"answer": json.loads(json.dumps(line["answer"]).replace("an a", "A"))} for line in lines]
        file.write_text("".join(json.dumps(line) + "\n" for line in edited))
    elif command[0] == "check":
        damage("one")
    return [stored()["one"].key if word == "KEY" else word for word in command]


def answers(folder: Path) -> list[str]:
    with closing(DiskStore(folder)) as store:
        return sorted(f"{meta.prompt}: {meta.answer}" for meta in store.page(Filter()))


@pytest.mark.parametrize("command", DESTROYING, ids=" ".join)
@pytest.mark.parametrize("answer", ["", "\n", "n\n", "yess\n"])
def test_nothing_is_destroyed_but_by_a_yes(
    command: list[str], answer: str, project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = prepare(command, run)
    before = answers(project / ".nbcache")
    type_in(monkeypatch, answer)
    said = run(*command)
    assert (said.code, said.out) == (1, "")
    assert f"{command[0]} in {project}/.nbcache" in said.err
    assert said.err.endswith("Go on? [y/N] nbcache: nothing was changed\n")
    assert answers(project / ".nbcache") == before


@pytest.mark.parametrize("command", DESTROYING, ids=" ".join)
@pytest.mark.parametrize("by", ["y\n", "Yes\n", "--yes"])
def test_a_yes_destroys(command: list[str], by: str, project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    command = prepare(command, run)
    before = answers(project / ".nbcache")
    if by != "--yes":
        type_in(monkeypatch, by)
    said = run(*command, *([by] if by == "--yes" else []))
    assert said.code == 0
    assert ".nbcache" in said.out
    assert answers(project / ".nbcache") != before


@pytest.mark.parametrize("command", DESTROYING, ids=" ".join)
def test_a_script_is_told_what_to_type(command: list[str], project: Path, run: Run) -> None:
    command = prepare(command, run)
    before = answers(project / ".nbcache")
    said = run(*command)
    assert (said.code, said.out) == (2, "")
    assert f"{command[0]} in {project}/.nbcache" in said.err
    assert "Nothing was changed" in said.err
    assert "nobody can be asked here, so add `--yes`" in said.err
    assert answers(project / ".nbcache") == before


@pytest.mark.parametrize(
    ("variable", "value"), [("JPY_PARENT_PID", "1"), ("MPLBACKEND", "module://matplotlib_inline.backend_inline")]
)
def test_a_cell_of_a_notebook_is_told_what_to_type_and_does_not_wait(
    variable: str, value: str, project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(["clear"], run)
    before = answers(project / ".nbcache")
    type_in(monkeypatch, "y\n")  # `!nbcache clear` runs in a terminal into which nobody can type
    monkeypatch.setenv(variable, value)
    said = run("clear")
    assert said.code == 2
    assert "nobody can be asked here, so add `--yes`" in said.err
    assert answers(project / ".nbcache") == before


def test_clear_in_a_subfolder_names_its_parents_store_and_what_it_has(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep("one", "two")
    monkeypatch.chdir("sub folder")
    said = run("clear")
    assert said.code == 2
    assert f"clear in {project}/.nbcache deletes 2 entries (" in said.err
    assert "$0.012 to pay again" in said.err
    assert run("clear", "--dry-run").out.startswith("would delete 2 entries")
    assert len(stored(project / ".nbcache")) == 2


def test_from_the_root_other_stores_are_named_and_left(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep("root")
    keep("sub", notebook="sub folder/a.ipynb", store=project / "sub folder" / ".nbcache")
    type_in(monkeypatch, "y\n")
    said = run("clear")
    assert "sub folder/.nbcache is another store, and not touched" in said.err
    assert stored() == {}
    assert len(stored(project / "sub folder" / ".nbcache")) == 1


@pytest.mark.parametrize("command", [["clear"], ["evict", "ab"], ["check", "--fix"]], ids=" ".join)
def test_nothing_is_destroyed_below_that_nobody_named(command: list[str], project: Path, run: Run) -> None:
    keep("sub", store=project / "sub folder" / ".nbcache")
    said = run(*command, "--yes")
    assert said.code == 2
    assert "add `--store sub folder/.nbcache`" in said.err.replace("'", "")
    assert len(stored(project / "sub folder" / ".nbcache")) == 1
    assert run("ls").out.splitlines()[1].endswith("sub")  # to look is no harm
    assert run("clear", "--yes", "--store", "sub folder/.nbcache").code == 0


def test_where_there_is_nothing_to_destroy_nobody_is_asked(project: Path, run: Run) -> None:
    keep("one")
    assert run("check", "--fix").code == 0
    assert run("clear", "--model", "another").code == 0
    assert run("export", "answers.jsonl").code == 0
    assert run("import", "answers.jsonl", "--prefer", "file").code == 0


def test_a_damaged_file_is_set_aside_only_by_a_yes(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    keep("one")
    no_database(Path(".nbcache/cache.db"))
    before = Path(".nbcache/cache.db").read_bytes()
    assert run("check", "--fix").code == 2
    type_in(monkeypatch, "n\n")
    assert "sets the damaged file aside" in run("check", "--fix").err
    assert Path(".nbcache/cache.db").read_bytes() == before
    type_in(monkeypatch, "y\n")
    assert run("check", "--fix").code == 0
    assert stored() == {}


def test_what_came_while_one_was_asked_stays(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    keep("one")

    class Slow(Terminal):
        def readline(self, *_: object) -> str:  # type: ignore[override]
            keep("later")
            return "y\n"

    monkeypatch.setattr(sys, "stdin", Slow())
    assert run("clear").code == 0
    assert list(stored()) == ["later"]
