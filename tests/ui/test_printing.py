"""Nothing that others wrote drives a terminal: it is planted in every field that holds text, and everything is run."""

import io
import json
import logging
import os
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

import nbcache
from nbcache.entry.records import EntryMeta, Spending
from nbcache.errors import (
    NbcacheError,
    NbcacheWarning,
    ReplayMiss,
    forget_warnings,
    harmless,
    logger,
    one_line,
    warn_once,
)
from nbcache.stores import DiskStore
from nbcache.ui.printing import say

# A title, the clipboard, colours, C1, an order of letters turned around, a line that is written over, half a character
# and a line that looks like one of ours.
DRIVES = "\x1b]0;title\x07\x1b]52;c;aGk=\x07\x1b[31m\x9b2J\x90q\x9c\u202eevil\u2066\r\x08\x7f\u2028\ud800\npaid: $0"
FORBIDDEN = {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160), *range(0x202A, 0x202F), 0x2066)}
FORBIDDEN |= {"\u2028", "\ud800"}
NAME = DRIVES.replace("\ud800", "")  # SQLite and file names have no halves of characters
IN_TERMINAL = """
import sys, traceback
from IPython.testing.globalipapp import start_ipython
shell = start_ipython()
shell.run_cell("%load_ext nbcache")
for line in sys.stdin.read().split("\\0"):
    shell.run_cell(line)
"""


def plant(folder: Path) -> str:
    """A store that holds such text wherever a store holds text; the key of its whole entry."""
    nbcache.install(folder, tags=[NAME], notebook=folder.parent / f"{NAME.replace('/', '')}.ipynb")
    cache = nbcache.installed()
    cache.enter_cell(NAME)
    cache.put(DRIVES, {"said": DRIVES}, model=NAME, stop=DRIVES)
    cache.get(DRIVES, model=NAME, stop=DRIVES)
    key = str(nbcache.entries().key[0])
    nbcache.uninstall()
    with closing(DiskStore(folder)) as store:
        meta = EntryMeta("ab" * 20, NAME, NAME, NAME, NAME, 1.0, (NAME,), (NAME,), NAME, provider=NAME)
        store.put(meta.key, b"no payload", meta)
        store.record([Spending("s", 1, 1.0, NAME, NAME, NAME, hits=1, misses=1)])
    return key


def driving(text: str) -> set[str]:
    return FORBIDDEN & set(text)


@pytest.fixture
def planted(tmp_path: Path) -> tuple[Path, str]:
    folder = tmp_path / "a\x1b[31m\u202estore"
    return folder, plant(folder)


def test_no_command_writes_what_drives_a_terminal(
    planted: tuple[Path, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from nbcache.ui.cli.main import main

    folder, key = planted
    hostile = tmp_path / f"{NAME[:20].replace('/', '')}.jsonl"
    hostile.write_text('{"nbcache": 1, "key": "\\u001b[2J"}\n')
    commands: list[list[str]] = [
        *(["ls"], ["ls", "--json"], ["ls", "--match", NAME], ["stats"], ["stats", "--by", "model"]),
        *(["stats", "--json"], ["show", key], ["show", key, "--json"], ["show", "abab"], ["show", NAME]),
        *(["ls", "--notebook", NAME], ["ls", "--notebook", "none"], ["ls", NAME], ["ls", "--limit", NAME]),
        *(["ls", "--status", NAME], ["clear", "--older-than", NAME], ["clear"], ["evict", key], ["check"]),
        *(["check", "--fix"], ["export", str(hostile) + ".x"], ["export", NAME + "/x"], ["import", str(hostile)]),
        *(["import", NAME], ["import", str(hostile), "--prefer", "file"], ["where"], ["clear", "--dry-run"], [NAME]),
        *(["evict", key, "--yes"], ["check", "--fix", "--yes"], ["clear", "--yes"], ["ls", "--tag", ""]),
    ]
    for command in commands:
        with suppress(SystemExit):
            main([*command, "--store", str(folder)])
        said = capsys.readouterr()
        assert driving(said.out + said.err) == set(), command
        assert said.out + said.err != ""
        if "--json" in command and said.out:
            json.loads(said.out)
        assert "\npaid: $0\n" not in said.out.partition("--- prompt ---")[0], command


def test_json_has_every_character(planted: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    from nbcache.ui.cli.main import main

    folder, key = planted
    main(["show", key, "--json", "--store", str(folder)])
    document = json.loads(capsys.readouterr().out)
    assert NAME in document["tags"]
    assert NAME in document["model"]


@pytest.mark.slow
def test_no_magic_writes_what_drives_a_terminal(planted: tuple[Path, str], tmp_path: Path) -> None:
    folder, key = planted
    (tmp_path / "bad.jsonl").write_text('{"nbcache": 1, "key": "\\u001b[2J"}\n')
    words = [
        *(f"on --store '{folder}' --scope folder", "stats", "stats --lifetime", "stats --by model", "ls"),
        *(
            f"show {key}",
            "show abab",
            f"show '{NAME[:12]}'",
            "last",
            "plan",
            "why",
            "where",
            "check",
            "clear --dry-run",
        ),
        *("import bad.jsonl", f"import '{NAME[:12]}'", f"export '{NAME[:12]}/x'", f"on --ttl '{NAME[:12]}'"),
        *(f"{NAME[:12]}", f"show '{NAME[:12]}", "on --tag '\x1b[31m'", "", f"evict {key}", "check --fix", "clear"),
    ]
    lines = [f"get_ipython().run_line_magic('llmcache', {word!r})" for word in words]
    lines += [
        "import nbcache",
        "nbcache.history()",
        "nbcache.entries().model",
        "nbcache.stats()",
        "print(nbcache.history())",
    ]
    lines += ["nbcache.show('\\x1b[2J')", "import nbcache.errors as e; e.warn_once('x', '\\x1b[2Jwarned')"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "IPYTHONDIR": str(tmp_path / "ip"),
    }
    command = [sys.executable, "-c", IN_TERMINAL]
    done = subprocess.run(
        command,
        input="\0".join(lines).encode(errors="surrogatepass"),
        capture_output=True,
        check=False,
        env=environment,
        timeout=110,
    )
    said = (done.stdout + done.stderr).decode(errors="replace")
    # IPython's own colours of tracebacks are its business: of ours nothing is left
    ours = [part for part in ("\x1b]", "\x1b[2J", "\x9b", "\u202e", "\u2066", "\x90", "\x7f") if part in said]
    assert ours == []
    assert "\\x1b]0;title\\x07" in said


def test_errors_warnings_and_the_log_drive_nothing(caplog: pytest.LogCaptureFixture) -> None:
    for error in (NbcacheError(DRIVES), ReplayMiss(DRIVES)):
        assert driving(str(error)) == set()
    forget_warnings()
    with pytest.warns(NbcacheWarning) as heard:
        warn_once("cause", DRIVES)
    assert driving(str(heard[0].message)) == set()
    with caplog.at_level(logging.DEBUG, "nbcache"):
        logger.debug("nbcache: %s", DRIVES)
    assert driving(caplog.text) == set()


def test_a_table_shows_what_drives_nothing_and_has_it_as_it_is(tmp_path: Path) -> None:
    plant(tmp_path / "store")
    nbcache.install(tmp_path / "store", scope="folder")
    frame: Any = nbcache.entries()
    assert NAME in set(frame.model)
    for shown in (
        frame,
        frame.model,
        frame.head(1),
        frame[["model", "tags"]],
        frame.sort_values("key"),
        nbcache.history(),
    ):
        assert driving(repr(shown)) == set()
        assert driving(str(shown)) == set()


def test_ends_of_lines_and_tabs_stay_in_texts_and_are_written_out_in_names() -> None:
    assert harmless("a\r\nb\tc\rd") == "a\nb\tc\\rd"
    assert one_line("a\r\nb\tc") == "a\\nb\\tc"
    assert harmless("日本語 👩‍👩‍👧 עברית") == "日本語 👩‍👩‍👧 עברית"


def test_only_one_module_of_ours_prints() -> None:
    root = Path(nbcache.__file__).parent
    printing = {
        file.relative_to(root).as_posix()
        for file in root.rglob("*.py")
        if any(line.split("#")[0].strip().startswith("print(") for line in file.read_text().splitlines())
    }
    assert printing == {"ui/printing.py"}


def test_what_is_said_can_be_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", out)
    say(DRIVES)
