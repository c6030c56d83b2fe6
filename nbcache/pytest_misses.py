"""Tests whose calls were never recorded: they fail as tests do, and say where the call is made."""

from collections.abc import Generator
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from _pytest import fixtures, runner

from nbcache.errors import ReplayMiss

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

    @pytest.hookimpl(hookwrapper=True)  # as old releases of pluggy know it
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
        """Show the lines of the user's own code: the way through LangChain tells nothing."""
        found = call.excinfo if call.excinfo is not None and isinstance(call.excinfo.value, ReplayMiss) else None
        if found is not None and found.tb is not None and not self._config.getoption("fulltrace"):
            _shorten(found.tb, self._config.rootpath)
        outcome = yield
        if found is not None and "nbcache_cassette" in getattr(item, "fixturenames", ()):
            outcome.get_result().sections.append(("nbcache", _HINT))


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
