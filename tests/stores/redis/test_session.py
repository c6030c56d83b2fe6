"""A session on a server's store: calls are shared, owners are users with their notebooks, and no failure stops a call."""

import asyncio
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from langchain_core.language_models import FakeListChatModel

import nbcache
from nbcache import NbcacheWarning
from nbcache.errors import forget_warnings
from nbcache.stores import RedisStore
from tests.servers.redis_server import RedisServer, program


def model(*answers: str) -> FakeListChatModel:
    return FakeListChatModel(responses=list(answers or ("one", "two", "three")))


@pytest.fixture
def url(server: RedisServer, prefix: str) -> str:
    return server.url(prefix)


def as_user(
    monkeypatch: pytest.MonkeyPatch, name: str, store: str, notebook: Path | None = None
) -> nbcache.NotebookCache:
    """Begin a session of somebody else, on another machine."""
    nbcache.uninstall()
    monkeypatch.setenv("NBCACHE_OWNER", name)
    return nbcache.install(store, notebook=notebook)


def test_what_one_has_paid_is_a_hit_for_the_others(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    as_user(monkeypatch, "ann", url)
    paid = model().invoke("q").content
    as_user(monkeypatch, "bob", url)
    before = nbcache.stats().hits
    llm = model()
    assert [llm.invoke("q").content for _ in range(3)] == [paid] * 3
    assert nbcache.stats().hits - before == 3


async def test_an_answer_is_found_on_an_event_loop(url: str) -> None:
    nbcache.install(url)
    llm = model()
    paid = (await llm.ainvoke("q")).content
    answers = await asyncio.gather(*(llm.ainvoke("q") for _ in range(20)))
    assert {answer.content for answer in answers} == {paid}
    assert nbcache.stats().hits == 20


def test_two_users_notebooks_of_one_name_are_two(monkeypatch: pytest.MonkeyPatch, url: str, tmp_path: Path) -> None:
    notebook = tmp_path / "analysis.ipynb"
    for name in ("ann", "bob"):
        cache = as_user(monkeypatch, name, url, notebook)
        assert cache.notebook is not None
        assert cache.notebook.startswith(f"{name}:")
        assert cache.notebook.endswith("analysis.ipynb")
        model().invoke("shared")
        model().invoke(f"of {name}")
    done = nbcache.clear()
    assert (done.deleted, done.kept) == (1, 1)
    as_user(monkeypatch, "ann", url, notebook)
    assert len(nbcache.entries()) == 2


def test_where_the_notebook_is_not_known_a_clear_spares_what_others_own(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    as_user(monkeypatch, "ann", url)
    model().invoke("hers")
    cache = as_user(monkeypatch, "bob", url)
    assert (cache.notebook, cache.scope) == ("bob", "notebook")
    model().invoke("his")
    assert nbcache.clear().deleted == 1
    assert nbcache.clear(scope="folder", dry_run=True).deleted == 1


def test_without_a_name_in_the_environment_the_owner_is_the_user(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "carol")
    assert nbcache.install(url).notebook == "carol"


def test_a_call_runs_while_the_server_is_down_and_one_warning_says_so(
    monkeypatch: pytest.MonkeyPatch, own_server: RedisServer
) -> None:
    monkeypatch.setenv("NBCACHE_OWNER", "ann")
    nbcache.install(own_server.url())
    model("kept").invoke("q")
    own_server.stop()
    with pytest.warns(NbcacheWarning, match="does not answer") as warned:
        answers = model("made").batch([f"q{number}" for number in range(5)])
    assert [answer.content for answer in answers] == ["made"] * 5
    assert len([each for each in warned if issubclass(each.category, NbcacheWarning)]) == 1
    own_server.start()


def test_a_server_that_is_silent_at_install_is_warned_of_once(own_server: RedisServer) -> None:
    own_server.stop()
    with pytest.warns(NbcacheWarning, match="does not answer") as warned:
        nbcache.install(own_server.url())
    assert model("made").invoke("q").content == "made"  # another warning would be an error
    assert len(warned) == 1


def test_a_refused_password_raises_at_install_and_leaves_the_cache_off() -> None:
    with RedisServer(program(), "--requirepass", "hunter2") as guarded:
        with pytest.raises(ValueError, match="NBCACHE_REDIS_PASSWORD"):
            nbcache.install(guarded.url())
        with pytest.raises(nbcache.NotInstalledError):
            nbcache.installed()


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    made = InteractiveShell.instance()
    made.run_line_magic("load_ext", "nbcache")
    yield made
    made.run_line_magic("unload_ext", "nbcache")
    InteractiveShell.clear_instance()


def test_the_magic_turns_it_on_and_where_says_it(
    shell: InteractiveShell, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NBCACHE_OWNER", "ann")
    shell.run_line_magic("llmcache", f"on --store '{url}'")
    assert isinstance(nbcache.installed().store, RedisStore)
    capsys.readouterr()
    shell.run_line_magic("llmcache", "where")
    printed = capsys.readouterr().out
    assert nbcache.installed().store.url in printed
    assert "owner: ann" in printed
    assert nbcache.installed().scope == "notebook"  # although the store of before was a folder without a notebook


def test_a_clear_by_the_magic_spares_what_others_own(
    shell: InteractiveShell, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_user(monkeypatch, "ann", url)
    model().invoke("hers")
    nbcache.uninstall()
    monkeypatch.setenv("NBCACHE_OWNER", "bob")
    shell.run_line_magic("llmcache", f"on --store '{url}'")
    model().invoke("his")
    shell.run_line_magic("llmcache", "clear")
    assert len(nbcache.entries(scope="folder")) == 1


@pytest.mark.parametrize("place", ["{}", "memory://, {}"])
def test_everybodys_entries_are_cleared_by_the_magic_only_where_one_says_yes(
    shell: InteractiveShell, url: str, place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    as_user(monkeypatch, "ann", url)
    model().invoke("hers")
    nbcache.uninstall()
    monkeypatch.setenv("NBCACHE_OWNER", "bob")
    shell.run_line_magic("llmcache", f"on --store '{place.format(url)}'")
    model().invoke("hers")
    with pytest.raises(UsageError, match=r"deletes 1 entry .* of everybody who uses .* add `--yes`"):
        shell.run_line_magic("llmcache", "clear --scope store")
    assert len(nbcache.entries(scope="store")) == 1
    shell.run_line_magic("llmcache", "clear --scope store --dry-run")
    assert "would delete 1 entry" in capsys.readouterr().out
    shell.run_line_magic("llmcache", "clear --scope store --yes")
    assert len(nbcache.entries(scope="store")) == 0
    shell.run_line_magic("llmcache", "clear --scope store")  # nothing to lose


def test_a_url_with_a_password_is_refused_where_jupyter_would_save_it(
    shell: InteractiveShell, caplog: pytest.LogCaptureFixture
) -> None:
    before = nbcache.installed().store.url
    with pytest.raises(UsageError, match="NBCACHE_REDIS_PASSWORD") as raised:
        shell.run_line_magic("llmcache", "on --store redis://:hunter2@lab/0")
    assert "hunter2" not in str(raised.value)
    shell.run_line_magic("config", "NBCache.store = 'redis://a:hunter2@lab/0'")  # it shows what is raised
    assert "NBCACHE_REDIS_PASSWORD" in caplog.text
    assert "hunter2" not in caplog.text
    assert nbcache.installed().store.url == before


def test_a_missing_package_is_an_error_that_says_what_to_type(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    with pytest.raises(UsageError, match=r"nbcache\[redis\]"):
        shell.run_line_magic("llmcache", "on --store redis://lab/0")


def test_a_warning_as_an_error_costs_no_answer(own_server: RedisServer) -> None:
    own_server.stop()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        forget_warnings()
        nbcache.install(own_server.url())
        assert model("made").invoke("q").content == "made"
