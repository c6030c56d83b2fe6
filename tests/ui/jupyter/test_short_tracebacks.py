"""Errors that a call of nbcache raises end at the user's line in a notebook; all other errors are shown as ever."""

import signal
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.ui.jupyter.test_magics import execute, loaded, run, shell  # noqa: F401 - fixtures


@pytest.fixture
def shown(
    shell: InteractiveShell,  # noqa: F811
    loaded: Callable[..., str],  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> Callable[[str], str]:
    """Run a cell that fails; what it printed."""
    loaded("import nbcache")
    loaded("%colors nocolor")

    def run_it(source: str) -> str:
        capsys.readouterr()
        assert not execute(shell, source).success
        return capsys.readouterr().out

    return run_it


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nbcache.evict('zzz')", "UnknownKeyError: 'zzz' is no key"),
        ("nbcache.install(ttl='7 parsecs')", "ValueError: ttl='7 parsecs': write a number of seconds"),
        ("nbcache.install(tll='7d')", "TypeError: nbcache.install has no argument 'tll': write ttl"),
        ("nbcache.import_cassette('no-such')", "CassetteError: there is no file no-such"),
        ("await nbcache.awarm(5, [1])", "TypeError: nbcache.warm: int can't be called"),
        ("def mine():\n    return nbcache.show('abcd')\nmine()", "UnknownKeyError: no entry has a key"),
    ],
)
def test_an_error_of_a_call_ends_at_the_users_line(source: str, message: str, shown: Callable[[str], str]) -> None:
    told = shown(source)
    assert message in told
    assert f"> {'1' if len(source.splitlines()) == 1 else '2'} " in told
    assert "nbcache/" not in told


def test_an_interrupt_of_a_call_ends_at_the_users_line(
    shown: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt = partial(signal.default_int_handler, signal.SIGINT, None)  # in a frame of nbcache, as it has none itself
    monkeypatch.setattr("nbcache.session.warming.run.copy_context", interrupt)
    told = shown("nbcache.warm(len, [1, 2], progress=False)")
    assert "KeyboardInterrupt" in told
    assert "> 1 nbcache.warm" in told
    assert "nbcache/" not in told


@pytest.mark.parametrize(
    "source",
    [
        "int('x')",
        "def mine(): raise ValueError('mine')\nmine()",
        "import json\njson.loads('{')",
        "@nbcache.memoize\ndef mine(): raise ValueError('mine')\nmine()",
        "raise KeyboardInterrupt",
    ],
)
def test_errors_of_the_users_own_are_shown_as_without_nbcache(
    source: str,
    shell: InteractiveShell,  # noqa: F811
    shown: Callable[[str], str],
) -> None:
    told = shown(source)
    shell.set_custom_exc((), None)  # type: ignore[no-untyped-call]
    assert shown(source) == told


def test_a_fault_of_nbcache_is_shown_whole(shown: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise AttributeError("a fault")

    monkeypatch.setattr("nbcache.stores.view.Contents.read", fails)
    assert "nbcache/session/api.py" in shown("nbcache.show('abcd')")


def test_the_verbose_mode_shows_what_lies_below(loaded: Callable[..., str], shown: Callable[[str], str]) -> None:  # noqa: F811
    loaded("%xmode Verbose")
    assert "nbcache/session/api.py" in shown("nbcache.evict('zzz')")


def test_another_handler_of_errors_stays(
    shell: InteractiveShell,  # noqa: F811
    run: Callable[..., str],  # noqa: F811
) -> None:
    theirs: list[object] = []
    shell.set_custom_exc((ValueError,), lambda *given, **_: theirs.append(given[2]))  # type: ignore[no-untyped-call]
    run("%load_ext nbcache\nimport nbcache")
    execute(shell, "nbcache.install(ttl='x')")
    run("%unload_ext nbcache")
    execute(shell, "int('x')")
    assert len(theirs) == 2
