"""Where functions note that they run. A list of the module's own would count as a part of their calls."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def note(what: Any) -> None:
    """Note a run."""
    logging.getLogger("tests.runs").info("%s", [what])


class _Runs(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.noted: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        assert isinstance(record.args, tuple)
        self.noted.append(record.args[0][0])  # type: ignore[index]


@contextmanager
def noted() -> Iterator[list[Any]]:
    """What is noted within the block."""
    logger, runs = logging.getLogger("tests.runs"), _Runs()
    logger.addHandler(runs)
    logger.setLevel(logging.INFO)
    try:
        yield runs.noted
    finally:
        logger.removeHandler(runs)
