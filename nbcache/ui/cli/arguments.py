"""The words of `nbcache …` in a terminal, and the help about them."""

import argparse
from typing import NoReturn

from nbcache import __version__
from nbcache.errors import harmless
from nbcache.ui.cli.documents import FIELDS, UNITS

STATUSES = ("ok", "cut off", "filtered", "empty", "unfinished")  # as in nbcache.policy, which imports LangChain
_EXIT_CODES = """\
Exit codes: 0 done; 1 no such key, notebook or store, a file out of date, a check found what it didn't mend, or you said no; 2 wrong usage, or a
store that can't be read; 130 interrupted."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(harmless(message))


def parser() -> argparse.ArgumentParser:
    """What may be typed. The command is `word`; each has `fix` and `notebook`, for what opens the store."""
    whole = _Parser(
        "nbcache",
        description="Look after the answers of LLM calls that nbcache keeps on disk.",
        epilog=f"`nbcache COMMAND --help` tells more. {_EXIT_CODES}",
        allow_abbrev=False,
    )
    whole.add_argument("--version", action="version", version=f"nbcache {__version__}")
    words = whole.add_subparsers(dest="word", required=True, metavar="COMMAND")
    ls = _command(words, "ls", "list entries, newest first")
    ls.add_argument("--limit", type=_number, metavar="N", help="list at most N (in a terminal 50, else all)")
    ls.add_argument("--status", choices=STATUSES, help="only answers like these")
    stats = _command(words, "stats", "tell what was paid and saved so far, and what is stored")
    stats.add_argument("--by", choices=("model",))
    _add_key(_command(words, "show", "print one entry whole"))
    evict = _command(words, "evict", "delete one entry, whoever owns it")
    _add_key(evict)
    clear = _command(words, "clear", "delete all entries, or those for which all of this holds")
    clear.add_argument("--older-than", metavar="AGE", help="only what was stored that long ago: 90s, 12h, 7d")
    clear.add_argument("--unused", action="store_true", help="only what was never hit")
    clear.add_argument("--dry-run", action="store_true", help="only say how much it would be")
    for command in (ls, clear):
        command.add_argument("--model", type=_text, metavar="M", help="only those of this model")
        command.add_argument("--tag", type=_text, metavar="T", help="only those with this tag")
        command.add_argument("--match", type=_text, metavar="TEXT", help="only those with TEXT in prompt or answer")
    export = _command(words, "export", "write entries into a cassette, a file for git, without secrets")
    export.add_argument("file", nargs="?", metavar="FILE", help="the file (else the one beside the notebook)")
    export.add_argument("--check", action="store_true", help="write nothing; exit with 1 where the file is out of date")
    export.add_argument("--secret", action="append", default=[], metavar="RE", help="what else is a secret")
    bring = _command(words, "import", "put the answers of a cassette into the store: all of them, or none")
    bring.add_argument("file", metavar="FILE")
    bring.add_argument(
        "--prefer",
        choices=("store", "file"),
        default="store",
        help="which answer stays in a conflict (file: after asking)",
    )
    bring.add_argument("--dry-run", action="store_true", help="only say how many are new, the same and conflicting")
    check = _command(words, "check", "look for damage in the whole store", narrow=False)
    check.add_argument("--fix", action="store_true", help="mend it: damaged entries are deleted, after asking")
    _command(words, "where", "tell where the store is", narrow=False)
    for command in (evict, clear, bring, check):
        command.add_argument("--yes", action="store_true", help="don't ask first (needed where nobody can answer)")
    return whole


def _command(
    words: "argparse._SubParsersAction[_Parser]", word: str, does: str, *, narrow: bool = True
) -> argparse.ArgumentParser:
    command: _Parser = words.add_parser(
        word,
        help=does,
        description=f"{does[0].upper()}{does[1:]}.",
        epilog=f"--json prints {FIELDS[word]} ({UNITS}). {_EXIT_CODES}",
        allow_abbrev=False,
    )
    command.set_defaults(fix=False, notebook=None)
    command.add_argument(
        "--store",
        metavar="PLACE",
        help="a folder, disk:///path or user; else NBCACHE_STORE, NBCACHE_DIR or the nearest .nbcache",
    )
    command.add_argument("--json", action="store_true", help="print one JSON document")
    if narrow:
        command.add_argument("--notebook", metavar="NAME", help="only what this notebook owns (else the whole folder)")
    return command


def _add_key(command: argparse.ArgumentParser) -> None:
    command.add_argument("key", metavar="KEY", help="a key, or its first digits")


def _text(typed: str) -> str:
    if not typed:
        raise argparse.ArgumentTypeError("write the text to look for")
    return typed


def _number(typed: str) -> int:
    if not typed.isdecimal() or not int(typed):
        raise argparse.ArgumentTypeError(f"{typed!r}: write a whole number above zero")
    return int(typed)
