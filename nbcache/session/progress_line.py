"""The one line in which long work of the Python API shows how far it is: in a notebook or a terminal, and nowhere else."""

import sys
import time
from collections.abc import Callable
from typing import Protocol

_DELAY = 0.5  # seconds before the line is shown
_INTERVAL = 0.25  # seconds between two updates


class Line(Protocol):
    """A line that is written anew."""

    def show(self, text: str) -> None:
        """Show `text` in its place."""

    def end(self) -> None:
        """Leave the line as it is."""


class notebook:  # noqa: N801 - a place for one value
    """How a line is made in a notebook; it returns None in a kernel without a person. `%load_ext nbcache` sets it."""

    line: "Callable[[], Line | None] | None" = None


class ProgressLine:
    """Shows what `text` returns, if the work takes a while. Without a person to read it, it does nothing."""

    def __init__(self, text: Callable[[], str], *, is_wanted: bool) -> None:
        self._text = text
        self._line = _line() if is_wanted else None
        self._shown = time.monotonic() + _DELAY - _INTERVAL
        self._is_shown = False

    def update(self) -> None:
        """Show it, unless that was done a moment ago."""
        if self._line is not None and time.monotonic() > self._shown + _INTERVAL:
            self._line.show(self._text())
            self._shown, self._is_shown = time.monotonic(), True

    def end(self) -> None:
        """Show it for the last time, if it was shown at all."""
        if self._line is not None and self._is_shown:
            self._line.show(self._text())
            self._line.end()


class _TerminalLine:
    _width = 0

    def show(self, text: str) -> None:
        _write(f"\r{text:<{self._width}}")
        self._width = len(text)

    def end(self) -> None:
        _write("\n")


def _write(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _line() -> Line | None:
    if notebook.line is not None and (line := notebook.line()) is not None:
        return line
    return _TerminalLine() if sys.stderr is not None and sys.stderr.isatty() else None
