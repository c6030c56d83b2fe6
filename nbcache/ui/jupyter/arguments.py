"""The lines of `%llmcache` and `%%llmcache`: parsed, completed and explained from the table of commands."""

import argparse
import functools
import shlex
from collections.abc import Sequence
from typing import NoReturn

from IPython.core.error import UsageError

from nbcache.cache.modes import MODES
from nbcache.errors import harmless, one_line
from nbcache.stores.location import REDIS_PASSWORD
from nbcache.ui.commands import table
from nbcache.ui.commands.parsing import Parser, complaint, did_you_mean
from nbcache.ui.commands.records import CELL, LINE, PREFIXES, Command, FrontEnd

_HELP = {"--help", "-h"}
_SHORT = 120  # signs of a usage that a complaint shows whole


class _Parser(Parser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(complaint(self.prog, message, self.description or ""))


def parse(line: str) -> argparse.Namespace:
    """The arguments of a `%llmcache` line, with its first word as `word`. Raises UsageError, saying what to type instead."""
    words = _words(line) or ["panel"]
    command = table.find(words[0], LINE)
    if command is None:
        raise UsageError(one_line(f"%llmcache {words[0]}: no such command{_instead_of(words[0], LINE)}"))
    if "--samples" in words and words[0] in MODES:
        raise UsageError(f"samples are drawn by one cell: type `%%llmcache {words[0]} --samples` at its top")
    return _parse(command, words, LINE)


def parse_cell(line: str) -> argparse.Namespace:
    """The same for `%%llmcache`, which takes a mode. Raises UsageError."""
    words = _words(line)
    command = table.find(words[0], CELL) if words else None
    if command is None:
        raise UsageError(f"%%llmcache takes a mode for its cell{_instead_of(' '.join(words[:1]), CELL)}")
    return _parse(command, words, CELL)


def refuse_password(store: object) -> None:
    """Raise UsageError if the URL of a store has a password in it: Jupyter saves what is typed."""
    from nbcache.stores.opening import shown  # noqa: PLC0415 - few name a store

    for each in store if isinstance(store, list | tuple) else [store]:
        place = getattr(each, "place", each)  # of a ReadOnly
        if isinstance(place, str) and shown(place) != place:
            raise UsageError(
                f"{shown(place)} has a password, which would be saved in the notebook: leave it out, and set "
                f"{REDIS_PASSWORD} in the environment"
            )


def help_of(line: str) -> str | None:
    """How to type the words of a line that asks for help, or all of them. None if it doesn't ask for help."""
    words = line.split()
    if not words or words[0] == "cell" or (words[0] != "help" and words[-1] not in _HELP):
        return None  # a cell whose first line is wrong is not to run
    wanted = [word for word in words if table.find(word, LINE)] or table.words(LINE)
    return "\n".join(command.usage(LINE, word) for word in wanted if (command := table.find(word, LINE)))


def documentation() -> str:
    """What `%llmcache?` shows: how each command is typed, and what it does."""
    commands = [(command, front_end) for command in table.COMMANDS for front_end in (LINE, CELL)]
    return "\n".join(
        f"{command.usage(front_end)}\n    {command.help_in(front_end)}"
        for command, front_end in commands
        if front_end in command.front_ends
    )


def completions(text: str) -> list[str]:
    """What may follow `text`, a line as far as it is typed."""
    words = text.split()
    front_end = CELL if text.startswith("%%") else LINE
    whole = words[1:] if text.endswith(" ") else words[1:-1]
    if not whole:
        return list(table.words(front_end))
    command = table.find(whole[0], front_end)
    return [option.name for option in command.options_in(front_end) if option.is_named] if command else []


def _instead_of(word: str, front_end: FrontEnd) -> str:
    """What to type in place of a first word that there isn't."""
    known = table.words(front_end)
    return did_you_mean(word, known) or f": type one of {', '.join(known)}"


def _parse(command: Command, words: Sequence[str], front_end: FrontEnd) -> argparse.Namespace:
    args = _parser(command, words[0], front_end).parse_args(words[1:])
    args.word = words[0]
    return args


@functools.cache
def _parser(command: Command, word: str, front_end: FrontEnd) -> _Parser:
    usage = command.usage(front_end, word)
    how = f"Type: {usage}" if len(usage) <= _SHORT else f"`{PREFIXES[LINE]} {word} --help` has all options"
    parser = _Parser(f"{PREFIXES[front_end]} {word}", description=how, add_help=False, allow_abbrev=False)
    command.add_to(parser, front_end)
    return parser


def _words(line: str) -> list[str]:
    try:
        return shlex.split(_without_comment(line))
    except ValueError as error:
        raise UsageError(harmless(f"%llmcache {line}: {error}")) from None


def _without_comment(line: str) -> str:
    """`line` without a comment. A `#` within a word ("C#") or in quotes begins none."""
    quote = ""
    for at, sign in enumerate(line):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign == "#" and (at == 0 or line[at - 1].isspace()):
            return line[:at]
    return line
