"""Work in the background rests between its steps, for longer while other threads need the processor."""

import pytest

from nbcache.concurrency import rests


class _Time:
    """A thread that works, and other threads that use a `share` of the processor."""

    def __init__(self, share: float) -> None:
        self.share = share
        self.worked = self.slept = 0.0

    def work(self, seconds: float) -> None:
        self.worked += seconds

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def thread_time(self) -> float:
        return self.worked

    def monotonic(self) -> float:
        return self.worked + self.slept

    def process_time(self) -> float:
        return self.worked + self.share * self.slept


def share_of(clock: _Time) -> float:
    """How much of the time the thread works."""
    return clock.worked / (clock.worked + clock.slept)


@pytest.mark.parametrize(("others", "share"), [(0.0, 1 / 2), (0.1, 1 / 2), (0.5, 1 / 20), (1.0, 1 / 20)])
def test_background_work_takes_a_small_part_of_the_time_of_a_busy_process(
    monkeypatch: pytest.MonkeyPatch, others: float, share: float
) -> None:
    clock = _Time(others)
    monkeypatch.setattr(rests, "time", clock)
    steps = rests.Rests()
    for seconds in (0.001, 0.004, 0.002):
        clock.work(seconds)
        steps.rest()
    assert share_of(clock) == pytest.approx(share)


def test_no_rest_keeps_what_is_left_waiting_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = _Time(1.0)
    monkeypatch.setattr(rests, "time", clock)
    steps = rests.Rests()
    clock.work(10.0)
    steps.rest()
    assert clock.slept <= 1.0
