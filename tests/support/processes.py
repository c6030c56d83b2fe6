"""Processes that tests start. Each begins afresh, but one server imports what they need, and forks them."""

import multiprocessing
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import ForkServerContext
from typing import TypeVar

_T = TypeVar("_T")

# multiprocessing has one such server in a process, and starts it once: a list that a test module sets for itself would
# replace the other modules'.
PROCESS: ForkServerContext = multiprocessing.get_context("forkserver")
PROCESS.set_forkserver_preload(["tests.support.team_members", "tests.faults.test_faults"])


def in_new_process(work: Callable[..., _T], *args: object) -> _T:
    """What `work` returns in a new process, which has this one's environment and working directory."""
    with ProcessPoolExecutor(1, mp_context=PROCESS) as pool:
        return pool.submit(_in_environment, dict(os.environ), work, *args).result(timeout=100)


def _in_environment(environment: Mapping[str, str], work: Callable[..., _T], *args: object) -> _T:
    """The server has the environment of the test that came first."""
    os.environ.clear()
    os.environ.update(environment)
    return work(*args)
