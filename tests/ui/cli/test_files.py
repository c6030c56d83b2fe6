"""`nbcache export` and `nbcache import` in a terminal."""

import json
from pathlib import Path
from typing import Any

import pytest

import nbcache
from nbcache.stores import DiskStore
from tests.ui.cli.test_main import Ran, keep, run, stored

__all__ = ["run"]  # a fixture


def exported(ran: Ran) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_export_writes_the_cassette_beside_its_notebook(run: Any) -> None:
    keep("q", "p")
    keep("other", notebook="b.ipynb")
    ran = run("export", "--notebook", "a.ipynb")
    assert ran.code == 0
    assert "a.llmcache.jsonl: 2 recordings" in ran.out
    assert len(Path("a.llmcache.jsonl").read_text().splitlines()) == 2


def test_export_without_a_file_or_a_notebook_says_what_to_type(run: Any) -> None:
    keep("q")
    ran = run("export")
    assert ran.code == 2
    assert "--notebook" in ran.err


def test_a_check_tells_by_its_exit_code(run: Any) -> None:
    keep("q")
    assert run("export", "all.jsonl", "--check").code == 1
    assert not Path("all.jsonl").exists()
    run("export", "all.jsonl")
    assert run("export", "all.jsonl", "--check").code == 0


def test_what_was_exported_is_imported_elsewhere(run: Any, tmp_path: Path) -> None:
    keep("q", "p")
    run("export", "all.jsonl")
    elsewhere = str(tmp_path / "elsewhere")
    assert exported(run("import", "all.jsonl", "--store", elsewhere, "--dry-run", "--json"))["new"] == 2
    assert not (tmp_path / "elsewhere").exists()
    told = exported(run("import", "all.jsonl", "--store", elsewhere, "--json"))
    assert (told["new"], told["same"], told["conflicting"]) == (2, 0, [])
    assert exported(run("import", "all.jsonl", "--store", elsewhere, "--json"))["same"] == 2
    store = DiskStore(elsewhere)
    assert sorted(row.prompt for row in store.page()) == ["p", "q"]
    store.close()


def test_what_is_beside_a_notebook_is_imported_as_its_own(run: Any) -> None:
    keep("q")
    run("export", "--notebook", "a.ipynb")
    Path("a.ipynb").touch()
    nbcache.install()
    nbcache.clear(scope="folder")
    nbcache.uninstall()
    assert run("import", "a.llmcache.jsonl").code == 0
    assert stored()["q"].notebooks == ("a.ipynb",)


def test_the_users_secrets_are_taken_out(run: Any) -> None:
    keep("who is ACME-4711")
    ran = run("export", "all.jsonl", "--secret", r"ACME-\d+")
    assert ran.code == 0
    assert "4711" not in Path("all.jsonl").read_text()
    assert "[secret]" in ran.out


@pytest.mark.parametrize(("content", "why"), [("{", ", line 1"), ("\x00\x01", ", line 1"), ("", " is empty")])
def test_a_file_that_is_no_cassette_is_refused_with_its_line(run: Any, content: str, why: str) -> None:
    Path("bad.jsonl").write_text(content)
    ran = run("import", "bad.jsonl")
    assert ran.code == 2
    assert f"bad.jsonl{why}" in ran.err
    assert "Traceback" not in ran.err


def test_the_environment_may_name_the_cassette(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    keep("who")
    monkeypatch.setenv("NBCACHE_CASSETTE", "named.jsonl")
    assert run("export").code == 0
    assert Path("named.jsonl").exists()


def test_a_file_is_its_notebooks_by_whatever_way_it_is_named(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    keep("who")
    assert run("export", "monads.llmcache.jsonl").code == 0
    Path("monads.ipynb").touch()
    Path("deep").mkdir()
    monkeypatch.chdir("deep")
    assert run("clear", "--yes").code == 0
    assert run("import", "../monads.llmcache.jsonl").code == 0
    assert run("ls", "--notebook", "monads.ipynb").code == 0


def test_a_file_that_is_not_there_is_named(run: Any) -> None:
    ran = run("import", "none.jsonl")
    assert ran.code == 2
    assert "none.jsonl" in ran.err
