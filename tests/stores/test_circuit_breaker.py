"""When a server that failed is tried again."""

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


def test_a_server_that_fails_is_tried_after_one_second_and_then_after_twice_as_long_up_to_thirty(now: Now) -> None:
    breaker = CircuitBreaker()
    assert breaker.wait() == 0
    waits = []
    for _ in range(7):
        breaker.failed(now.now)
        waits.append(breaker.wait())
        now.now += waits[-1]
        assert breaker.wait() == 0
    assert waits == [1, 2, 4, 8, 16, 30, 30]


def test_one_call_tries_it_and_others_wait_meanwhile(now: Now) -> None:
    breaker = CircuitBreaker()
    breaker.failed(now.now)
    now.now += 1
    assert [breaker.wait() > 0 for _ in range(3)] == [False, True, True]


def test_calls_that_were_under_way_together_count_as_one_failure(now: Now) -> None:
    breaker = CircuitBreaker()
    begun = now.now
    now.now += 0.2
    for _ in range(5):
        breaker.failed(begun)
    assert breaker.wait() == 1


def test_a_server_that_answers_is_used_again_at_once(now: Now) -> None:
    breaker = CircuitBreaker()
    breaker.failed(now.now)
    now.now += 1
    assert breaker.wait() == 0
    breaker.worked()
    assert [breaker.wait() for _ in range(3)] == [0, 0, 0]
    breaker.failed(now.now)
    assert breaker.wait() == 1
