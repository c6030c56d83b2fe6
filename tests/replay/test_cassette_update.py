"""A cassette that is there already: what writing it anew must not lose, and must not tell."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel, FakeListLLM

import nbcache
from nbcache.replay.cassette_fields import AHEAD
from nbcache.replay.cassette_format import read
from nbcache.session import installation
from nbcache.ui import report

KEY = "sk-" + "Ab1" * 12


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "answers.llmcache.jsonl"


def ask(text: str, answer: str = "at noon") -> Any:
    return FakeListChatModel(responses=[answer]).invoke(text)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("foreign", ["<<<<<<< HEAD\n", '{"prompt": "edited by hand, without its key"}\n'])
def test_what_is_no_recording_is_kept_beside_what_is_written(store: Path, file: Path, foreign: str) -> None:
    ask("a")
    nbcache.export_cassette(file)
    whole = file.read_text()
    file.write_text(whole + foreign)
    done = nbcache.export_cassette(file)
    assert (file.read_text(), done.backup.read_text()) == (whole, whole + foreign)
    assert done.backup.name in report.exported(done)


def test_where_recordings_go_the_file_before_is_kept(store: Path, file: Path, tmp_path: Path) -> None:
    ask("a")
    nbcache.export_cassette(file)
    before = file.read_bytes()
    nbcache.install(tmp_path / "another")
    ask("b")
    assert nbcache.export_cassette(file, check=True).gone
    assert not file.with_name("answers.llmcache.jsonl.bak").exists()
    done = nbcache.export_cassette(file)
    assert done.backup.read_bytes() == before
    assert done.backup.name in report.exported(done)
    nbcache.import_cassette(done.backup)
    assert nbcache.export_cassette(file).entries == 2


def test_what_replay_plays_is_not_written_over(store: Path, file: Path) -> None:
    ask("a")
    nbcache.export_cassette(file)
    before = file.read_bytes()
    nbcache.install("memory://", mode="replay", cassette=file)
    assert ask("a").text == "at noon"
    with pytest.raises(ValueError, match="`%llmcache on` first"):
        nbcache.export_cassette()
    assert file.read_bytes() == before


def test_what_was_taken_out_is_not_written_later(tmp_path: Path, file: Path) -> None:
    nbcache.install(tmp_path / "store", secrets=r"ACME-\d+")
    for text in ("who is ACME-4711, and ACME-4712?", "ACME-1", "and he?"):
        ask(text)
    nbcache.export_cassette(file)
    before = file.read_bytes()
    installation.reinstall(secrets=())
    for check in (True, False):
        with pytest.raises(ValueError, match=r"would be written with what the file has as \[secret\].*`--secret`"):
            nbcache.export_cassette(file, check=check)
    assert file.read_bytes() == before
    file.unlink()
    assert nbcache.export_cassette(file).entries == 3


def test_a_recording_that_has_a_placeholder_may_go(tmp_path: Path, file: Path) -> None:
    nbcache.install(tmp_path / "store")
    ask(f"a {KEY}")
    nbcache.export_cassette(file)
    nbcache.clear()
    for text in ("a", "a b", f"b {KEY}"):
        ask(text)
    assert (nbcache.export_cassette(file).entries, len(lines(file))) == (3, 3)


def test_of_an_entry_and_what_an_import_made_of_it_one_is_written(store: Path, file: Path) -> None:
    ask(f"a {KEY}")
    nbcache.export_cassette(file)
    before = file.read_bytes()
    nbcache.import_cassette(file)
    done = nbcache.export_cassette(file)
    assert (done.changed, done.left_out, file.read_bytes()) == (False, {}, before)


def test_where_all_is_left_out_the_file_stays(store: Path, file: Path) -> None:
    ask("a")
    nbcache.export_cassette(file)
    before = file.read_bytes()
    nbcache.clear()
    ask("b", f"it is {KEY}")
    done = nbcache.export_cassette(file)
    assert (done.entries, done.changed, len(done.left_out)) == (0, False, 1)
    assert "nothing is written" in report.exported(done)
    assert file.read_bytes() == before


def test_lines_that_end_as_on_windows_are_no_change(store: Path, file: Path) -> None:
    ask("a")
    nbcache.export_cassette(file)
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert not nbcache.export_cassette(file, check=True).changed


def test_keys_are_known_wherever_they_stand_in_a_line(store: Path, file: Path) -> None:
    ask("a")
    nbcache.export_cassette(file)
    (line,) = lines(file)
    key = line.pop("key")
    file.write_text(json.dumps({**line, "key": key}) + "\n[1]\n{")
    nbcache.clear()
    ask("b")
    assert nbcache.export_cassette(file).gone == (key,)


@pytest.mark.parametrize("name", ["none/answers.jsonl", "new.ipynb", "loop"])
def test_a_file_that_nobody_can_mean_is_refused(store: Path, tmp_path: Path, name: str) -> None:
    ask("a")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises((ValueError, OSError), match=r"no folder|would be a notebook|[Ll]oop|symbolic"):
        nbcache.export_cassette(tmp_path / name)
    assert not (tmp_path / "none").exists()


def test_whatever_is_written_can_be_read(store: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask("a")
    with monkeypatch.context() as ahead:
        now = time.time
        ahead.setattr(time, "time", lambda: now() + 2 * AHEAD)
        ask("of a day to come")
    done = nbcache.export_cassette(file)
    assert (len(read(file)), len(done.left_out)) == (1, 1)
    assert "a time to come" in report.exported(done)


@pytest.mark.parametrize("deep", ["[" * 100_000, '[{"a":' * 50_000, '[{"lc":' * 50_000])
def test_a_prompt_that_looks_like_a_tower_is_exported(tmp_path: Path, file: Path, deep: str) -> None:
    nbcache.install(tmp_path / "store", normalize=str.strip)
    FakeListLLM(responses=["at noon"]).invoke(f" {deep}")
    FakeListLLM(responses=["at noon"]).invoke("another")
    assert nbcache.export_cassette(file).entries == 2


def test_a_secret_in_a_name_that_stands_twice_is_found(tmp_path: Path, file: Path) -> None:
    nbcache.install(tmp_path / "store", normalize=lambda text: text.replace(KEY, ""))
    FakeListLLM(responses=["at noon"]).invoke(f'{{"header": "{KEY}", "header": "b"}}')
    assert nbcache.export_cassette(file).scrubbed
    assert KEY not in file.read_text()
