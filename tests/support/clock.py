"""The machine's clocks, which a test can put ahead."""

import time
from collections.abc import Callable

import pytest


class Clock:
    """`time.time` and `time.perf_counter`, both `ahead` by so many seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        for name in ("time", "perf_counter"):
            monkeypatch.setattr(time, name, self._put_ahead(getattr(time, name)))

    def __call__(self) -> float:
        """The time, in seconds since the epoch."""
        return time.time()

    def _put_ahead(self, real: Callable[[], float]) -> Callable[[], float]:
        return lambda: real() + self.ahead
