"""The pytest plugin: recorded answers in tests, and in the notebooks that nbval runs."""

import gc
import json
import os
import re
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_openai import ChatOpenAI

import nbcache
from nbcache.cache import session_tally
from nbcache.concurrency.executor import in_background
from nbcache.costs import money  # noqa: F401 - see `imported`
from nbcache.replay import cassette_export, cassette_import  # noqa: F401 - see `imported`
from nbcache.session import installation
from nbcache.stores.location import REPORT
from nbcache.ui.pytest_plugin import swallowed_misses as pytest_misses  # noqa: F401 - see `imported`
from tests.servers.provider import Provider

pytest_plugins = ["pytester"]

Run = Callable[..., pytest.RunResult]

# What a run within this one is to be without: other plugins, of which each takes its time.
_ALONE = ("-p", "nbcache", "-p", "no:cacheprovider")

ASK = """
from langchain_core.language_models import FakeListChatModel
from langchain_openai import ChatOpenAI
import nbcache

def ask(text):
    return FakeListChatModel(responses=["at noon"]).invoke(text).text
"""


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """Import here what a call imports: pytester takes back what a run within this one does, and the next pays anew."""
    with Provider() as provider:
        nbcache.install("memory://")
        ChatOpenAI(model="gpt-4o-mini", **provider.openai).invoke("boat?")
        nbcache.uninstall()


@pytest.fixture(autouse=True)
def plain(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]\nfilterwarnings = ignore")
    pytester.makepyfile(asking=ASK)


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run pytest here, in this process."""

    def in_process(*arguments: str) -> pytest.RunResult:
        gc.collect()  # an earlier cache that is collected amid the run would write what it did into the run's report
        written = threading.Event()
        in_background(written.set)
        assert written.wait(30)
        return pytester.runpytest_inprocess(*_ALONE, *arguments)

    return in_process


def record(cassette: Path, *texts: str) -> None:
    """A cassette of what `ask` asks."""
    nbcache.install("memory://")
    for text in texts:
        FakeListChatModel(responses=["at noon"]).invoke(text)
    nbcache.export_cassette(cassette)
    nbcache.uninstall()


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines(keepends=True)


def asked(path: Path) -> list[str]:
    """What the recordings of a cassette asked."""
    told = map(json.loads, lines(path))
    return sorted(
        line["sent"]["messages"][-1]["content"] if "sent" in line else line["messages"][-1]["HumanMessage"]["content"]
        for line in told
    )


# Off unless asked


def test_without_the_option_nothing_happens(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import os, sys

        def test_nothing():
            assert not [name for name in os.environ if name.startswith("NBCACHE")]
            assert not {"langchain_core", "pandas", "IPython", "nbcache.session.installation"} & sys.modules.keys()
    """)
    done = pytester.runpytest_subprocess(*_ALONE)
    done.assert_outcomes(passed=1)
    assert "hits" not in done.stdout.str()


def test_the_plugin_is_imported_lightly() -> None:
    code = "import sys, pytest; had = set(sys.modules); import nbcache.ui.pytest_plugin.plugin; print(*set(sys.modules) - had)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert {name for name in done.stdout.split() if not name.startswith("nbcache")} <= {"tempfile", "random", "bisect"}
    assert not {"nbcache.errors", "nbcache.cache.modes", "nbcache.session.installation"} & set(done.stdout.split())


def test_without_the_plugin_its_option_is_none(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    pytester.makepyfile("def test_nothing(): ...")
    run = partial(pytester.runpytest_inprocess, "-p", "no:nbcache")
    run().assert_outcomes(passed=1)
    assert run("--nbcache=replay").ret == pytest.ExitCode.USAGE_ERROR


def test_the_users_own_mode_is_left_alone(run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBCACHE_MODE", "read-only")
    pytester.makepyfile("""
        import os

        def test_mode():
            assert os.environ["NBCACHE_MODE"] == "read-only"
            assert "NBCACHE_REPORT" not in os.environ
    """)
    done = run()
    done.assert_outcomes(passed=1)
    assert "hits" not in done.stdout.str()


# The mode


@pytest.mark.parametrize("mode", ["on", "off", "read-only", "refresh", "replay"])
def test_the_mode_holds_for_the_run_and_no_longer(run: Run, pytester: pytest.Pytester, mode: str) -> None:
    at_import = f"import os\nassert os.environ['NBCACHE_MODE'] == {mode!r}\n"
    pytester.makeconftest(at_import)
    pytester.makepyfile(f"""
        import nbcache
        {at_import.splitlines()[0]}

        def test_mode(tmp_path):
            assert nbcache.install(tmp_path).settings.mode == {mode!r}
            nbcache.uninstall()
    """)
    run(f"--nbcache={mode}").assert_outcomes(passed=1)
    assert not [name for name in os.environ if name.startswith("NBCACHE")]


def test_a_mode_that_is_none_is_refused_and_the_five_are_named(run: Run) -> None:
    done = run("--nbcache=reply")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines("*--nbcache: mode='reply': write on, off, read-only, refresh or replay")


@pytest.mark.parametrize("arguments", [["--nbcache=on"], []])
def test_strict_goes_with_replay_only(run: Run, arguments: list[str]) -> None:
    done = run("--nbcache-strict", *arguments)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines("*add --nbcache=replay*")


# Without a network


@pytest.mark.parametrize("arguments", [["--nbcache=on"], []])
def test_the_network_is_blocked_in_replay_only(run: Run, arguments: list[str]) -> None:
    done = run("--nbcache-block-network", *arguments)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines("*add --nbcache=replay*")


UNKNOWN_HOSTS = """
import asyncio, contextlib, socket, threading, urllib.request
import httpx, pytest, requests

HOST = "unknown.example"

def in_a_loop():
    async def get():
        async with httpx.AsyncClient() as client:
            await client.get(f"https://{HOST}/v1/orders")
    asyncio.run(get())

def swallowed():
    with contextlib.suppress(BaseException):
        requests.get(f"http://{HOST}/")

WAYS = {
    "httpx": lambda: httpx.get(f"https://{HOST}/v1/orders"),
    "httpx in a loop": in_a_loop,
    "requests": lambda: requests.get(f"http://{HOST}/"),
    "urllib": lambda: urllib.request.urlopen(f"http://{HOST}/"),
    "a socket": lambda: socket.create_connection((HOST, 80), 1),
    "an address": lambda: socket.create_connection(("203.0.113.7", 80), 1),
    "an address of six": lambda: socket.socket(socket.AF_INET6).connect(("2001:db8::7", 80)),
    "a datagram": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("203.0.113.7", 80)),
    "swallowed": swallowed,
}

@pytest.mark.parametrize("way", WAYS)
def test_way(way):
    WAYS[way]()

def test_this_machine():
    with socket.create_server(("127.0.0.1", 0)) as server:
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, server.getsockname()[1])).close()
    one, other = socket.socketpair()
    one.close(), other.close()
    asyncio.run(asyncio.sleep(0))
"""


def test_every_way_to_an_unknown_host_is_stopped_and_the_host_is_named(run: Run, pytester: pytest.Pytester) -> None:
    before = dict(vars(socket.socket)), socket.getaddrinfo, socket.gethostbyname
    pytester.makepyfile(UNKNOWN_HOSTS)
    done = run("--nbcache=replay", "--nbcache-block-network")
    done.assert_outcomes(failed=9, passed=1)
    hosts = re.findall(r"nbcache.ReplayMiss: a connection to (\S+) was stopped", done.stdout.str())
    assert set(hosts) == {"unknown.example", "203.0.113.7", "2001:db8::7"}
    assert len(hosts) >= 9
    assert (dict(vars(socket.socket)), socket.getaddrinfo, socket.gethostbyname) == before


@pytest.mark.slow
def test_the_network_is_blocked_for_notebooks_too(pytester: pytest.Pytester) -> None:
    cells = (LOAD, "import socket\nsocket.create_connection(('203.0.113.7', 80), 1)")
    notebook(pytester.path / "harbor.ipynb", *cells)
    done = run_notebooks(pytester, "--nbcache=replay", "--nbcache-block-network")
    done.assert_outcomes(passed=1, failed=1)
    assert "a connection to 203.0.113.7 was stopped" in done.stdout.str()


# Notebooks


def notebook(path: Path, *cells: str) -> None:
    built: Any = nbformat.v4
    nbformat.write(built.new_notebook(cells=[built.new_code_cell(cell) for cell in cells]), path)  # type: ignore[no-untyped-call]


def run_notebooks(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess(*_ALONE, "-p", "nbval", "--nbval", "--nbval-current-env", *arguments)


LOAD = "%load_ext nbcache\nfrom asking import ask"


@pytest.mark.slow
def test_each_notebook_plays_the_cassette_beside_it(pytester: pytest.Pytester) -> None:
    for name, texts in {"harbor": ["boat?", "ferry?"], "cats": ["cat?"]}.items():
        where = f"import os; assert os.environ['NBCACHE_NOTEBOOK'] == {str(pytester.path / name)!r} + '.ipynb'"
        notebook(
            pytester.path / f"{name}.ipynb", LOAD, *(f"assert ask({text!r}) == 'at noon'" for text in texts), where
        )
        record(pytester.path / f"{name}.llmcache.jsonl", *texts)
    pytester.makepyfile(
        test_last="""
        import os

        def test_restored():
            assert "NBCACHE_NOTEBOOK" not in os.environ
    """
    )
    done = run_notebooks(pytester, "--nbcache=replay", "--nbcache-strict")
    done.assert_outcomes(passed=8)
    done.stdout.fnmatch_lines("nbcache: 3 hits, 0 misses, 0 recordings unused")


@pytest.mark.slow
def test_hits_that_came_from_a_store_are_told(pytester: pytest.Pytester) -> None:
    cells = (LOAD, "assert ask('boat?') == 'at noon'")
    notebook(pytester.path / "harbor.ipynb", *cells)
    for mode, said in (("on", 0), ("replay", 1)):
        done = run_notebooks(pytester, f"--nbcache={mode}")
        done.assert_outcomes(passed=2)
        assert done.stdout.str().count("nbcache: 1 hit came from a store, where no cassette was") == said
    record(pytester.path / "cats.llmcache.jsonl", "boat?")
    notebook(pytester.path / "cats.ipynb", *cells)
    assert "came from a store" not in run_notebooks(pytester, "--nbcache=replay", "cats.ipynb").stdout.str()


@pytest.mark.slow
def test_without_a_page_to_show_the_panel_there_is_the_summary(pytester: pytest.Pytester) -> None:
    shown = """
        from IPython.utils.capture import capture_output

        with capture_output() as shown:
            get_ipython().run_line_magic("llmcache", "")
        [told] = shown.outputs
        assert ", from harbor.llmcache.jsonl, 1 recording\\n" in told.data["text/plain"]
        assert "application/vnd.jupyter.widget-view+json" not in told.data
    """
    notebook(pytester.path / "harbor.ipynb", LOAD, textwrap.dedent(shown))
    record(pytester.path / "harbor.llmcache.jsonl", "boat?")
    run_notebooks(pytester, "--nbcache=replay").assert_outcomes(passed=2)


@pytest.mark.slow
def test_a_line_taken_out_fails_one_cell_which_names_the_call(pytester: pytest.Pytester) -> None:
    notebook(pytester.path / "harbor.ipynb", LOAD, "ask('boat?')", "ask('When does the ferry come?')", "ask('cat?')")
    cassette = pytester.path / "harbor.llmcache.jsonl"
    record(cassette, "boat?", "When does the ferry come?", "cat?")
    cassette.write_text("".join(line for line in lines(cassette) if "ferry" not in line))
    notebook(pytester.path / "never.ipynb", "'without nbcache'")
    record(pytester.path / "never.llmcache.jsonl", "boat?")
    done = run_notebooks(pytester, "--nbcache=replay", "--nbcache-strict")
    done.assert_outcomes(passed=4, failed=1)
    done.stdout.fnmatch_lines(
        [
            "*ask('When does the ferry come?')",
            "*nothing is sent*'When does the ferry come?' was never recorded*",
            "nbcache: 2 hits, 1 miss, 1 recording unused",
            "  never.llmcache.jsonl: boat?",
            "nbcache: strict: never.llmcache.jsonl was not used at all",
        ]
    )


# Recordings that nobody uses


@pytest.fixture
def some_unused(pytester: pytest.Pytester) -> Path:
    """A test that uses one of eight recordings."""
    pytester.makepyfile(
        test_harbor="""
        from asking import ask

        def test_boat(nbcache_cassette):
            assert ask("boat?") == "at noon"

        def test_other(): ...
    """
    )
    cassette = pytester.path / "test_harbor.llmcache.jsonl"
    record(cassette, "boat?", *(f"old {number}" for number in range(7)))
    return cassette


@pytest.mark.usefixtures("some_unused")
def test_unused_recordings_are_counted_and_five_are_named(run: Run) -> None:
    done = run("--nbcache=replay")
    assert done.ret == pytest.ExitCode.OK
    done.stdout.fnmatch_lines(
        ["nbcache: 1 hit, 0 misses, 7 recordings unused", *["  test_harbor.llmcache.jsonl: old ?"] * 5, "  and 2 more"]
    )
    assert done.stdout.str().count(".jsonl: old") == 5


@pytest.mark.usefixtures("some_unused")
def test_strict_fails_a_run_that_leaves_recordings_unused(run: Run) -> None:
    done = run("--nbcache=replay", "--nbcache-strict")
    done.assert_outcomes(passed=2)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.fnmatch_lines("nbcache: strict: test_harbor.llmcache.jsonl: 7 of 8 recordings not used")


@pytest.mark.usefixtures("some_unused")
@pytest.mark.parametrize("selected", [["-k", "boat"], ["test_harbor.py::test_boat", "asking.py"]])
def test_a_run_of_some_tests_is_not_judged(run: Run, selected: list[str]) -> None:
    done = run("--nbcache=replay", "--nbcache-strict", *selected)
    assert done.ret == pytest.ExitCode.OK
    done.stdout.fnmatch_lines(["nbcache: 1 hit, 0 misses", "nbcache: not all tests were run*"])


def test_strict_fails_where_a_cassette_can_not_be_read(run: Run, some_unused: Path) -> None:
    some_unused.write_text("no recording\n")
    done = run("--nbcache=replay", "--nbcache-strict")
    done.stdout.fnmatch_lines("nbcache: strict: *test_harbor.llmcache.jsonl, line 1 is no recording*")
    assert done.ret == pytest.ExitCode.TESTS_FAILED


# Tests whose calls were never recorded


def test_a_miss_fails_its_test_with_the_line_that_asks_and_the_run_goes_on(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_harbor="""
        from asking import ask

        def test_boat(nbcache_cassette):
            ask("When does the boat come?")

        def test_next(): ...
    """
    )
    done = run("--nbcache=replay")
    done.assert_outcomes(failed=1, passed=1)
    done.stdout.fnmatch_lines(
        [
            ">       ask(*When does the boat come?*)",
            "E *ReplayMiss: *'When does the boat come?' was never recorded*",
            "asking.py:*: ReplayMiss",
            "`pytest --nbcache=on` asks the model, and records what it says",
            "FAILED test_harbor.py::test_boat - *ReplayMiss*",
        ]
    )
    assert "langchain_core" not in done.stdout.str()


def test_a_miss_in_a_fixture_fails_the_tests_that_need_it_and_all_others_are_torn_down(
    run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        test_harbor="""
        import pytest
        from asking import ask, nbcache

        gone = []

        @pytest.fixture(scope="module")
        def cache(tmp_path_factory):
            nbcache.install(tmp_path_factory.mktemp("store"))
            yield
            nbcache.uninstall()

        @pytest.fixture(scope="module")
        def answer(cache):
            return ask("boat?")

        def test_one(answer): ...
        def test_two(answer): ...

        @pytest.fixture
        def other():
            yield
            gone.append("other")

        @pytest.fixture
        def late(cache, other):
            yield
            ask("ferry?")

        def test_three(late): ...

        def test_last():
            assert gone == ["other"]
    """
    )
    done = run("--nbcache=replay")
    done.assert_outcomes(errors=3, passed=2)
    # Only the lines of the tracebacks: how much of it the summary repeats depends on where pytest runs (CI).
    assert len([line for line in done.outlines if line.startswith("E ") and "'boat?' was never recorded" in line]) == 2
    done.stdout.fnmatch_lines("ERROR test_harbor.py::test_three - *ReplayMiss*")


def test_a_test_in_which_a_miss_was_swallowed_fails(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_harbor="""
        import asyncio, contextlib, threading, unittest
        import pytest
        from asking import ask, nbcache

        @pytest.fixture(autouse=True)
        def cache(tmp_path):
            nbcache.install(tmp_path)
            yield
            nbcache.uninstall()

        def quiet():
            with contextlib.suppress(BaseException):
                ask("boat?")

        def test_in_a_block():
            quiet()

        def test_in_a_thread():
            thread = threading.Thread(target=quiet)
            thread.start()
            thread.join()

        def test_and_skipped():
            quiet()
            pytest.skip("no key")

        def test_as_expected():
            with pytest.raises(nbcache.ReplayMiss, match="boat"):
                ask("boat?")
            quiet_batch = lambda: asyncio.run(asyncio.to_thread(lambda: [quiet(), ask("boat?")]))
            with pytest.raises(nbcache.ReplayMiss):
                quiet_batch()

        def test_in_a_group():
            with pytest.RaisesGroup(nbcache.ReplayMiss):
                try:
                    ask("boat?")
                except nbcache.ReplayMiss as miss:
                    raise BaseExceptionGroup("several", [miss]) from None

        def test_and_anything_expected():
            with pytest.raises(BaseException):
                ask("boat?")

        def test_and_failed_as_expected():
            quiet()
            pytest.xfail("no")

        @pytest.fixture
        def ending(cache):
            yield
            quiet()

        def test_at_the_end(ending): ...

        class TestHarbor(unittest.TestCase):
            def test_as_expected(self):
                with self.assertRaises(nbcache.ReplayMiss):
                    ask("boat?")
                with self.assertRaisesRegex(nbcache.ReplayMiss, "boat"):
                    ask("boat?")
                self.assertRaises(nbcache.ReplayMiss, ask, "boat?")

            def test_and_swallowed(self):
                self.assertRaises(nbcache.ReplayMiss, ask, "boat?")
                quiet()

            def test_and_skipped(self):
                quiet()
                self.skipTest("no key")

        def test_another(): ...
    """
    )
    done = run("--nbcache=replay")
    done.assert_outcomes(failed=7, passed=5, errors=1)
    done.stdout.fnmatch_lines("ERROR test_harbor.py::test_at_the_end - *ReplayMiss*")
    done.stdout.fnmatch_lines("FAILED test_harbor.py::test_and_skipped - *ReplayMiss*")


# The fixture


def recorded_tests(pytester: pytest.Pytester, provider: Provider) -> Path:
    pytester.makepyfile(
        test_harbor=f"""
        import pytest
        from langchain_openai import ChatOpenAI

        model = ChatOpenAI(model="gpt-4o-mini", base_url="{provider.url}/v1", api_key="sk-test", max_retries=0)

        @pytest.mark.parametrize("text", ["boat?", "ferry?", "boat?"])
        def test_asks(nbcache_cassette, text):
            assert model.invoke(text).text
    """
    )
    return pytester.path / "test_harbor.llmcache.jsonl"


def test_tests_are_recorded_once_and_replayed_with_no_server(run: Run, pytester: pytest.Pytester) -> None:
    with Provider() as provider:
        cassette = recorded_tests(pytester, provider)
        run("--nbcache=on").assert_outcomes(passed=3)
        assert len(provider.requests) == 2  # the third test asks what the first did
        assert asked(cassette) == ["boat?", "ferry?"]
        recorded = cassette.read_bytes()
        run("--nbcache=on").assert_outcomes(passed=3)
        assert len(provider.requests) == 2
    for arguments in (["--nbcache=replay"], []):
        run(*arguments).assert_outcomes(passed=3)
    assert cassette.read_bytes() == recorded


def test_recording_one_test_keeps_what_others_recorded(run: Run, pytester: pytest.Pytester) -> None:
    with Provider() as provider:
        cassette = recorded_tests(pytester, provider)
        run("--nbcache=on", "-k", "ferry").assert_outcomes(passed=1, deselected=2)
        assert asked(cassette) == ["ferry?"]
        ferry = lines(cassette)
        run("--nbcache=on", "-k", "boat").assert_outcomes(passed=2, deselected=1)
        assert asked(cassette) == ["boat?", "ferry?"]
        assert set(ferry) < set(lines(cassette))


def test_refresh_asks_anew_for_what_is_run_and_keeps_the_rest(run: Run, pytester: pytest.Pytester) -> None:
    with Provider() as provider:
        cassette = recorded_tests(pytester, provider)
        run("--nbcache=on")
        before = lines(cassette)
        provider.answer("another")
        run("--nbcache=refresh", "-k", "ferry").assert_outcomes(passed=1, deselected=2)
        assert len(provider.requests) == 3
        assert asked(cassette) == ["boat?", "ferry?"]
        (anew,) = set(lines(cassette)) - set(before)
        assert "another" in anew


@pytest.mark.parametrize(("mode", "paid"), [("read-only", 1), ("off", 3), ("replay", 0)])
def test_in_other_modes_the_file_stays_as_it_is(run: Run, pytester: pytest.Pytester, mode: str, paid: int) -> None:
    with Provider() as provider:
        cassette = recorded_tests(pytester, provider)
        run("--nbcache=on", "-k", "boat").assert_outcomes(passed=2, deselected=1)
        cassette.write_text("".join([*lines(cassette), "\n"]))
        before = cassette.read_bytes()
        run(f"--nbcache={mode}")
        assert len(provider.requests) == 1 + paid
    assert cassette.read_bytes() == before


def test_a_bound_in_the_environment_drops_nothing_that_was_recorded(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBCACHE_MAX_ENTRIES", "1")
    with Provider() as provider:
        cassette = recorded_tests(pytester, provider)
        run("--nbcache=on").assert_outcomes(passed=3)
    assert asked(cassette) == ["boat?", "ferry?"]


def test_code_that_turns_the_cache_on_itself_plays_the_same_cassette(run: Run, pytester: pytest.Pytester) -> None:
    record(pytester.path / "test_harbor.llmcache.jsonl", "boat?")
    pytester.makepyfile(
        test_harbor="""
        from asking import ask, nbcache

        def test_boat(nbcache_cassette):
            nbcache.install()
            assert ask("boat?") == "at noon"
            assert nbcache.stats().hits == 1

        def test_off_again():
            from nbcache.session import installation
            assert not installation.is_installed()
    """
    )
    done = run("--nbcache=replay")
    done.assert_outcomes(passed=2)
    done.stdout.fnmatch_lines("nbcache: 1 hit, 0 misses, 0 recordings unused")


def test_what_code_keeps_in_a_store_of_its_own_is_not_recorded(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_harbor="""
        from asking import ask, nbcache

        def test_boat(nbcache_cassette, tmp_path):
            ask("boat?")
            nbcache.install(tmp_path)
            ask("private")
    """
    )
    run("--nbcache=on").assert_outcomes(passed=1)
    assert asked(pytester.path / "test_harbor.llmcache.jsonl") == ["boat?"]


def test_what_was_on_before_a_test_is_on_after_it(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_harbor="""
        import pytest
        from asking import ask, nbcache

        @pytest.fixture(scope="module", autouse=True)
        def ours(tmp_path_factory):
            cache = nbcache.install(tmp_path_factory.mktemp("ours"), tags="ours", ttl=900, max_entries=9, exclude="draft")
            ask("boat?")
            yield cache
            nbcache.uninstall()

        def test_within(ours, nbcache_cassette):
            assert nbcache.installed().store is not ours.store
            assert nbcache.installed().settings.mode == "replay"
            nbcache.install(exclude="*", tags="theirs", secrets="x", scope="folder", should_store=lambda _: False)

        def test_after(ours):
            now = nbcache.installed()
            assert (now.store, now.settings, now.max_entries) == (ours.store, ours.settings, 9)
            assert (now.rules.exclude, now.rules.should_store) == (ours.rules.exclude, ours.rules.should_store)
            assert (now.scrubber.patterns, now.scope) == (ours.scrubber.patterns, ours.scope)
            assert not now.recordings.path
            assert ask("boat?") == "at noon"
            assert nbcache.stats().hits == 1
    """
    )
    run().assert_outcomes(passed=2)
    assert not installation.is_installed()


def test_what_a_test_turned_off_stays_off(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_harbor="""
        import pytest
        from asking import nbcache
        from nbcache.session import installation

        @pytest.mark.parametrize("is_on", [True, False])
        def test_off(is_on, request):
            if is_on:
                nbcache.install("memory://")
            request.getfixturevalue("nbcache_cassette")
            nbcache.uninstall()

        def test_after():
            assert not installation.is_installed()
    """
    )
    run("--nbcache=read-only").assert_outcomes(passed=3)  # in replay nothing turns it off


def test_an_answer_with_a_secret_is_not_recorded_and_a_warning_says_so(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfilterwarnings = always")
    with Provider() as provider:
        cassette = recorded_tests(pytester, provider)
        provider.answer("Take sk-" + "Ab1" * 12)
        done = run("--nbcache=on")
    done.assert_outcomes(passed=3, warnings=1)
    done.stdout.fnmatch_lines("*an answer is not recorded in test_harbor.llmcache.jsonl: its answer holds*")
    assert asked(cassette) == ["boat?", "ferry?"]


# What is told at the end


def test_money_is_told_where_it_is_known(run: Run, pytester: pytest.Pytester) -> None:
    with Provider() as provider:
        pytester.makepyfile(
            test_harbor=f"""
            import nbcache
            from langchain_openai import ChatOpenAI

            def test_boat(nbcache_cassette):
                nbcache.install(prices={{"gpt-4o-mini": {{"request": 0.12}}}})
                ChatOpenAI(model="gpt-4o-mini", base_url="{provider.url}/v1", api_key="sk-test").invoke("boat?")
        """
        )
        run("--nbcache=on").stdout.fnmatch_lines("nbcache: 0 hits, 1 miss, paid $0.12")
    run("--nbcache=replay").stdout.fnmatch_lines("nbcache: 1 hit, 0 misses, saved up to $0.12, 0 recordings unused")


def test_a_cache_that_nobody_turns_off_is_told_too(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        from asking import ask, nbcache

        def test_boat():
            nbcache.install("memory://")
            ask("boat?")
    """)
    run("--nbcache=on").stdout.fnmatch_lines("nbcache: 0 hits, 1 miss")


@pytest.mark.slow
def test_what_other_processes_did_is_told_too(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_harbor="""
        import subprocess, sys

        def test_boat(nbcache_cassette):
            code = "from asking import ask, nbcache; nbcache.install(); ask('boat?')"
            subprocess.run([sys.executable, "-c", code], check=True)
    """
    )
    record(pytester.path / "test_harbor.llmcache.jsonl", "boat?")
    run("--nbcache=replay").stdout.fnmatch_lines("nbcache: 1 hit, 0 misses, 0 recordings unused")


@pytest.mark.slow
def test_tests_shared_among_processes_are_told_as_one_run(pytester: pytest.Pytester) -> None:
    for name, text in {"harbor": "boat?", "cats": "cat?"}.items():
        pytester.makepyfile(
            **{
                f"test_{name}": f"""
                from asking import ask

                def test_it(nbcache_cassette):
                    assert ask({text!r}) == "at noon"
            """
            }
        )
        record(pytester.path / f"test_{name}.llmcache.jsonl", text, f"{text} again")
    shared = ("-p", "xdist", "-n", "2", "--nbcache=replay", "--nbcache-strict")
    done = pytester.runpytest_subprocess(*_ALONE, *shared)
    done.assert_outcomes(passed=2)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.fnmatch_lines("nbcache: 2 hits, 0 misses, 2 recordings unused")


# The files by which processes tell what they did


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which it is told."""
    folder = tmp_path / "told"
    folder.mkdir()
    monkeypatch.setenv(REPORT, str(folder))
    return folder


def test_a_cell_that_has_ended_is_told_even_if_the_kernel_is_killed_then(told: Path) -> None:
    cache = nbcache.install("memory://")
    cache.enter_cell("1")
    FakeListChatModel(responses=["a"]).invoke("boat?")
    cache.leave_cell()
    assert session_tally.read_tally(told).sums.misses == 1


def test_a_session_that_is_installed_anew_is_told_once_with_all_that_it_played(told: Path, tmp_path: Path) -> None:
    cassette = tmp_path / "any.llmcache.jsonl"
    record(cassette, "boat?", "ferry?")
    for text in ("boat?", "ferry?"):
        nbcache.install(mode="replay", cassette=cassette)
        FakeListChatModel(responses=["at noon"]).invoke(text)
    nbcache.uninstall()
    found = session_tally.read_tally(told)
    assert (found.sums.hits, found.sums.misses) == (2, 2)  # two were misses when they were recorded
    (played,) = found.cassettes(())
    assert (played.recordings, played.unused) == (2, ())


def test_what_can_not_be_told_disturbs_nobody(told: Path) -> None:
    told.rmdir()
    cache = nbcache.install("memory://")
    FakeListChatModel(responses=["a"]).invoke("boat?")
    cache.flush()
    assert not told.exists()
