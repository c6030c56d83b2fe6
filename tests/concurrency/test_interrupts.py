"""The stop button: an interrupt at any line stops what it interrupts, and nothing else."""

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import nbcache
from nbcache.cache.call import running
from nbcache.cache.modes import current_settings
from nbcache.cache.samples import current_attempt
from nbcache.concurrency import running_frames
from nbcache.concurrency.locks import Lock
from nbcache.integrations.langchain.retries import _attempts
from tests.support.interrupting import LIMIT, Echo
from tests.support.paths import ROOT

SHARE = os.environ.get("NBCACHE_TEST_INTERRUPTS") or "50"  # of so many lines one is interrupted; 1 takes all


@pytest.mark.slow
def test_an_interrupt_at_any_line_stops_nothing_else(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.interrupting", "all", tmp_path, SHARE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _interrupted(work: Callable[[], Any], function: Callable[..., Any], event: str) -> None:
    """Do `work`, interrupted when `function` begins (`call`), or has just done what it does (`return`)."""

    before = sys.gettrace()  # the one that measures what the tests cover

    def at_event(frame: FrameType, now: str, _: Any) -> Any:
        if frame.f_code is not function.__code__:
            return None
        if now == event:
            sys.settrace(before)
            raise KeyboardInterrupt
        return at_event

    sys.settrace(at_event)
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        sys.settrace(before)


def _in_thread(work: Callable[[], Any]) -> bool:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(LIMIT)
    return not thread.is_alive()


@pytest.mark.parametrize("event", ["call", "return"])
@pytest.mark.parametrize("function", [Lock.__enter__, Lock.__exit__])
def test_a_lock_is_free_after_an_interrupt_as_it_is_taken_or_given_back(
    function: Callable[..., Any], event: str
) -> None:
    lock, taken = Lock(), []

    def take() -> None:
        with lock:
            taken.append(1)

    _interrupted(take, function, event)
    assert _in_thread(take)
    take()
    assert len(taken) >= 2


def test_a_lock_is_nobodys_but_its_holders_however_many_want_it() -> None:
    lock, inside, most = Lock(), [], []

    def work() -> None:
        for _ in range(300):
            with lock:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(most) == 2400
    assert max(most) == 1


def test_a_lock_that_a_thread_held_when_another_forked_is_free_in_the_child() -> None:
    lock, held, done = Lock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    pid = os.fork()
    if not pid:
        with lock:
            os._exit(0)
    status = os.waitpid(pid, 0)[1]
    done.set()
    thread.join()
    assert status == 0


@pytest.mark.parametrize("collects", [True, False])
def test_looking_who_holds_a_lock_collects_no_garbage_and_leaves_that_as_it_was(
    collects: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collection in the midst of it could end in a deadlock, before Python 3.11.9."""
    current, enabled = sys._current_frames, []

    def looked() -> Any:
        enabled.append(gc.isenabled())
        return current()

    monkeypatch.setattr(running_frames, "_MAY_COLLECT", True)
    monkeypatch.setattr("sys._current_frames", looked)
    if not collects:
        gc.disable()
    try:
        assert running_frames.is_running(sys._getframe().f_back or sys._getframe())
        assert not running_frames.is_running(_ended())
        assert gc.isenabled() == collects
    finally:
        gc.enable()
    assert enabled == [False]


def _ended() -> FrameType:
    return sys._getframe()


@pytest.mark.parametrize("event", ["call", "return"])
@pytest.mark.parametrize("name", ["__enter__", "__exit__"])
def test_a_mode_is_off_after_an_interrupt_at_either_end_of_its_block(name: str, event: str, store: Path) -> None:
    del store

    def block() -> None:
        with nbcache.mode("refresh"):
            pass

    _interrupted(block, getattr(nbcache.mode("refresh"), name).__func__, event)
    assert current_settings.get() is None
    assert nbcache.installed().settings_now.mode == "on"


def test_attempts_of_a_retry_end_with_it_after_an_interrupt() -> None:
    def block() -> None:
        with _attempts():
            pass

    _interrupted(block, type(_attempts()).__exit__, "call")
    assert current_attempt.get() is None


def test_who_waits_for_a_call_that_was_interrupted_makes_it(store: Path) -> None:
    del store
    begun, go_on, model = threading.Event(), threading.Event(), Echo()

    class Slow(Echo):
        def _generate(self, *args: Any, **options: Any) -> Any:
            begun.set()
            go_on.wait()
            return super()._generate(*args, **options)

    slow = Slow()
    answers: list[str] = []

    def ask() -> None:
        begun.wait()
        answers.append(slow.invoke("q").text)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    threading.Timer(0.2, go_on.set).start()
    _interrupted(lambda: slow.invoke("q"), running.__exit__, "call")
    thread.join(LIMIT)
    assert answers == ["answer to q"]
    assert model.invoke("q").text == "answer to q"
