"""Names and texts that somebody else has planted are shown as texts: in a terminal, in a notebook's output, and to the panel."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

import nbcache
from nbcache.entry.records import EntryMeta
from nbcache.ui.cli.main import main
from nbcache.ui.jupyter import html
from nbcache.ui.panel.board import Board
from tests.faults.test_faults import Echo, ask
from tests.stores.hostile.forged import forged, parts

EVIL = "\x1b[2J\x1b]0;owned\x07\u202e<script>alert(1)</script>\n[x](javascript:alert(1))\r![i](http://127.0.0.1/i.png)\x9b31m"
_DRIVES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def planted(tmp_path: Path) -> EntryMeta:
    """The row of an entry in a store, of which all texts are evil; its payload, too."""
    nbcache.install(tmp_path / "store")
    ask(Echo(), "one")
    cache = nbcache.installed()
    cache.flush()
    (row,) = cache.contents("folder").entries()
    payload = cache.store.get(row.key)
    assert payload is not None
    _, header = parts(payload, row.key)
    header["meta"] |= {
        "model": EVIL,
        "status": "ok",
        "tags": [EVIL],
        "cell": EVIL,
        "provider": EVIL,
        "client": EVIL,
        "function": EVIL,
    }
    header |= {"prompt": EVIL, "endpoint": EVIL, "versions": {EVIL: EVIL}}
    fields = {"content": EVIL, "tool_calls": [{"name": EVIL, "args": {EVIL: EVIL}, "id": "i", "type": "tool_call"}]}
    answers = [{"type": "ChatGeneration", "message": {"type": "AIMessage", "fields": fields}}]
    evil = replace(
        row, model=EVIL, prompt=EVIL, answer=EVIL, tags=(EVIL,), notebooks=(EVIL,), cell=EVIL, provider=EVIL, client=EVIL, function=EVIL
    )  # fmt: skip
    cache.store.put(row.key, forged(row.key, answers, header), evil)
    return evil


@pytest.mark.parametrize(
    "command",
    ["ls", "show {key}", "last", "stats", "where", "check", "why", "clear --dry-run --scope folder"],
)
def test_the_magic_prints_no_control_characters(
    shell: InteractiveShell, planted: EntryMeta, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ask_again(planted)
    shell.run_line_magic("llmcache", command.format(key=planted.key))
    printed = capsys.readouterr()
    assert not _DRIVES.search(printed.out + printed.err)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Any:
    InteractiveShell.clear_instance()
    made = InteractiveShell.instance()
    made.run_line_magic("load_ext", "nbcache")
    yield made
    InteractiveShell.clear_instance()


def ask_again(planted: EntryMeta) -> None:
    """A hit of the planted entry."""
    assert Echo().invoke("one").content == EVIL
    assert planted.model == EVIL


@pytest.mark.parametrize("command", ["ls", "show {key}", "stats"])
def test_the_command_prints_no_control_characters(
    planted: EntryMeta, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nbcache.uninstall()
    main([*command.format(key=planted.key).split(), "--store", str(tmp_path / "store")])
    printed = capsys.readouterr()
    assert "owned" in printed.out or command == "stats"
    assert not _DRIVES.search(printed.out + printed.err)


def test_html_of_outputs_has_no_markup_of_others(planted: EntryMeta) -> None:
    ask_again(planted)
    cache = nbcache.installed()
    shown = [html.stats(cache, "folder")._repr_html_(), html.summary()._repr_html_()]
    frames: list[Any] = [nbcache.entries("folder"), nbcache.last(), nbcache.history()]
    shown += [frame._repr_html_() for frame in frames]
    for text in shown:
        assert "<script>" not in text
        assert "<img" not in text
        assert "javascript:" not in text or 'href="javascript:' not in text


def test_the_panel_gets_texts(planted: EntryMeta) -> None:
    """Its script writes them into text nodes alone: no markup is made of a text."""
    ask_again(planted)
    board = Board(nbcache.installed())
    page = board.ask({"type": "page", "facets": True})
    assert page["rows"][0]["model"] == EVIL
    opened = board.ask({"type": "entry", "key": planted.key})
    json.dumps([page, opened])
    scripts = Path(html.__file__).parents[1] / "panel" / "browser"
    for script in scripts.glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script.read_text()), (
            script
        )
