"""Prints for the magics and the command line. Control characters are made harmless, and table rows are cut to the terminal's width."""

import itertools
import json
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from nbcache.errors import harmless

_ENOUGH = 24  # columns of a terminal for the beginning of a prompt


def say(text: str) -> None:
    """Print `text`."""
    print(harmless(text))


def say_json(document: Any) -> None:
    """Print a JSON document in ASCII, which every encoding and every terminal can show."""
    print(json.dumps(document, indent=2))


def say_result(text: str, document: Any, *, as_json: bool) -> None:
    """Print a result: `document`, or `text` for a person."""
    if as_json:
        say_json(document)
    else:
        say(text)


def complain(message: str) -> None:
    """Print an error or a warning on stderr."""
    print(f"nbcache: {harmless(message.removeprefix('nbcache: '))}", file=sys.stderr)


def prompt_for(question: str) -> str:
    """Ask on stderr and return the typed line; an empty text at the end of the input."""
    print(harmless(question), end="", file=sys.stderr, flush=True)
    return sys.stdin.readline()


def rewrite(text: str) -> None:
    """Replace the current line of stderr by `text`."""
    print(f"\r{harmless(text)}", end="", file=sys.stderr, flush=True)


def say_table(
    names: Sequence[str], rows: Iterable[Sequence[str]], numbers: range, *, spare: Sequence[str] = ()
) -> None:
    """Print `rows` in columns under their names. The columns of `numbers` are aligned to the right.

    In a terminal the last column has some room: for it columns of `spare` are left out, one after the other.
    """
    table = [names, *([harmless(" ".join(cell.split())) for cell in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
    shown = _shown(names, widths, spare) if is_terminal() else range(len(names))
    for row in table:
        cells = []
        for at in shown:
            room = " " * (widths[at] - _width(row[at]))
            cells.append(room + row[at] if at in numbers else row[at] + room)
        line = "  ".join(cells).rstrip()
        print(cut(line, columns()) if is_terminal() else line)


def _shown(names: Sequence[str], widths: Sequence[int], spare: Sequence[str]) -> list[int]:
    """Which columns are shown in this terminal."""
    shown = list(range(len(names)))
    for name in spare:
        if sum(widths[at] + 2 for at in shown[:-1]) + min(widths[-1], _ENOUGH) <= columns():
            break
        shown.remove(names.index(name))
    return shown


def is_terminal() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def columns() -> int:
    """The terminal's width."""
    return shutil.get_terminal_size().columns


def cut(text: str, width: int) -> str:
    """`text`, cut to `width` columns."""
    if _width(text) <= width:
        return text
    return text[: sum(end < width for end in itertools.accumulate(map(_width, text)))] + "…"


def age(seconds: float) -> str:
    """`seconds` in the largest unit that fits, as `--older-than` takes it: `7d`."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"


def _width(text: str) -> int:
    """The columns of a terminal that `text` takes: a Chinese character or an emoji takes two."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(s) else 1 + (unicodedata.east_asian_width(s) in "WF") for s in text)
