"""A warning names the user's own line, wherever in the libraries it comes from."""

import logging
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from langchain_core.runnables import RunnableLambda

from nbcache.concurrency.user_frames import users_line
from nbcache.errors import NbcacheWarning, warn_once

WARN = "from nbcache.errors import warn_once\n\n\ndef work():\n    warn_once('c', 'nbcache: it rains')\n\n\n"


def test_the_line_is_the_users_and_not_a_librarys() -> None:
    with pytest.warns(NbcacheWarning) as caught:
        RunnableLambda(partial(warn_once, "a cause")).invoke("nbcache: it rains")
    assert caught[0].filename == __file__


def test_a_thread_in_which_no_line_of_the_user_runs_warns_of_no_line(recwarn: pytest.WarningsRecorder) -> None:
    with ThreadPoolExecutor() as threads:
        threads.submit(warn_once, "a cause", "nbcache: it rains").result()
        assert threads.submit(users_line).result() is None
    assert [(each.filename, str(each.message)) for each in recwarn] == [("<nbcache>", "nbcache: it rains")]


def test_a_thread_of_the_users_own_has_its_line() -> None:
    files: list[object] = []
    thread = threading.Thread(target=lambda: files.append((users_line() or ("",))[0]))
    thread.start()
    thread.join()
    assert files == [__file__]


def run(folder: Path, *options: str) -> str:
    """What a script that is warned prints on stderr."""
    script = folder / "script.py"
    script.write_text(f"{WARN}work()\nwork()\n")
    done = subprocess.run([sys.executable, *options, str(script)], capture_output=True, text=True, check=True)
    return done.stderr.replace(f"{folder}/", "")


def test_a_script_shows_the_message_once_and_no_line_of_nbcache(tmp_path: Path) -> None:
    assert run(tmp_path) == ("script.py:5: NbcacheWarning: nbcache: it rains\n  warn_once('c', 'nbcache: it rains')\n")


def test_where_warnings_are_errors_the_call_goes_on_and_the_message_is_shown(tmp_path: Path) -> None:
    assert run(tmp_path, "-W", "error") == "nbcache: it rains\n"


def test_pytest_names_the_line_of_the_test(tmp_path: Path) -> None:
    test = tmp_path / "test_it.py"
    test.write_text(f"{WARN}def test_it():\n    work()\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(test)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert "test_it.py:5: NbcacheWarning: nbcache: it rains" in told
    assert "nbcache/errors.py" not in told


def test_warnings_are_filtered_by_the_name_of_the_package(recwarn: pytest.WarningsRecorder) -> None:
    warnings.filterwarnings("ignore", module="nbcache")
    warn_once("a cause", "nbcache: it rains")
    assert not recwarn.list


def test_a_warning_that_is_an_error_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        warn_once("a cause", "nbcache: it rains")
    assert caplog.messages == ["nbcache: it rains"]
