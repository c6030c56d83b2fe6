"""Tests whose calls were never recorded: they fail as tests do, and say where the call is made."""

import sys
import unittest.case
from collections.abc import Callable, Generator, Iterable
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from _pytest import fixtures, runner

from nbcache.cache.swallowed import take_lost
from nbcache.errors import ReplayMiss

_NO_FAILURES = (pytest.skip.Exception, pytest.xfail.Exception, unittest.SkipTest)
_HINT = "`pytest --nbcache=on` asks the model, and records what it says"


def show_misses(config: pytest.Config) -> None:
    """Show a ReplayMiss well until the run ends. To ask again changes nothing."""
    if not config.pluginmanager.has_plugin(__name__):
        config.pluginmanager.register(_Misses(config), __name__)


class _Misses:
    """What pytest does when a ReplayMiss is raised."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        environment = pytest.MonkeyPatch()
        config.add_cleanup(environment.undo)
        # What pytest takes for the failure of a fixture: after anything else (a ReplayMiss is no Exception) it would
        # neither tear down the others nor set up the same one again. Where a release has it no longer, so be it.
        for module in (fixtures, runner):
            known = getattr(module, "TEST_OUTCOME", ())
            environment.setattr(module, "TEST_OUTCOME", (*known, ReplayMiss), raising=False)
        before_8_4 = sys.modules.get("_pytest.python_api")
        raises = getattr(pytest, "RaisesExc", None) or getattr(before_8_4, "RaisesContext", None)
        groups, in_case = getattr(pytest, "RaisesGroup", None), getattr(unittest.case, "_AssertRaisesContext", None)
        for expecting in filter(None, (raises, groups, in_case)):
            environment.setattr(expecting, "__exit__", _noting(expecting.__exit__))

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, Any, None]:
        """What another test has lost is none of this one's, and what fails its setup is told by that."""
        take_lost()
        outcome: Any = yield
        if outcome.excinfo is not None:
            take_lost()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, None]:
        """A test in which something swallowed a miss fails, unless it said that it would raise one."""
        yield from self._failing(item)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, None]:
        """So does one whose fixtures, at their end, do."""
        yield from self._failing(item)

    def _failing(self, item: pytest.Item) -> Generator[None, Any, None]:
        outcome: Any = yield
        lost = take_lost()
        if lost and (outcome.excinfo is None or issubclass(outcome.excinfo[0], _NO_FAILURES)):
            skips = getattr(item, "_excinfo", None) or ()  # of unittest's, which pytest would take instead
            if any(issubclass(each.type, _NO_FAILURES) for each in skips):
                item._excinfo = None  # type: ignore[attr-defined]  # noqa: SLF001 - pytest's own
            outcome.force_exception(lost[0])

    @pytest.hookimpl(hookwrapper=True)  # as old releases of pluggy know it
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
        """Show the lines of the user's own code: the way through LangChain tells nothing."""
        found = call.excinfo if call.excinfo is not None and isinstance(call.excinfo.value, ReplayMiss) else None
        if found is not None and found.tb is not None and not self._config.getoption("fulltrace"):
            _shorten(found.tb, self._config.rootpath)
        outcome = yield
        if found is not None and "nbcache_cassette" in getattr(item, "fixturenames", ()):
            outcome.get_result().sections.append(("nbcache", _HINT))


def _noting(leave: Callable[..., bool]) -> Callable[..., bool]:
    """`leave` of what expects errors: one that names ReplayMiss expected all that were lost until then, as those of a batch."""

    def noting(self: Any, kind: Any, error: Any, traceback: Any) -> bool:
        is_expected = leave(self, kind, error, traceback)
        if is_expected and error is not None and any(map(_is_miss, _expected(self))):
            take_lost()
        return is_expected

    return noting


def _expected(expecting: Any) -> Iterable[Any]:
    """What `pytest.raises`, `pytest.RaisesGroup` or unittest's expects: classes of errors, and within a group the same."""
    for name in ("expected_exceptions", "expected_exception", "expected"):  # as each calls it
        if found := getattr(expecting, name, None):
            return found if isinstance(found, tuple) else (found,)
    return ()


def _is_miss(expected: Any) -> bool:
    if isinstance(expected, type):
        return issubclass(expected, ReplayMiss)
    return any(map(_is_miss, _expected(expected)))


def _shorten(traceback: TracebackType, root: Path) -> None:
    """Take out of a traceback what isn't of the project, but for its beginning, which is pytest's."""
    ours, step = [], traceback.tb_next
    while step is not None:
        path = Path(step.tb_frame.f_code.co_filename)
        if path.is_relative_to(root) and "site-packages" not in path.parts:
            ours.append(step)
        step = step.tb_next
    for one, following in pairwise([traceback, *ours, None] if ours else ()):
        if one is not None:
            one.tb_next = following
