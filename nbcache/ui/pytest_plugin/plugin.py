"""The pytest plugin: `pytest --nbcache=replay` plays recorded answers, in tests and in the notebooks that nbval runs.

pytest imports this module in every run wherever nbcache is installed, so heavy modules are imported where they are used.
"""

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nbcache.entry.durations_and_sizes import counted

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from nbcache.cache.notebook_cache import NotebookCache
    from nbcache.cache.session_tally import PlayedCassette
    from nbcache.entry.records import Spending

_SHOWN = 5  # unused recordings in the report
_SELECTING = ("keyword", "markexpr", "deselect", "lf", "stepwise")  # pytest's options to run some of the tests


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options. Without `--nbcache` the plugin only offers its fixture."""
    group = parser.getgroup("nbcache", "recorded answers of LLM calls")
    group.addoption(
        "--nbcache",
        type=_mode,
        metavar="MODE",
        help="nbcache's mode in tests and notebooks: replay (plays what was recorded, sends nothing), on, off, read-only "
        "or refresh",
    )
    group.addoption("--nbcache-strict", action="store_true", help="fail the run where recordings weren't used")
    group.addoption(
        "--nbcache-block-network",
        action="store_true",
        help="with --nbcache=replay, stop every connection that is not to this machine, whatever makes it",
    )


def _mode(word: str) -> str:
    from nbcache.cache.modes import checked_mode  # noqa: PLC0415 - see above, also for those below

    try:
        return checked_mode(word)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Set the mode before the first conftest is imported, because that may turn the cache on."""
    options = early_config.known_args_namespace
    if options.nbcache_strict and options.nbcache != "replay":
        raise pytest.UsageError("--nbcache-strict asks whether all recordings were played: add --nbcache=replay")
    if options.nbcache_block_network and options.nbcache != "replay":
        raise pytest.UsageError("--nbcache-block-network goes with recorded answers: add --nbcache=replay")
    if options.nbcache is not None:
        from nbcache.ui.pytest_plugin.swallowed_misses import show_misses  # noqa: PLC0415

        early_config.pluginmanager.register(_Run(early_config, options.nbcache, is_strict=options.nbcache_strict))
        show_misses(early_config)
    if options.nbcache_block_network:
        from nbcache.session.network_block import block_network, open_network  # noqa: PLC0415
        from nbcache.stores.location import BLOCK_NETWORK  # noqa: PLC0415

        environment = pytest.MonkeyPatch()
        environment.setenv(BLOCK_NETWORK, "1")
        early_config.add_cleanup(environment.undo)
        early_config.add_cleanup(open_network)
        block_network()


# Wrappers are of the old style (`hookwrapper`), because old releases of pluggy import this module too.
class _Run:
    """A run with `--nbcache`: sets the mode for all its processes, and reports what they did."""

    def __init__(self, config: pytest.Config, mode: str, *, is_strict: bool) -> None:
        self._config = config
        self._plays = mode == "replay"
        self._is_strict = is_strict
        self._ran: set[Path] = set()  # the files of which a test ran
        self._report: list[str] = []
        self._faults: list[str] = []
        environment = pytest.MonkeyPatch()
        config.add_cleanup(environment.undo)
        environment.setenv("NBCACHE_MODE", mode)
        self._folder: Path | None = None  # None in a worker of xdist, which reports to the process that started it
        if not {"PYTEST_XDIST_WORKER", "NBCACHE_REPORT"} <= os.environ.keys():
            self._folder = Path(tempfile.mkdtemp(prefix="nbcache-report-"))
            config.add_cleanup(partial(shutil.rmtree, self._folder, ignore_errors=True))
            environment.setenv("NBCACHE_REPORT", str(self._folder))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, None]:
        """Name the notebook to the kernel, which nbval starts for a notebook's first cell."""
        with pytest.MonkeyPatch.context() as environment:
            if item.path.suffix == ".ipynb":
                environment.setenv("NBCACHE_NOTEBOOK", str(item.path))
            yield

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the files whose tests ran, in any process."""
        if report.when == "call":
            self._ran.add(self._config.rootpath / report.nodeid.partition("::")[0])

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Add up what all processes did, and fail a strict run that left recordings unused."""
        _write_down()
        if self._folder is None:
            return
        from nbcache.cache.session_tally import read_tally  # noqa: PLC0415
        from nbcache.stores.location import cassette_path  # noqa: PLC0415

        tally = read_tally(self._folder)
        parts = [counted(tally.sums.hits, "hit"), counted(tally.sums.misses, "miss"), *_money(tally.sums)]
        is_whole = self._is_whole(session)
        cassettes = tally.cassettes(filter(None, map(cassette_path, self._ran))) if self._plays and is_whole else []
        unused = [f"  {self._name(each.path)}: {prompt}" for each in cassettes for prompt in each.unused]
        parts += [f"{counted(len(unused), 'recording')} unused"] if cassettes else []
        more = [f"  and {len(unused) - _SHOWN:,} more"] if len(unused) > _SHOWN else []
        self._report = ["nbcache: " + ", ".join(parts), *unused[:_SHOWN], *more]
        if self._plays and tally.stored:
            self._report.append(f"nbcache: {counted(tally.stored, 'hit')} came from a store, where no cassette was")
        if self._is_strict:
            self._judge(session, cassettes, is_whole=is_whole)

    def _is_whole(self, session: pytest.Session) -> bool:
        """Whether all tests of each file were run. Otherwise the other tests might have used the rest of the recordings."""
        is_selected = any(self._config.getoption(name, None) for name in _SELECTING)
        is_selected = is_selected or any("::" in argument for argument in self._config.args)
        return not (is_selected or session.shouldstop or session.shouldfail)

    def _judge(self, session: pytest.Session, cassettes: "list[PlayedCassette]", *, is_whole: bool) -> None:
        """Fail the run if a cassette is wrong or a recording was not used."""
        if not is_whole:
            self._report.append("nbcache: not all tests were run, so unused recordings were not looked for")
        for each in cassettes:
            name, unused = self._name(each.path), len(each.unused)
            if each.error:
                self._faults.append(each.error)
            elif unused and unused == each.recordings:
                self._faults.append(f"{name} was not used at all")
            elif unused:
                self._faults.append(f"{name}: {unused:,} of {counted(each.recordings, 'recording')} not used")
        if self._faults and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _name(self, path: Path) -> str:
        root = self._config.rootpath.resolve()
        return str(path.relative_to(root) if path.is_relative_to(root) else path)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: "TerminalReporter") -> Generator[None, Any, None]:
        """Print the report at the very end."""
        from nbcache.errors import harmless  # noqa: PLC0415

        yield
        for line in self._report:
            terminalreporter.write_line(harmless(line))
        for fault in self._faults:
            terminalreporter.write_line(harmless(f"nbcache: strict: {fault}"), red=True)


def _write_down() -> None:
    """Let this process's cache write down what it did."""
    installation = sys.modules.get("nbcache.session.installation")
    if installation is not None and installation.is_installed():
        installation.installed().flush()


def _money(sums: "Spending") -> list[str]:
    """The money paid and saved, each if it is known and not zero."""
    from nbcache.costs.money import amount_text, saved, saved_text, spent  # noqa: PLC0415

    parts = [f"paid {amount_text(spent(sums))}"] if spent(sums).usd else []
    return parts + ([f"saved {saved_text(saved(sums))}"] if saved(sums).usd else [])


# The fixture


@pytest.fixture
def nbcache_cassette(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cassette of this test's module, `<test_module>.llmcache.jsonl` beside it; while the test runs, the cache is on.

    It is replayed. `pytest --nbcache=on` records it: calls that are not in it are made, and added at the end of the test.
    `refresh` makes all the test's calls anew.
    """
    from nbcache.cache.modes import KEEPS, REPLAY  # noqa: PLC0415
    from nbcache.cache.setting_field import settings_of  # noqa: PLC0415
    from nbcache.cache.settings_table import Configuration  # noqa: PLC0415
    from nbcache.session import api, installation  # noqa: PLC0415
    from nbcache.stores.location import CASSETTE_SUFFIX  # noqa: PLC0415
    from nbcache.ui.pytest_plugin.swallowed_misses import show_misses  # noqa: PLC0415

    mode = request.config.getoption("nbcache") or REPLAY
    cassette = request.path.with_name(request.path.stem + CASSETTE_SUFFIX)
    store = tmp_path_factory.mktemp("nbcache")
    show_misses(request.config)
    with contextlib.ExitStack() as ends:
        ends.callback(_put_back, installation.installed() if installation.is_installed() else None)
        environment = ends.enter_context(pytest.MonkeyPatch.context())
        settings: dict[str, Any] = {"store": store, "mode": mode, "cassette": cassette}
        settings |= dict.fromkeys(("ttl", "max_bytes", "max_entries"))  # no recording may expire or be evicted
        # Code under test may turn the cache on itself, or start a process that does.
        for setting in settings_of(Configuration):
            if setting.name in settings and setting.variable is not None:
                _set(environment, setting.variable, settings[setting.name])
        install = installation.reinstall if installation.is_installed() else installation.install
        cache = install(**settings)
        if mode != REPLAY and cassette.exists():
            api.import_cassette(cassette)
        yield cassette
        if mode in KEEPS:
            # Code under test may have turned the cache on again, with its own rules. A store of its own is not recorded.
            current = installation.installed() if installation.is_installed() else cache
            _record(current if current.store.url == cache.store.url else cache, cassette)


def _set(environment: pytest.MonkeyPatch, variable: str, value: object) -> None:
    """Give a variable of the environment this value, or none."""
    if value is None:
        environment.delenv(variable, raising=False)
    else:
        environment.setenv(variable, str(value))


def _record(cache: "NotebookCache", cassette: Path) -> None:
    """Add the answers of this test's store to the cassette. The answers of other tests stay in it."""
    from nbcache.errors import warn_once  # noqa: PLC0415
    from nbcache.replay.cassette_export import export_entries  # noqa: PLC0415
    from nbcache.replay.cassette_import import import_entries  # noqa: PLC0415

    contents = cache.contents("folder")
    if cassette.exists():  # another process may have recorded meanwhile
        import_entries(contents, cassette)
    if not contents.totals().entries:
        return
    done = export_entries(contents, cassette, scrubber=cache.scrubber, normalize=cache.rules.normalize)
    for key, why in done.left_out.items():
        warn_once(key, f"nbcache: an answer is not recorded in {cassette.name}: {why}")


def _put_back(before: "NotebookCache | None") -> None:
    """Restore the cache that was on before the test, with its settings. A cache that the test turned off stays off."""
    from nbcache.session import installation  # noqa: PLC0415

    if before is None:
        installation.end()
    elif installation.is_installed():
        installation.reinstall(before)
