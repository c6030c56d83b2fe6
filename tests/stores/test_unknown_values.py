"""A filter that selects nothing says which of its values no entry has, and which there are."""

import json
from pathlib import Path
from typing import Any

import openai
import pytest
from IPython.core.interactiveshell import InteractiveShell
from langchain_openai import ChatOpenAI

import nbcache
from nbcache.ui.cli.main import main
from tests.servers.provider import Provider
from tests.servers.wire import ask

OPNAI = "no entry has the client 'opnai'; there are: langchain, openai; did you mean openai?"


@pytest.fixture(params=["disk", "memory"])
def called(request: pytest.FixtureRequest, provider: Provider, tmp_path: Path) -> None:
    """A call of LangChain's and one of an SDK, the latter with a tag."""
    nbcache.install(tmp_path / ".nbcache" if request.param == "disk" else "memory://")
    ChatOpenAI(model="gpt-4o-mini", **provider.openai).invoke("one")
    with nbcache.mode(tags="draft"):
        ask(openai.OpenAI(**provider.openai))


@pytest.mark.parametrize(
    ("which", "says"),
    [
        ({"client": "opnai"}, OPNAI),
        ({"client": "OpenAI"}, "did you mean openai?"),
        ({"client": "zzz"}, "there are: langchain, openai"),
        ({"model": "gpt-4o-mimi"}, "no entry has the model 'gpt-4o-mimi'; there is: gpt-4o-mini; did you mean gpt-4o-mini?"),
        ({"tag": "drft"}, "no entry has the tag 'drft'; there is: draft; did you mean draft?"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("called")
def test_python_warns_of_a_value_that_no_entry_has(which: dict[str, Any], says: str) -> None:
    with pytest.warns(nbcache.NbcacheWarning) as caught:
        _list_and_clear(which)
    assert [says in str(warning.message) for warning in caught] == [True]  # once for both


def _list_and_clear(which: dict[str, Any]) -> None:
    assert nbcache.entries(**which).empty
    assert nbcache.clear(**which).deleted == 0


@pytest.mark.usefixtures("called")
def test_a_status_that_no_entry_has_is_named_and_one_that_none_can_have_is_refused() -> None:
    with pytest.warns(nbcache.NbcacheWarning, match="no entry has the status 'empty'; there is: ok"):
        nbcache.entries(status="empty")
    with pytest.raises(ValueError, match="status='okk': write one of ok, cut off, filtered, empty, unfinished"):
        nbcache.entries(status="okk")


@pytest.mark.usefixtures("called")
def test_nothing_is_said_of_values_that_entries_have() -> None:
    assert nbcache.entries(client="langchain", tag="draft").empty  # each of them is there, though not together
    assert nbcache.clear(client="openai").deleted == 1
    assert nbcache.clear().deleted == 1
    assert nbcache.entries(client="opnai").empty  # and where there are no entries


@pytest.mark.parametrize("called", ["disk"], indirect=True)
@pytest.mark.usefixtures("called")
def test_magics_say_it_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    shell = InteractiveShell()  # type: ignore[no-untyped-call]
    shell.run_line_magic("load_ext", "nbcache")
    for line in ("ls --client opnai", "clear --client opnai", "clear --dry-run --client opnai", "ls --client opnai"):
        capsys.readouterr()
        shell.run_line_magic("llmcache", line)
        assert OPNAI in capsys.readouterr().out
    shell.run_line_magic("unload_ext", "nbcache")


@pytest.mark.parametrize("called", ["disk"], indirect=True)
@pytest.mark.usefixtures("called")
def test_the_command_line_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    nbcache.uninstall()
    for words in (["ls"], ["clear", "--yes"], ["ls", "--match", "one"]):
        assert main([*words, "--client", "opnai"]) == 0
        assert capsys.readouterr().err == f"nbcache: {OPNAI}\n"
    assert main(["ls", "--client", "opnai", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_it_is_about_the_notebooks_own_entries(provider: Provider, tmp_path: Path) -> None:
    for name, call in (("a.ipynb", ChatOpenAI(model="gpt-4o-mini", **provider.openai).invoke), ("b.ipynb", None)):
        nbcache.install(tmp_path / "store", notebook=tmp_path / name)
        if call is not None:
            call("one")
        else:
            ask(openai.OpenAI(**provider.openai))
    with pytest.warns(
        nbcache.NbcacheWarning, match=r"no entry of b\.ipynb has the client 'langchain'; there is: openai$"
    ):
        nbcache.entries(client="langchain")
