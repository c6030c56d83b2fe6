"""`nbcache …` in a terminal: real processes for what only they show, `main` in this one for the many cases."""

import fcntl
import io
import json
import os
import re
import sqlite3
import struct
import subprocess
import sys
import termios
import tomllib
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from langchain_core.language_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage

import nbcache
from nbcache.entry.records import EntryMeta, Filter
from nbcache.stores import DiskStore
from nbcache.stores.location import user_folder
from nbcache.stores.view import Contents
from nbcache.ui import entry_report, progress, report
from nbcache.ui.cli.main import main
from nbcache.ui.printing import age
from tests.faults.test_faults import of_a_newer_version

COMMANDS = [["ls"], ["stats"], ["show", "ab"], ["evict", "ab"], ["clear"], ["check"], ["check", "--fix"], ["where"]]
HOSTILE = "\x1b]0;pwned\x07\x1b[2J\x9b31m\u202e evil\r"
PRICES = {"m": {"input": 2, "output": 8}}  # an answer of `model` is $0.006


class Ran(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


def model(answer: str = "an answer") -> FakeMessagesListChatModel:
    usage = {"input_tokens": 1000, "output_tokens": 500, "total_tokens": 1500}
    message = AIMessage(answer, usage_metadata=usage, response_metadata={"model_name": "m"})
    return FakeMessagesListChatModel(responses=[message])


def keep(*prompts: str, notebook: str = "a.ipynb", answer: str = "an answer", **settings: Any) -> None:
    """Ask, with the cache on in the notebook."""
    nbcache.install(notebook=Path.cwd() / notebook, prices=PRICES, **settings)
    for prompt in prompts:
        model(answer).invoke(prompt)
    nbcache.uninstall()


def stored(folder: Path | None = None) -> dict[str, EntryMeta]:
    """The entries by their prompts."""
    with closing(DiskStore(folder or Path.cwd() / ".nbcache")) as store:
        return {meta.prompt: meta for meta in store.page()}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process."""

    def run_it(*argv: str | Path) -> Ran:
        capsys.readouterr()
        try:
            code = main(list(map(str, argv)))
        except SystemExit as error:
            code = int(str(error.code))
        return Ran(code, *capsys.readouterr())

    return run_it


@pytest.fixture
def terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process as if it printed to a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def run_it(*argv: str | Path) -> Ran:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        return run(*argv)

    return run_it


def start(*argv: str, stdout: Any = subprocess.PIPE, **environment: str) -> subprocess.Popen[str]:
    """A process that has this environment besides; its output is buffered, whatever the machine's environment says."""
    command = [sys.executable, "-m", "nbcache", *argv]
    env = {**os.environ, "PYTHONUNBUFFERED": "", **environment}
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, encoding="utf-8", env=env)


# Listing


def test_ls_in_a_pipe_lists_every_entry_whole_newest_first() -> None:
    keep(*(f"prompt {number}" for number in range(60)))
    with start("ls") as process:
        out, err = process.communicate()
    head, *lines = out.splitlines()
    assert (process.returncode, err) == (0, "")
    assert head.split() == ["key", "age", "model", "tokens", "cost", "hits", "size", "client", "prompt"]
    assert [line.split("  ")[-1] for line in lines] == [f"prompt {number}" for number in reversed(range(60))]
    assert lines[0].split()[0] == stored()["prompt 59"].key
    assert lines[0].split()[2:6] == ["FakeMessagesListChatModel", "1,500", "$0.006", "0"]


def test_ls_in_a_terminal_shows_a_screenful_and_says_how_many_more_there_are(terminal: Run) -> None:
    keep(*(f"prompt {number}" for number in range(60)))
    _, *lines, more = terminal("ls").out.splitlines()
    assert len(lines) == 50
    assert more == "10 more: `--limit 60` lists all"
    assert terminal("ls", "--limit", "3").out.splitlines()[-1] == "57 more: `--limit 60` lists all"
    assert len(terminal("ls", "--limit", "60").out.splitlines()) == 61
    assert len(json.loads(terminal("ls", "--json").out)) == 60


@pytest.mark.parametrize(
    ("width", "names"),
    [
        (60, ["key", "age", "model", "cost", "prompt"]),
        (80, ["key", "age", "model", "cost", "hits", "size", "prompt"]),
        (120, ["key", "age", "model", "tokens", "cost", "hits", "size", "client", "prompt"]),
    ],
)
def test_ls_leaves_room_for_prompts_in_a_narrow_terminal(
    width: int, names: list[str], terminal: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep("What is a functor, and what is a monad, and what is a monoid?")
    monkeypatch.setenv("COLUMNS", str(width))
    head, line = terminal("ls").out.splitlines()
    assert head.split() == names
    assert "What is a functor" in line
    assert len(line) <= width


def test_ls_in_a_terminal_fits_its_width_whatever_is_in_a_prompt() -> None:
    keep("日本語のプロンプト" * 20, f"{HOSTILE} " * 9, "👩‍👩‍👧 " * 50, answer=HOSTILE)
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    with start("ls", stdout=theirs, COLUMNS="") as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # the terminal's other end was closed
                break
    os.close(ours)
    lines = shown.decode().replace("\r\n", "\n").splitlines()
    assert process.returncode == 0
    assert len(lines) == 4
    assert all(len(line) + sum(sign >= "\u2e80" for sign in line) <= 100 for line in lines)
    assert max(map(len, lines)) == 100
    assert not set("\x1b\x07\x9b\u202e\r") & set("".join(lines))
    assert "\\x1b]0;pwned\\x07" in shown.decode()


@pytest.mark.parametrize("command", [["ls"], ["show"], ["evict"]])
def test_no_answer_drives_a_terminal(command: list[str], terminal: Run) -> None:
    keep(HOSTILE, answer=HOSTILE, tags=[HOSTILE])
    (meta,) = stored().values()
    said = terminal(*command, *([meta.key] if command != ["ls"] else []), *(["--yes"] if command == ["evict"] else []))
    assert said.code == 0
    assert "\\x1b]" in said.out
    assert not set("\x1b\x07\x9b\u202e\r") & set(said.out)


def test_lines_end_as_they_do_here(run: Run) -> None:
    keep("q", answer="one\r\ntwo\tthree")
    assert run("show", stored()["q"].key).out.endswith("--- answer ---\none\ntwo\tthree\n")


def test_keys_in_a_terminal_are_as_long_as_tells_them_apart(terminal: Run) -> None:
    keep("far")
    with closing(DiskStore(".nbcache")) as store:
        for end in ("0", "1"):
            key = "abcdef0123" + end * 30
            store.put(key, b"payload", EntryMeta(key, "other", f"near {end}", "a", "ok", 1.0))
    assert {line.split()[0] for line in terminal("ls", "--model", "other").out.splitlines()[1:]} == {
        "abcdef01230",
        "abcdef01231",
    }
    shown = terminal("ls", "--limit", "1").out.splitlines()[1].split()[0]  # the others don't concern it
    assert shown == stored()["far"].key[:8]


@pytest.mark.parametrize(
    ("options", "prompts"),
    [
        ([], "fedcba"),
        (["--model", "FakeMessagesListChatModel"], "fedcba"),
        (["--model", "another"], ""),
        (["--client", "langchain"], "fedcba"),
        (["--client", "openai"], ""),
        (["--tag", "draft"], "c"),
        (["--match", "THE WHALE"], "d"),
        (["--match", "b"], "b"),
        (["--status", "empty"], "e"),
        (["--status", "ok"], "fdcba"),
        (["--notebook", "b.ipynb"], "f"),
        (["--notebook", "a.ipynb", "--status", "ok", "--limit", "2"], "dc"),
        (["--match", "an answer", "--limit", "1"], "f"),
    ],
)
def test_ls_lists_what_is_meant(options: list[str], prompts: str, run: Run) -> None:
    keep("a", "b")
    keep("c", tags="draft")
    keep("d", answer="x " * 200 + "of the whale")
    keep("e", answer="")
    keep("f", notebook="b.ipynb")
    said = run("ls", "--json", *options)
    assert (said.code, said.err) == (0, "")
    assert "".join(row["prompt"] for row in json.loads(said.out)) == prompts
    assert [line.split()[-1] for line in run("ls", *options).out.splitlines()[1:]] == list(prompts)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-5, "0s"), (0.4, "0s"), (59, "59s"), (60, "1m"), (7199, "1h"), (86399, "23h"), (86400, "1d"), (9e7, "1041d")],
)
def test_ages_are_written_as_older_than_takes_them(seconds: float, shown: str) -> None:
    assert age(seconds) == shown


# JSON


def test_json_has_money_as_text_times_in_utc_and_null_for_what_is_not_known(run: Run) -> None:
    keep("q", "q", tags=["b", "a"], ttl="7d")
    (row,) = json.loads(run("ls", "--json").out)
    meta = stored()["q"]
    assert row["cost_usd"] == "0.006"
    assert (row["tags"], row["notebooks"], row["cell"], row["hits"]) == (["a", "b"], ["a.ipynb"], None, 1)
    assert row["created"].endswith("+00:00")
    assert datetime.fromisoformat(row["created"]).timestamp() == pytest.approx(meta.created)
    assert datetime.fromisoformat(row["expires"]).timestamp() == pytest.approx(meta.created + 7 * 86400, abs=1)
    keep("never hit")
    assert json.loads(run("ls", "--json").out)[0]["last_hit"] is None


@pytest.mark.parametrize(
    "command", [["ls"], ["stats"], ["stats", "--by", "model"], ["show"], ["evict"], ["clear"], ["check"], ["where"]]
)
def test_json_is_one_document_of_the_fields_that_help_names(command: list[str], run: Run) -> None:
    keep("q")
    (meta,) = stored().values()
    key = [meta.key[:6]] if command[0] in {"show", "evict"} else []
    said = run(*command, *key, *(["--yes"] if command[0] in {"evict", "clear"} else []), "--json")
    document = json.loads(said.out)
    found = document[0] if isinstance(document, list) else document
    told = run(command[0], "--help").out.partition("--json prints")[2]
    if command[0] in {"show", "evict"}:
        told += run("ls", "--help").out
    assert [name for name in found if name not in re.findall(r"\w+", told)] == []
    assert said.err == ""


# Money


def test_stats_are_those_of_the_stores_whole_life(run: Run) -> None:
    keep("q", "q", "q")
    keep("r", notebook="b.ipynb")
    assert run("clear", "--yes").code == 0
    keep("cut", "q")
    lines = dict(line.split(": ", 1) for line in run("stats").out.splitlines())
    assert lines["calls"].strip() == "so far: 2 hits, 4 misses (33% hits)"
    assert lines["paid"].strip() == "$0.024"
    assert lines["saved"].strip().startswith("up to $0.012")
    assert lines["stored"].strip().startswith("2 entries, ")
    told = json.loads(run("stats", "--json").out)
    assert (told["hits"], told["misses"], told["spent_usd"], told["saved_usd"]) == (2, 4, "0.024", "0.012")
    assert told["entries"] == 2
    assert json.loads(run("stats", "--json", "--notebook", "b.ipynb").out)["spent_usd"] == "0.006"


def test_stats_say_what_is_kept_and_no_hit_and_what_has_no_price(run: Run) -> None:
    nbcache.install()
    model("").invoke("q")
    nbcache.uninstall()
    said = run("stats").out
    assert "1 empty" in said
    assert "unknown · 1 of 1 miss unpriced" in said
    told = json.loads(run("stats", "--json").out)
    assert (told["spent_usd"], told["unpriced_misses"], told["saved_usd"]) == (None, 1, "0")
    assert told["statuses"] == {"cut off": 0, "unfinished": 0, "filtered": 0, "empty": 1}


def test_stats_by_model(run: Run) -> None:
    keep("q", "q")
    assert [line.split() for line in run("stats", "--by", "model").out.splitlines()] == [
        ["model", "hits", "misses", "paid", "saved"],
        ["FakeMessagesListChatModel", "1", "1", "$0.006", "up", "to", "$0.006"],
    ]
    (row,) = json.loads(run("stats", "--by", "model", "--json").out)
    assert (row["model"], row["hits"], row["spent_usd"]) == ("FakeMessagesListChatModel", 1, "0.006")


# One entry


def test_show_and_evict_say_what_the_magics_say(run: Run) -> None:
    keep("q")
    (meta,) = stored().values()
    with closing(DiskStore(".nbcache")) as store:
        told = entry_report.record(Contents(store).read(meta.key))
    assert run("show", meta.key[:7]).out == told + "\n"
    assert json.loads(run("show", meta.key, "--json").out)["prompt"] == "human: q"
    assert run("evict", meta.key[:7].upper(), "--yes").out == report.evicted(meta, DiskStore(".nbcache")) + "\n"
    assert stored() == {}


@pytest.mark.parametrize(
    "command", [["show"], ["evict", "--yes"], ["tag", "draft"], ["expire", "--ttl", "7d"]], ids=str
)
def test_a_misspelt_key_is_told_with_the_one_that_was_meant(command: list[str], run: Run) -> None:
    keep("q")
    (key,) = [meta.key for meta in stored().values()]
    wrong = key[:6] + ("00" if key[6:8] != "00" else "11")
    said = run(command[0], wrong, *command[1:])
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        f"nbcache: no entry has a key that begins with {wrong!r}; did you mean {key[:8]}? `nbcache ls` lists the keys\n"
    )
    unlike = "0000" if key[0] != "0" else "1111"
    assert run(command[0], unlike, *command[1:]).err.endswith(f"{unlike!r}. `nbcache ls` lists the keys\n")
    assert [meta.key for meta in stored().values()] == [key]


@pytest.mark.parametrize("command", ["show", "evict"])
@pytest.mark.parametrize(("key", "says"), [("zz", "is no key"), ("abcd", "no entry has"), ("dd", "write more digits")])
def test_a_key_that_names_no_entry_or_several_is_told_with_1(command: str, key: str, says: str, run: Run) -> None:
    with closing(DiskStore(".nbcache")) as store:
        for end in "01":
            name = "dd" + end * 38
            store.put(name, b"payload", EntryMeta(name, "m", end, "a", "ok", 1.0))
    said = run(command, key)
    assert (said.code, said.out) == (1, "")
    assert says in said.err
    assert len(said.err.splitlines()) == 1
    assert len(stored()) == 2


def test_a_rows_number_evicts_nothing(run: Run) -> None:
    keep("q")
    key = stored()["q"].key
    said = run("evict", key[:1], "--yes")
    assert (said.code, said.out) == (1, "")
    assert f"write at least 4 digits of it, such as {key[:8]}" in said.err
    assert set(stored()) == {"q"}


def test_an_entry_of_another_notebook_is_not_evicted(run: Run) -> None:
    keep("mine")
    keep("theirs", notebook="b.ipynb")
    key = stored()["theirs"].key
    said = run("evict", key, "--notebook", "a.ipynb")
    assert (said.code, said.err) == (1, f"nbcache: no entry of a.ipynb has a key that begins with '{key}'\n")
    assert run("show", key, "--notebook", "b.ipynb").code == 0
    assert set(stored()) == {"mine", "theirs"}


def test_a_notebook_is_meant_by_its_path_from_here(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (Path.cwd() / "sub").mkdir()
    keep("at the root")
    keep("below", notebook="sub/a.ipynb")
    monkeypatch.chdir("sub")
    for name, prompt in (("a.ipynb", "below"), ("sub/a.ipynb", "below"), ("../a.ipynb", "at the root")):
        (row,) = json.loads(run("ls", "--notebook", name, "--json").out)
        assert prompt in row["prompt"]


@pytest.mark.parametrize("command", [["ls"], ["stats"], ["show", "ab"], ["evict", "ab"], ["clear"]])
def test_an_unknown_notebook_is_told_with_those_there_are(command: list[str], run: Run) -> None:
    keep("q")
    keep("r", notebook="deep/b.ipynb")
    said = run(*command, "--notebook", "b.ipynb")
    assert (said.code, said.out) == (1, "")
    assert "there are a.ipynb, deep/b.ipynb" in said.err
    assert len(stored()) == 2


# Clearing


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ([], ""),
        (["--dry-run"], "abcd"),
        (["--older-than", "1h"], "abcd"),
        (["--model", "another"], "abcd"),
        (["--model", "FakeMessagesListChatModel"], ""),
        (["--client", "langchain"], ""),
        (["--client", "openai"], "abcd"),
        (["--tag", "draft"], "abd"),
        (["--match", "OF THE WHALE"], "abc"),
        (["--unused"], "b"),
        (["--unused", "--tag", "draft"], "abd"),
        (["--notebook", "b.ipynb"], "abc"),
    ],
)
def test_clear_deletes_what_is_meant(options: list[str], left: str, run: Run) -> None:
    keep("a", "b", "b")
    keep("c", tags="draft")
    keep("d", answer="x " * 200 + "of the whale", notebook="b.ipynb")
    gone = 4 - len(left)
    said = run("clear", "--yes", *options)
    assert said.code == 0
    told = "would delete 4" if options == ["--dry-run"] else f"deleted {gone} entr"
    assert said.out.startswith(told)
    assert "of .nbcache" in said.out.splitlines()[0]
    assert "".join(sorted(stored())) == left


def test_clearing_a_notebook_keeps_what_another_uses_too(run: Run) -> None:
    keep("shared", "mine")
    keep("shared", notebook="b.ipynb")
    told = json.loads(run("clear", "--notebook", "a.ipynb", "--json", "--yes").out)
    assert (told["deleted"], told["kept"], told["dry_run"]) == (1, 1, False)
    assert stored()["shared"].notebooks == ("b.ipynb",)


# Damage


def test_a_whole_store_is_told_with_0(run: Run) -> None:
    keep("q")
    assert run("check") == (0, "nothing is wrong with the store .nbcache\n", "")
    assert json.loads(run("check", "--json").out) == {"problems": [], "left": []}


def test_a_damaged_entry_is_told_with_1_until_it_is_mended(run: Run) -> None:
    keep("one", "two")
    with closing(sqlite3.connect(".nbcache/cache.db")) as database, database:
        database.execute("UPDATE Cache SET value = zeroblob(99) WHERE key = ?", (stored()["one"].key,))
    found = run("check")
    assert found.code == 1
    assert "`nbcache check --fix` mends damage: it deletes damaged entries, and no others" in found.out
    assert run("show", stored()["one"].key).code == 2
    assert json.loads(run("check", "--json").out)["left"] != []
    fixed = run("check", "--fix", "--yes")
    assert fixed.code == 0
    assert "mended" in fixed.out
    assert list(stored()) == ["two"]


def test_an_entry_of_a_newer_nbcache_is_left_and_told_with_1(run: Run) -> None:
    keep("q")
    with closing(DiskStore(".nbcache")) as store:
        (meta,) = store.page()
        payload = store.get(meta.key)
        assert payload is not None
        store.put(meta.key, of_a_newer_version(payload), meta)
    assert run("check").code == 1
    assert run("check", "--fix", "--yes").code == 1
    assert list(stored()) == ["q"]


def another_programs(database: Path) -> None:
    database.unlink()
    with closing(sqlite3.connect(database)) as made:
        made.execute("CREATE TABLE theirs (a)")


def of_the_future(database: Path) -> None:
    with closing(sqlite3.connect(database)) as made:
        made.execute("PRAGMA user_version = 99")
        made.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def no_database(database: Path) -> None:
    database.write_bytes(b"their notes, which only look like a store by their name" * 9)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (another_programs, "belongs to another program"),
        (of_the_future, "written by a newer nbcache"),
        (no_database, "damaged, or no store"),
    ],
)
@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in (["where"], ["check", "--fix"])], ids=" ".join)
def test_a_file_that_is_no_store_of_ours_is_told_with_2_and_left_as_it_is(
    command: list[str], change: Callable[[Path], None], says: str, run: Run
) -> None:
    keep("q")
    change(Path(".nbcache/cache.db"))
    before = files(Path(".nbcache"))
    said = run(*command)
    assert (said.code, said.out) == (2, "")
    assert says in said.err
    assert len(said.err.splitlines()) == 1
    assert files(Path(".nbcache")) == before


def test_check_fix_sets_a_damaged_file_aside(run: Run) -> None:
    keep("q")
    no_database(Path(".nbcache/cache.db"))
    said = run("check", "--fix", "--yes")
    assert said.code == 0
    assert said.err.startswith("nbcache: ")
    assert "set aside as damaged-" in said.err
    assert run("ls").code == 0
    assert stored() == {}


def test_a_store_that_turns_out_damaged_while_it_is_read_is_told_with_2(run: Run) -> None:
    keep("q")
    database = Path(".nbcache/cache.db")
    schema = 16 * 4096  # of these pages: what is behind them is read later
    database.write_bytes(database.read_bytes()[:schema] + b"\xff" * 100_000)
    said = run("stats")
    assert said.code == 2
    assert "set aside as damaged-" in said.err
    assert "Traceback" not in said.err


def test_a_locked_store_is_told_with_2(run: Run) -> None:
    keep("q")
    with closing(sqlite3.connect(".nbcache/cache.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        said = run("clear", "--yes")
        other.execute("ROLLBACK")
    assert said.code == 2
    assert "locked by another process" in said.err
    assert len(stored()) == 1


# Places


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_where_there_is_no_store_none_is_made(command: list[str], run: Run, tmp_path: Path) -> None:
    said = run(*command)
    assert said.code == 1
    assert ("nothing was cached there yet" if command == ["where"] else "there is no store in") in said.err
    said = run(*command, "--store", tmp_path / "elsewhere")
    assert said.code == 1
    assert str(tmp_path / "elsewhere") in said.err + said.out
    assert list(tmp_path.iterdir()) == []


def test_the_store_is_the_one_that_is_named_or_that_the_library_finds(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(*options: str | Path) -> Path:
        return Path(json.loads(run("where", "--json", *options).out)["store"])

    (tmp_path / ".git").mkdir()
    (tmp_path / ".nbcache").mkdir()
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    assert found() == tmp_path / ".nbcache"
    monkeypatch.setenv("NBCACHE_DIR", str(tmp_path / "by-dir"))
    assert found() == tmp_path / "by-dir"
    monkeypatch.setenv("NBCACHE_STORE", f"disk://{tmp_path}/by%20store")
    assert found() == tmp_path / "by store"
    monkeypatch.setenv("NBCACHE_STORE", "user")
    assert found() == user_folder()
    assert found("--store", "here") == tmp_path / "deep" / "here"
    assert found("--store", f"disk://{tmp_path}/url") == tmp_path / "url"
    assert found("--store", "user") == user_folder()
    keep("elsewhere", store=tmp_path / "other")
    assert [row["prompt"] for row in json.loads(run("ls", "--json", "--store", tmp_path / "other").out)] == [
        "elsewhere"
    ]


def test_anothers_store_is_not_opened_and_that_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("nbcache.stores.location.user_folder", lambda: tmp_path / "mine")
    keep("q", store=tmp_path / "mine")
    keep("planted")
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    monkeypatch.setattr("nbcache.stores.sqlite.folder.is_mine", lambda _: True)  # as the one in its place is
    said = run("ls")
    assert said.code == 0
    assert "planted" not in said.out
    assert said.err.startswith(f"nbcache: {tmp_path / '.nbcache'} isn't yours")


def test_looking_changes_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    keep("q", "r")
    before = stored()
    monkeypatch.setenv("NBCACHE_NOTEBOOK", str(Path.cwd() / "other.ipynb"))
    for command in (["ls"], ["ls", "--match", "q"], ["stats"], ["show", before["q"].key], ["check"], ["where"]):
        assert run(*command).code == 0
    assert stored() == before
    assert json.loads(run("stats", "--json").out)["hits"] == 0


# How it is called


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["wibble"],
        ["ls", "extra"],
        ["ls", "--limit", "0"],
        ["ls", "--limit", "-1"],
        ["ls", "--limit", "many"],
        ["ls", "--match", ""],
        ["ls", "--status", "good"],
        ["ls", "--mod", "m"],
        ["stats", "--by", "cell"],
        ["show"],
        ["evict"],
        ["clear", "--older-than", "soon"],
        ["clear", "--model", ""],
        ["check", "--notebook", "a.ipynb"],
        ["ls", "--store", "ftp://x"],
        ["ls", "--store", "memory://"],
        ["where", "--store", ""],
        ["ls", "--store", "a file"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_told_with_2(argv: list[str], run: Run) -> None:
    keep("q")
    Path("a file").touch()
    said = run(*argv)
    assert (said.code, said.out) == (2, "")
    assert "nbcache" in said.err
    assert len(stored()) == 1


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["lss"], "nbcache: no command lss; did you mean ls? `nbcache --help` tells more"),
        (["ls", "--modle", "m"], "nbcache ls: no option --modle; did you mean --model? `nbcache ls --help` tells more"),
        (["evict", "--yess"], "nbcache evict: no option --yess; did you mean --yes? `nbcache evict --help` tells more"),
        (["ls", "model", "m"], "nbcache ls: unexpected 'model'; did you mean --model? `nbcache ls --help` tells more"),
        (["ls", "--kind", "tol"], "nbcache ls: --kind: no 'tol'; did you mean tool? `nbcache ls --help` tells more"),
        (["show"], "nbcache show: this is missing: KEY. `nbcache show --help` tells more"),
        (
            ["clear", "--older-than", "7", "--yes"],
            "nbcache clear: --older-than: 7 has no unit: write 7s, 7m, 7h or 7d. `nbcache clear --help` tells more",
        ),
        (
            ["expire", "--match", "q", "--ttl", "7"],
            "nbcache expire: --ttl: 7 has no unit: write 7s, 7m, 7h or 7d. `nbcache expire --help` tells more",
        ),
    ],
)
def test_a_slip_is_told_in_one_line_with_what_was_meant(argv: list[str], says: str, run: Run) -> None:
    keep("q")
    said = run(*argv)
    assert (said.code, said.out, said.err) == (2, "", f"{says}\n")
    assert len(stored()) == 1


def test_values_that_look_like_options_are_values(run: Run) -> None:
    keep("--not an option", "another")
    assert [entry["prompt"] for entry in json.loads(run("ls", "--match", "--not an", "--json").out)] == [
        "--not an option"
    ]
    assert json.loads(run("ls", "--match=--not", "--json").out)[0]["prompt"] == "--not an option"
    assert (
        run("show", "--", "--key").err
        == "nbcache: '--key' is no key: a key is 40 hexadecimal digits, or the first few of them. `nbcache ls` lists the keys\n"
    )


@pytest.mark.parametrize("argv", [[], *([command] for command in ("ls", "stats", "clear", "check", "where"))])
def test_help_tells_the_exit_codes(argv: list[str], run: Run) -> None:
    said = run(*argv, "--help")
    assert said.code == 0
    assert "Exit codes: 0 done; 1 no such key" in " ".join(said.out.split())


def test_the_script_is_the_module() -> None:
    project = tomllib.loads((Path(nbcache.__file__).parents[1] / "pyproject.toml").read_text())
    module, _, name = project["project"]["scripts"]["nbcache"].partition(":")
    assert getattr(import_module(module), name) is main


def test_help_and_where_import_no_langchain() -> None:
    script = """if True:
        import sys
        from nbcache.ui.cli.main import main
        try:
            main(["--help"])
        except SystemExit:
            pass
        main(["where"])
        heavy = {"langchain_core", "IPython", "pandas", "anywidget", "genai_prices", "pydantic"}
        sys.exit(", ".join(heavy & sys.modules.keys()) or 0)
        """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.split() == ["nbcache:", "nothing", "was", "cached", "there", "yet"]
    assert done.returncode == 0


@pytest.mark.parametrize("argv", [["ls"], ["--help"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_enough_ends_it_quietly(argv: list[str], unbuffered: str) -> None:
    keep("q")
    ours, theirs = os.pipe()
    os.close(ours)
    with start(*argv, stdout=theirs, PYTHONUNBUFFERED=unbuffered) as process:
        os.close(theirs)
        _, err = process.communicate()
    assert (process.returncode, err) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_an_output_that_can_not_be_written_is_told_with_2() -> None:
    keep("q")
    with Path("/dev/full").open("w") as full, start("stats", stdout=full) as process:
        _, err = process.communicate()
    assert process.returncode == 2
    assert err == "nbcache: [Errno 28] No space left on device\n"


def test_what_a_terminal_can_not_show_is_replaced() -> None:
    keep("日本 q", answer="half an emoji \ud83d")
    key = stored()["日本 q"].key
    with start("show", key, PYTHONIOENCODING="ascii") as process:
        out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert "human: ?? q" in out


def test_an_interrupt_ends_it_with_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    keep("q")
    monkeypatch.setattr(Contents, "clear_these", interrupted)
    assert run("clear", "--yes") == (130, "", "")


def test_an_entry_with_a_planted_time_is_still_shown(run: Run) -> None:
    keep("q")
    with closing(DiskStore(".nbcache")) as store:
        (meta,) = store.page(Filter())
        payload = store.get(meta.key)
        assert payload is not None
    with closing(sqlite3.connect(".nbcache/cache.db")) as database, database:
        database.execute("UPDATE entry SET created = 1e300")
    shown = run("show", meta.key)
    assert (shown.code, shown.err) == (0, "")
    assert "an answer" in shown.out


# Long work


@pytest.mark.parametrize(
    ("command", "done"),
    [
        (["export", "there.jsonl"], "exported"),
        (["import", "answers.jsonl"], "read"),
        (["ls", "--match", "boat"], "searched"),
        (["clear", "--match", "nothing like it"], "searched"),
        (["check"], "checked"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else words,
)
def test_long_work_shows_how_far_it_is_and_takes_that_away(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: list[str], done: str
) -> None:
    keep("boat?", "ferry?", "cat?")
    run("export", "answers.jsonl")
    assert run(*command).err == ""  # nothing took long
    assert isinstance(sys.stderr, io.TextIOBase)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(progress, "_DELAY", -1.0)
    monkeypatch.setattr(progress, "_INTERVAL", -1.0)
    ran = run(*command)
    assert ran.code == 0
    shown = ran.err.split("\r")
    numbers = (3,) if done == "checked" else (1, 2, 3)  # a store is checked in slices
    parts = [f"{done} {number} of 3" for number in numbers]
    parts += ["stored 3 of 3"] if done == "read" else []  # in one transaction
    assert [part for part in shown if part.strip()] == parts
    assert shown[-1] == ""


def test_what_goes_into_a_file_says_nothing_of_how_far_it_was(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    keep("boat?")
    monkeypatch.setattr(progress, "_DELAY", -1.0)
    monkeypatch.setattr(progress, "_INTERVAL", -1.0)
    assert run("check").err == ""
