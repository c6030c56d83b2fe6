"""When a server that failed is tried again."""

import threading
import time

import pytest

from nbcache.stores.circuit_breaker import CircuitBreaker


class Now:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Now:
    return Now(monkeypatch)


class Tried:
    """A server that fails or answers when it is tried, and says when that is done."""

    def __init__(self) -> None:
        self.breaker = CircuitBreaker(self.attempt)
        self.attempts, self.answers = 0, False
        self.ends = threading.Event()
        self.ends.set()
        self.ended = threading.Semaphore(0)

    def attempt(self) -> None:
        assert self.ends.wait(30)
        self.attempts += 1
        if self.answers:
            self.breaker.answered()
        else:
            self.breaker.failed(time.monotonic())
        self.ended.release()


def test_a_server_that_fails_is_tried_after_one_second_and_then_after_twice_as_long_up_to_thirty(now: Now) -> None:
    server = Tried()
    assert server.breaker.wait() == 0
    server.breaker.failed(now.now)
    waits = []
    for number in range(7):
        waits.append(server.breaker.wait())
        assert server.attempts == number
        now.now += waits[-1]
        assert server.breaker.wait() > 0  # the trial is in the background
        assert server.ended.acquire(timeout=30)
    assert waits == [1, 2, 4, 8, 16, 30, 30]


def test_one_call_has_it_tried_and_all_go_on_meanwhile(now: Now) -> None:
    server = Tried()
    server.breaker.failed(now.now)
    now.now += 1
    server.ends.clear()
    assert all(server.breaker.wait() > 0 for _ in range(20))
    server.answers = True
    server.ends.set()
    assert server.ended.acquire(timeout=30)
    assert server.attempts == 1
    assert server.breaker.wait() == 0


def test_without_an_attempt_one_call_tries_it_and_others_go_on_meanwhile(now: Now) -> None:
    breaker = CircuitBreaker()
    breaker.failed(now.now)
    now.now += 1
    assert [breaker.wait() > 0 for _ in range(3)] == [False, True, True]
    breaker.failed(now.now)
    assert breaker.wait() == 2


def test_calls_that_were_under_way_together_count_as_one_failure(now: Now) -> None:
    breaker = Tried().breaker
    begun = now.now
    now.now += 0.2
    for _ in range(5):
        breaker.failed(begun)
    assert breaker.wait() == 1


def test_a_server_that_works_is_used_again_at_once(now: Now) -> None:
    breaker = Tried().breaker
    breaker.failed(now.now)
    breaker.worked()  # for another call
    assert [breaker.wait() for _ in range(3)] == [0, 0, 0]
    now.now += 0.1
    breaker.failed(now.now)
    assert breaker.wait() == 1


def test_a_server_that_answers_the_trial_and_fails_each_call_is_left_alone_for_longer_and_longer(now: Now) -> None:
    server = Tried()
    server.answers = True
    pauses = []
    for _ in range(4):
        now.now += 0.1
        server.breaker.failed(now.now)
        pauses.append(server.breaker.wait())
        now.now += pauses[-1]
        server.breaker.wait()
        assert server.ended.acquire(timeout=30)
        assert server.breaker.wait() == 0
    assert pauses == [1, 2, 4, 8]
