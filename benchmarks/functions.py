"""Hits of a function that is memoized: by nbcache, by joblib.Memory and by diskcache, in one process and in alternation."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import nbcache

from . import BenchError, columns
from .figures import PROCESSOR, SECONDS, Figures
from .timing import Times, alternate, timed

_TEXT = "When does the boat come? " * 40  # 1 kB
_Function = Callable[[Any], Any]


def answer(question: str) -> dict[str, Any]:
    """A value of 1 kB."""
    return {"question": question[:20], "answer": "On Tuesday. " * 80, "marks": [1, 2.5, None]}


def doubled(table: pd.DataFrame) -> pd.DataFrame:
    """A frame as large as the argument."""
    return table * 2


def frame(rows: int) -> pd.DataFrame:
    """Measured values, as of an experiment, and a number for each row; about 10 MB with 100,000 rows."""
    values = np.random.default_rng(0).normal(size=(rows, 12))
    named = {f"column {number}": values[:, number] for number in range(12)}
    return pd.DataFrame({**named, "number": range(rows)})


def measure(folder: Path, rows: int, *, calls: int, rounds: int, figures: Figures) -> None:
    """Hits of the same call: in each round `calls` with 1 kB, and one with a frame of so many `rows`."""
    nbcache.install(folder / "nbcache")
    try:
        _measure_row(figures, "function", answer, [_TEXT] * calls, rounds)
        _measure_row(figures, "function, frame", doubled, [frame(rows)], rounds)
    finally:
        nbcache.uninstall()


def _measure_row(figures: Figures, row: str, function: Any, arguments: list[Any], rounds: int) -> None:
    expected = function(arguments[0])
    runs: dict[str, Callable[[int], Times]] = {}
    for column, memoized in _memoized(function).items():
        for _ in range(3):  # the first runs it, the second reads it, and what comes then is a repeated hit
            memoized(arguments[0])
        runs[column] = partial(_hits, memoized, arguments, expected)
    for column, times in alternate(runs, rounds).items():
        for each in times:
            figures.add(row, column, each.seconds, SECONDS)
            figures.add(row, column, each.processor, PROCESSOR)


def _memoized(function: Any) -> dict[str, _Function]:
    """The function, memoized by each. diskcache's has no key for a frame."""
    made: dict[str, _Function] = {columns.NBCACHE: nbcache.memoize(function)}
    if columns.JOBLIB not in columns.missing():
        from joblib import Memory

        made[columns.JOBLIB] = Memory(tempfile.mkdtemp(prefix="bench-joblib-"), verbose=0).cache(function)
    if function is answer:
        from diskcache import Cache

        made[columns.DISKCACHE] = Cache(tempfile.mkdtemp(prefix="bench-diskcache-")).memoize()(function)
    return made


def _hits(memoized: _Function, arguments: list[Any], expected: Any, _round: int) -> Times:
    times, found = timed(memoized, [(argument,) for argument in arguments])
    for value in found:
        if not (value.equals(expected) if isinstance(value, pd.DataFrame) else value == expected):
            raise BenchError("a memoized function returned something else")
    return times
