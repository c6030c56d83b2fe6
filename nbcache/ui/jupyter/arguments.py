"""The words of `%llmcache`: what may be typed, and the one line that says so when it is wrong."""

import argparse
import shlex
from typing import NoReturn

from IPython.core.error import UsageError

from nbcache.cache import settings as modes
from nbcache.errors import harmless

MODES = modes.MODES
SUBCOMMANDS = (
    *MODES,
    "panel",
    "stats",
    "last",
    "ls",
    "show",
    "evict",
    "clear",
    "where",
    "check",
    "export",
    "import",
    "why",
    "plan",
)
OPTIONS = {
    **dict.fromkeys(MODES, ("--ttl", "--tag", "--scope", "--store", "--max-size", "--max-entries")),
    "clear": ("--older-than", "--model", "--tag", "--match", "--unused", "--dry-run", "--scope"),
    "stats": ("--cell", "--lifetime", "--by", "--scope"),
    "ls": ("--scope",),
    "check": ("--fix",),
    "export": ("--used", "--check"),
    "import": ("--dry-run", "--prefer"),
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(harmless(f"{message}. {self.description}"))


def parse(line: str) -> argparse.Namespace:
    """What the line of a `%llmcache` asks for. Raises UsageError, saying what to type instead."""
    words = _words(line)
    word = words[0] if words else "panel"
    if word not in SUBCOMMANDS:
        raise UsageError(f"%llmcache {word}: type one of {', '.join(SUBCOMMANDS)}")
    if "--samples" in words and word in MODES:
        raise UsageError(f"samples are drawn by one cell: type `%%llmcache {word} --samples` at its top")
    args = _parsers[word].parse_args(words[1:])
    args.word = word
    return args


def help_of(line: str) -> str | None:
    """How to type what the line asks help for: one subcommand, or all of them; None where it asks for none."""
    words = line.split()
    if not words or words[0] == "cell" or (words[0] != "help" and words[-1] not in {"--help", "-h"}):
        return None  # a cell whose first line is wrong is not to run
    meant = [word for word in words if word in SUBCOMMANDS] or SUBCOMMANDS
    return "\n".join(str(_parsers[word].description).removeprefix("Type: ") for word in meant)


def parse_cell(line: str) -> argparse.Namespace:
    """The same for `%%llmcache`, which takes a mode. Raises UsageError."""
    words = _words(line)
    if not words or words[0] not in MODES:
        raise UsageError(f"%%llmcache takes a mode for its cell: type one of {', '.join(MODES)}")
    args = _cell.parse_args(words[1:])
    args.word = words[0]
    return args


def _words(line: str) -> list[str]:
    try:
        return shlex.split(_without_comment(line))
    except ValueError as error:
        raise UsageError(harmless(f"%llmcache {line}: {error}")) from None


def _without_comment(line: str) -> str:
    """`line` up to a word that begins with `#`: "C#" is none, nor is what stands in quotes."""
    quote = ""
    for at, sign in enumerate(line):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign == "#" and (at == 0 or line[at - 1].isspace()):
            return line[:at]
    return line


def _parser(word: str, description: str) -> _Parser:
    return _Parser(prog=f"%llmcache {word}", description=description, add_help=False, allow_abbrev=False)


def _mode_parser(word: str) -> _Parser:
    parser = _parser(
        word,
        f"Type: %llmcache {word} [--ttl 7d] [--tag T] [--scope notebook|folder] [--store URL|user] "
        "[--max-size 2GB] [--max-entries N]",
    )
    _add_cell_options(parser)
    parser.add_argument("--scope", choices=("notebook", "folder"))
    parser.add_argument("--store")
    parser.add_argument("--max-size")
    parser.add_argument("--max-entries", type=int)
    return parser


def _add_cell_options(parser: _Parser) -> None:
    parser.add_argument("--ttl")
    parser.add_argument("--tag", action="append", default=[])


def _key_parser(word: str) -> _Parser:
    parser = _parser(
        word, f"Type: %llmcache {word} KEY (the first digits of a key are enough; `%llmcache ls` lists them)"
    )
    parser.add_argument("key")
    return parser


def _scope_parser(word: str) -> _Parser:
    parser = _parser(word, f"Type: %llmcache {word} [--scope notebook|folder]")
    parser.add_argument("--scope", choices=("notebook", "folder"))
    return parser


def _stats_parser() -> _Parser:
    parser = _parser("stats", "Type: %llmcache stats [--cell | --lifetime] [--by model] [--scope notebook|folder]")
    of = parser.add_mutually_exclusive_group()
    of.add_argument("--cell", action="store_true")
    of.add_argument("--lifetime", action="store_true")
    parser.add_argument("--by", choices=("model",))
    parser.add_argument("--scope", choices=("notebook", "folder"))
    return parser


def _clear_parser() -> _Parser:
    parser = _parser(
        "clear",
        "Type: %llmcache clear [--older-than 7d] [--model M] [--tag T] [--match TEXT] [--unused] "
        "[--scope notebook|folder] [--dry-run]",
    )
    for name in ("--older-than", "--model", "--tag", "--match"):
        parser.add_argument(name)
    parser.add_argument("--scope", choices=("notebook", "folder"))
    parser.add_argument("--unused", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    return parser


def _check_parser() -> _Parser:
    parser = _parser("check", "Type: %llmcache check [--fix]")
    parser.add_argument("--fix", action="store_true")
    return parser


def _export_parser() -> _Parser:
    parser = _parser("export", "Type: %llmcache export [FILE] [--used] [--check]")
    parser.add_argument("path", nargs="?")
    parser.add_argument("--used", action="store_true")
    parser.add_argument("--check", action="store_true")
    return parser


def _why_parser() -> _Parser:
    parser = _parser("why", "Type: %llmcache why [KEY] (`%llmcache last` lists the calls of the last cell)")
    parser.add_argument("key", nargs="?")
    return parser


def _import_parser() -> _Parser:
    parser = _parser("import", "Type: %llmcache import FILE [--dry-run] [--prefer store|file]")
    parser.add_argument("path")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--prefer", choices=("store", "file"), default="store")
    return parser


def _cell_parser() -> _Parser:
    parser = _parser("cell", "Type: %%llmcache on|off|read-only|refresh|replay [--ttl 7d] [--tag T] [--samples]")
    _add_cell_options(parser)
    parser.add_argument("--samples", action="store_true")
    return parser


_parsers = {
    **{word: _mode_parser(word) for word in MODES},
    "ls": _scope_parser("ls"),
    "stats": _stats_parser(),
    **{word: _key_parser(word) for word in ("show", "evict")},
    **{word: _parser(word, f"Type: %llmcache {word}") for word in ("panel", "last", "plan", "where")},
    "clear": _clear_parser(),
    "check": _check_parser(),
    "export": _export_parser(),
    "why": _why_parser(),
    "import": _import_parser(),
}
_cell = _cell_parser()
