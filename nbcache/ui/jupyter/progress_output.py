"""The line of long work in a notebook: one output of its cell, which is written anew in its place."""

from IPython.core.getipython import get_ipython
from IPython.display import display

from nbcache.errors import harmless


class _Text:
    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


class _OutputLine:
    def __init__(self) -> None:
        self._handle = None

    def show(self, text: str) -> None:
        line = _Text(harmless(text))
        if self._handle is None:
            self._handle = display(line, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(line)

    def end(self) -> None:
        """What is shown stays."""


def output_line() -> _OutputLine | None:
    """A line in this cell's output. None if this is no kernel, or nobody is there: nbval, papermill and nbclient say so."""
    kernel = getattr(get_ipython(), "kernel", None)
    return _OutputLine() if getattr(kernel, "_allow_stdin", False) else None
