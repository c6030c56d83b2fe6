"""One table of commands: what stands in it can be typed, completes, is explained, and does something."""

import argparse
import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

import nbcache
from nbcache.cache.modes import MODES
from nbcache.ui.cli import main as cli
from nbcache.ui.cli.arguments import parser
from nbcache.ui.commands import reference, table
from nbcache.ui.commands.records import LINE, TERMINAL, Command, FrontEnd, Option
from nbcache.ui.jupyter import arguments
from tests.ui.jupyter.test_magics import loaded, run, shell  # noqa: F401 - fixtures

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
EACH = [(command, front_end) for front_end in FrontEnd for command in table.commands(front_end)]
IDS = [f"{front_end.name} {command.names[0]}" for command, front_end in EACH]


def test_the_page_of_commands_is_made_from_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference.page(), (
        "python -m nbcache.ui.commands.reference > docs/commands.md"
    )


# Adding an option


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Option:
    """An option that each command has, added to the table alone."""
    option = Option("--fake", "only what is made up", "N", "7", type=int)
    commands = tuple(replace(command, options=(*command.options, option)) for command in table.COMMANDS)
    monkeypatch.setattr(table, "COMMANDS", commands)
    return option


def typed(command: Command) -> list[str]:
    """The least that has to follow the word."""
    return ["x" for option in command.options if not (option.is_named or option.is_optional)]


@pytest.mark.parametrize(("command", "front_end"), EACH, ids=IDS)
def test_an_option_is_added_in_one_place(fake: Option, command: Command, front_end: FrontEnd) -> None:
    words = [command.names[0], *typed(command), "--fake", "3"]
    if front_end is TERMINAL:
        args = parser().parse_args(words)
    else:
        args = (arguments.parse if front_end is LINE else arguments.parse_cell)(" ".join(words))
    assert args.fake == 3


@pytest.mark.filterwarnings("ignore:.*Completer.complete:PendingDeprecationWarning")
def test_an_added_option_completes_in_a_notebook(
    fake: Option,
    shell: InteractiveShell,  # noqa: F811
    loaded: Callable[..., str],  # noqa: F811
) -> None:
    for line in ("%llmcache clear --fa", "%%llmcache on --fa"):
        assert "--fake" in shell.complete("--fa", line, len(line))[1]


def test_an_added_option_is_explained(fake: Option, capsys: pytest.CaptureFixture[str]) -> None:
    assert "[--fake 7]" in str(arguments.help_of("help where"))
    assert "[--fake 7]" in arguments.documentation()
    with pytest.raises(
        UsageError, match=r"%llmcache where: --fake: invalid int value.* Type: %llmcache where \[--fake 7\]"
    ):
        arguments.parse("where --fake no-number")
    with pytest.raises(SystemExit):
        parser().parse_args(["where", "--help"])
    assert "--fake N" in (told := capsys.readouterr().out)
    assert "only what is made up" in told
    assert "| `--fake N` | `%llmcache`, `nbcache` | Only what is made up. |" in reference.page()


def test_a_cell_magic_completes_what_it_takes() -> None:
    assert arguments.completions("%%llmcache ") == list(MODES)
    assert arguments.completions("%%llmcache on ") == ["--ttl", "--tag", "--samples"]
    assert "--samples" not in arguments.completions("%llmcache on --")
    assert arguments.completions("%%llmcache clear ") == []


def test_the_magics_docstring_has_every_command(
    shell: InteractiveShell,  # noqa: F811
    loaded: Callable[..., str],  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    shell.run_line_magic("pinfo", "%llmcache")
    told = capsys.readouterr().out
    assert [word for word in table.words(LINE) if word not in told] == []
    assert "%%llmcache on|off|read-only|refresh|replay [--ttl 7d] [--tag T] [--samples]" in told


# Everything in the table is handled


class Read:
    """A parser's result that notes which of its values somebody has asked for."""

    def __init__(self, args: argparse.Namespace, names: set[str]) -> None:
        self.__dict__.update(_args=args, _names=names)

    def __getattr__(self, name: str) -> Any:
        self._names.add(name)
        return getattr(self._args, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._args, name, value)

    def __contains__(self, name: str) -> bool:
        return name in self._args


def unread(command: Command, front_end: FrontEnd, names: set[str], do: Callable[[list[str]], object]) -> list[str]:
    """The options that nobody has asked for after `do` has run the command, with each of them once."""
    needed = [NEEDED[option.name] for option in command.options if not option.is_named]
    for word in command.names:
        for option in command.options_in(front_end):
            do([word, *needed, *([option.name, *value_of(option)] if option.is_named else [])])
    return [option.name for option in command.options_in(front_end) if option.attribute not in names]


NEEDED = {"KEY": "", "FILE": "x.jsonl", "TAGS": "draft"}


def value_of(option: Option) -> list[str]:
    values = {"N": "3", "AGE": "7d", "SIZE": "2GB", "RE": "ACME"}
    return [] if option.is_flag else [option.choices[-1] if option.choices else values.get(option.value, "x")]


@pytest.fixture
def key(loaded: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: F811
    """The key of an entry of the notebook."""
    loaded("model.invoke('q')")
    nbcache.export_cassette("x.jsonl")
    found: str = nbcache.entries().key.iloc[0]
    monkeypatch.setitem(NEEDED, "KEY", found)
    return found


def run_line(shell: InteractiveShell, names: set[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], None]:  # noqa: F811
    for name in ("parse", "parse_cell"):
        parse = getattr(arguments, name)
        monkeypatch.setattr(arguments, name, lambda line, parse=parse: Read(parse(line), names))

    def do(words: list[str]) -> None:
        with contextlib.suppress(UsageError):
            shell.run_line_magic("llmcache", " ".join(words))

    return do


def run_command(names: set[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], int]:
    class Reading:
        @staticmethod
        def parse_args(argv: list[str]) -> Read:
            return Read(parser().parse_args(argv), names)

    monkeypatch.setattr(cli, "parser", Reading)
    return cli.main


@pytest.mark.parametrize(("command", "front_end"), EACH, ids=IDS)
def test_each_option_is_handled(
    command: Command,
    front_end: FrontEnd,
    key: str,
    shell: InteractiveShell,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names: set[str] = set()
    do: Callable[[list[str]], object]
    if front_end is TERMINAL:
        do = run_command(names, monkeypatch)
    else:
        line = run_line(shell, names, monkeypatch)
        do = line if front_end is LINE else lambda words: line(["cell", *words])
    assert unread(command, front_end, names, do) == []


def test_an_option_that_nothing_handles_is_noticed(fake: Option, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command, names = table.find("check", TERMINAL), set[str]()
    assert command is not None
    assert unread(command, TERMINAL, names, run_command(names, monkeypatch)) == ["--fake"]
