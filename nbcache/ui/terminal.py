"""The one place that writes to a terminal, for the command line and the magics: nothing drives it, no line is wider."""

import itertools
import json
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from nbcache.errors import harmless


def say(text: str) -> None:
    """Print `text`."""
    print(harmless(text))


def say_json(document: Any) -> None:
    """Print a document of JSON, in ASCII: no encoding loses any of it, and no terminal minds it."""
    print(json.dumps(document, indent=2))


def complain(message: str) -> None:
    """Say on stderr what went wrong."""
    print(f"nbcache: {harmless(message.removeprefix('nbcache: '))}", file=sys.stderr)


def prompt_for(question: str) -> str:
    """Ask on stderr; what is typed, nothing at the end of the input."""
    print(harmless(question), end="", file=sys.stderr, flush=True)
    return sys.stdin.readline()


def rewrite(text: str) -> None:
    """Write `text` on stderr over what stands on the line."""
    print(f"\r{harmless(text)}", end="", file=sys.stderr, flush=True)


def say_table(names: Sequence[str], rows: Iterable[Sequence[str]], numbers: range) -> None:
    """Print `rows` in columns under their names, those of `numbers` to the right."""
    table = [names, *([harmless(" ".join(cell.split())) for cell in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = []
        for at, (cell, width) in enumerate(zip(row, widths, strict=True)):
            room = " " * (width - _width(cell))
            cells.append(room + cell if at in numbers else cell + room)
        line = "  ".join(cells).rstrip()
        print(cut(line, columns()) if is_terminal() else line)


def is_terminal() -> bool:
    """Whether a person reads along."""
    return sys.stdout is not None and sys.stdout.isatty()


def columns() -> int:
    """How wide the terminal is."""
    return shutil.get_terminal_size().columns


def cut(text: str, width: int) -> str:
    """As much of `text` as has room in `width` columns."""
    if _width(text) <= width:
        return text
    return text[: sum(end < width for end in itertools.accumulate(map(_width, text)))] + "…"


def age(seconds: float) -> str:
    """`seconds` in their largest unit, as `--older-than` takes it: `7d`."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"


def _width(text: str) -> int:
    """How many columns of a terminal `text` takes: those of Chinese and of emoji are two."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(s) else 1 + (unicodedata.east_asian_width(s) in "WF") for s in text)
