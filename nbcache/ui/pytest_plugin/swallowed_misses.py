"""Lets a test fail whose call was not recorded, even if its code swallowed the error, and shows where the call is made."""

import sys
import unittest.case
from collections.abc import Callable, Generator, Iterable
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from _pytest import fixtures, runner

from nbcache.cache.misses.swallowed import take_swallowed
from nbcache.errors import ReplayMiss

_NO_FAILURES = (pytest.skip.Exception, pytest.xfail.Exception, unittest.SkipTest)
_HINT = "`pytest --nbcache=on` asks the model, and records what it says"


def show_misses(config: pytest.Config) -> None:
    """Handle ReplayMiss until the run ends. A second call changes nothing."""
    if not config.pluginmanager.has_plugin(__name__):
        config.pluginmanager.register(_Misses(config), __name__)


class _Misses:
    """Hooks for tests in which a ReplayMiss is raised."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        environment = pytest.MonkeyPatch()
        config.add_cleanup(environment.undo)
        # The errors that pytest takes for the failure of a fixture. After any other (a ReplayMiss is no Exception) it would
        # neither tear down the other fixtures nor set up the same one again. Some releases don't have the name.
        for module in (fixtures, runner):
            outcomes = getattr(module, "TEST_OUTCOME", ())
            environment.setattr(module, "TEST_OUTCOME", (*outcomes, ReplayMiss), raising=False)
        before_8_4 = sys.modules.get("_pytest.python_api")
        raises = getattr(pytest, "RaisesExc", None) or getattr(before_8_4, "RaisesContext", None)
        groups, in_case = getattr(pytest, "RaisesGroup", None), getattr(unittest.case, "_AssertRaisesContext", None)
        for expecting in filter(None, (raises, groups, in_case)):
            environment.setattr(expecting, "__exit__", _noting(expecting.__exit__))

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, Any, None]:
        """Forget the misses of other tests, and those of a failed setup, which its own error shows."""
        take_swallowed()
        outcome: Any = yield
        if outcome.excinfo is not None:
            take_swallowed()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, None]:
        """Fail a test whose code swallowed a miss, unless the test expects one."""
        yield from self._failing(item)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, None]:
        """The same for the end of its fixtures."""
        yield from self._failing(item)

    def _failing(self, item: pytest.Item) -> Generator[None, Any, None]:
        outcome: Any = yield
        lost = take_swallowed()
        if lost and (outcome.excinfo is None or issubclass(outcome.excinfo[0], _NO_FAILURES)):
            skips = getattr(item, "_excinfo", None) or ()  # set by unittest; pytest would take them instead
            if any(issubclass(each.type, _NO_FAILURES) for each in skips):
                item._excinfo = None  # type: ignore[attr-defined]  # noqa: SLF001 - pytest's own
            outcome.force_exception(lost[0])

    @pytest.hookimpl(hookwrapper=True)  # as old releases of pluggy know it
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
        """Show only the user's own code in the traceback, without the way through LangChain."""
        miss = call.excinfo if call.excinfo is not None and isinstance(call.excinfo.value, ReplayMiss) else None
        if miss is not None and miss.tb is not None and not self._config.getoption("fulltrace"):
            _shorten(miss.tb, self._config.rootpath)
        outcome = yield
        if miss is not None and "nbcache_cassette" in getattr(item, "fixturenames", ()):
            outcome.get_result().sections.append(("nbcache", _HINT))


def _noting(leave: Callable[..., bool]) -> Callable[..., bool]:
    """`leave`, the `__exit__` of a block that expects errors. If it expects a ReplayMiss, it expects all until then, as of a batch."""

    def noting(self: Any, kind: Any, error: Any, traceback: Any) -> bool:
        is_expected = leave(self, kind, error, traceback)
        if is_expected and error is not None and any(map(_is_miss, _expected(self))):
            take_swallowed()
        return is_expected

    return noting


def _expected(expecting: Any) -> Iterable[Any]:
    """What `pytest.raises`, `pytest.RaisesGroup` or unittest's `assertRaises` expects: error classes, or groups of them."""
    for name in ("expected_exceptions", "expected_exception", "expected"):  # the attribute of each
        if errors := getattr(expecting, name, None):
            return errors if isinstance(errors, tuple) else (errors,)
    return ()


def _is_miss(expected: Any) -> bool:
    if isinstance(expected, type):
        return issubclass(expected, ReplayMiss)
    return any(map(_is_miss, _expected(expected)))


def _shorten(traceback: TracebackType, root: Path) -> None:
    """Remove the steps outside the project from a traceback, except the first, which is pytest's."""
    ours, step = [], traceback.tb_next
    while step is not None:
        path = Path(step.tb_frame.f_code.co_filename)
        if path.is_relative_to(root) and "site-packages" not in path.parts:
            ours.append(step)
        step = step.tb_next
    for one, following in pairwise([traceback, *ours, None] if ours else ()):
        if one is not None:
            one.tb_next = following
