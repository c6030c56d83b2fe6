"""Processes that make the same calls through a server that is killed: nothing is wrong, lost or paid twice."""

import pytest

from benchmarks.team import Load, outcome_of
from tests.servers.redis_server import program


@pytest.mark.slow
def test_processes_share_each_call_through_a_server_that_is_killed_twice() -> None:
    program()  # or the test is skipped
    load = Load(processes=4, calls=100, keys=20, kills=2)
    outcome, lost = outcome_of(load)
    assert (outcome.wrong, lost) == (0, 0)
    assert outcome.requests <= 1.02 * load.keys
