"""A session on a store in tiers: calls, magics and worker processes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from langchain_core.language_models import FakeListChatModel

import nbcache
from nbcache.stores import DiskStore, RedisStore, TieredStore
from nbcache.ui import report
from nbcache.ui.panel.board import Board
from tests.servers.redis_server import RedisServer, free_port


def model(*answers: str) -> FakeListChatModel:
    return FakeListChatModel(responses=list(answers or ("one", "two", "three")))


@pytest.fixture
def url(server: RedisServer, prefix: str) -> str:
    return server.url(prefix)


def begin(monkeypatch: pytest.MonkeyPatch, name: str, url: str, folder: Path) -> nbcache.NotebookCache:
    """Begin the session of somebody, on a machine of her own."""
    nbcache.uninstall()
    monkeypatch.setenv("NBCACHE_OWNER", name)
    (folder / name).mkdir(exist_ok=True)
    return nbcache.install(store=[folder / name / ".nbcache", url], notebook=folder / name / "a.ipynb")


def test_what_one_has_paid_is_a_hit_for_the_others_and_then_without_the_server(
    monkeypatch: pytest.MonkeyPatch, url: str, tmp_path: Path
) -> None:
    begin(monkeypatch, "ann", url, tmp_path)
    paid = model().invoke("q").content
    nbcache.flush()
    begin(monkeypatch, "bob", url, tmp_path)
    llm = model()
    assert [llm.invoke("q").content for _ in range(3)] == [paid] * 3
    assert (nbcache.stats().hits, nbcache.stats().misses) == (3, 0)
    nbcache.uninstall()
    nbcache.install(store=tmp_path / "bob" / ".nbcache")
    assert model().invoke("q").content == paid
    assert nbcache.stats().hits == 1


def test_which_tier_answered_is_known(
    monkeypatch: pytest.MonkeyPatch, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(monkeypatch, "ann", url, tmp_path)
    for question in ("q1", "q2"):
        model().invoke(question)
    nbcache.flush()
    store = begin(monkeypatch, "bob", url, tmp_path).store
    assert isinstance(store, TieredStore)
    near, far = store.names
    made = model().invoke("bob's")
    answers = [model().invoke(question) for question in ("q1", "q2", "bob's", "bob's")]
    assert nbcache.stats().by_tier == {far: 2, near: 2}
    infos = [nbcache.info(answer) for answer in (made, *answers)]
    assert [info and info.tier for info in infos] == [None, far, far, near, near]
    assert nbcache.stats(lifetime=True).by_tier == {}
    lines = dict(report.stats_lines(nbcache.stats(), store))
    assert lines["tiers"].startswith("hits of ")
    assert f"{far} (2)" in lines["tiers"]
    assert f"{far} (2)" in Board(nbcache.installed()).state()["tiers"]
    assert capsys.readouterr().err == ""


def test_an_answer_that_the_nearest_tier_has_by_now_is_its_own(
    monkeypatch: pytest.MonkeyPatch, url: str, tmp_path: Path
) -> None:
    begin(monkeypatch, "ann", url, tmp_path)
    model().invoke("q")
    nbcache.flush()
    store = begin(monkeypatch, "bob", url, tmp_path).store
    assert isinstance(store, TieredStore)
    near, far = store.names
    model().invoke("q")
    nbcache.flush()
    for _ in range(4):  # the first one is read there, and the others are in memory
        model().invoke("q")
    assert nbcache.stats().by_tier == {far: 1, near: 4}


def test_with_one_tier_nothing_is_said_of_tiers(tmp_path: Path) -> None:
    cache = nbcache.install(tmp_path)
    answer = [model().invoke("q") for _ in range(2)][1]
    info = nbcache.info(answer)
    assert info is not None
    assert info.hit
    assert info.tier is None
    assert nbcache.stats().by_tier == {}
    assert "tiers" not in dict(report.stats_lines(nbcache.stats(), cache.store))


def test_a_class_reads_the_teachers_answers_and_writes_its_own(tmp_path: Path) -> None:
    course = tmp_path / "course" / ".nbcache"
    nbcache.install(course)
    paid = model().invoke("q").content
    nbcache.uninstall()
    before = {path: path.read_bytes() for path in course.iterdir() if path.is_file()}
    nbcache.install(store=f"{tmp_path}/own, {course}:ro")
    assert model().invoke("q").content == paid
    assert nbcache.stats().hits == 1
    model().invoke("mine")
    nbcache.flush()
    cleared = nbcache.clear(scope="folder")
    assert cleared.deleted == 2
    said = report.cleared(cleared, nbcache.installed().store, dry_run=False)
    assert said.endswith("course/.nbcache:ro has of them stays there, and is a hit")
    assert model().invoke("q").content == paid
    assert nbcache.stats().hits == 2  # what is the teacher's was not cleared
    nbcache.uninstall()
    assert {path: path.read_bytes() for path in course.iterdir() if path.is_file()} == before


def test_a_folder_that_is_only_read_and_is_not_there_is_warned_of_once(tmp_path: Path) -> None:
    nbcache.install(store=f"{tmp_path}/own, {tmp_path}/course/.nbcache:ro")
    with pytest.warns(nbcache.NbcacheWarning, match="course") as warned:
        answers = model().batch(["q1", "q2", "q3"])
    assert len(answers) == 3
    assert len(warned) == 1
    assert not (tmp_path / "course").exists()


def answers_on(store: str) -> list[object]:
    """The answers to one call twice."""
    nbcache.install(store)
    answers = [model("right").invoke("q").content for _ in range(2)]
    nbcache.installed().leave_cell()
    return list(answers)


@pytest.mark.parametrize("is_read_only", [True, False])
def test_a_silent_server_is_warned_of_once_and_calls_go_on_with_the_folder(is_read_only: bool, tmp_path: Path) -> None:
    silent = f"redis://127.0.0.1:{free_port()}" + is_read_only * ":ro"
    with pytest.warns(nbcache.NbcacheWarning, match="Calls go on with the other tiers") as warned:
        answers = answers_on(f"{tmp_path}/own, {silent}")
    assert answers == ["right", "right"]
    assert nbcache.stats().hits == 1
    assert len(warned) == 1
    assert "without the cache" not in str(warned[0].message)


def test_servers_that_are_all_silent_leave_no_tier_to_go_on_with() -> None:
    with pytest.warns(nbcache.NbcacheWarning, match="goes on without the cache"):
        nbcache.install(store=", ".join(f"redis://127.0.0.1:{free_port()}" for _ in range(2)))


@pytest.mark.parametrize("is_read_only", [True, False])
def test_what_a_server_misses_is_promised_only_where_it_is_written(
    is_read_only: bool, own_server: RedisServer, tmp_path: Path
) -> None:
    nbcache.install(store=f"{tmp_path}/own, {own_server.url()}" + is_read_only * ":ro")
    own_server.stop()
    with pytest.warns(nbcache.NbcacheWarning, match="calls go on with the other tiers") as warned:
        model("right").batch(["q"])
    nbcache.uninstall()
    assert ("when it works again" in str(warned[0].message)) is not is_read_only


def test_each_clears_what_is_hers_alone(monkeypatch: pytest.MonkeyPatch, url: str, tmp_path: Path) -> None:
    for name in ("ann", "bob"):
        begin(monkeypatch, name, url, tmp_path)
        model().invoke("shared")
        model().invoke(f"of {name}")
        nbcache.flush()
    assert nbcache.clear().deleted == 2
    far = RedisStore(url)
    assert sorted(row.prompt for row in far.page()) == ["of ann", "shared"]
    assert {owner.partition(":")[0] for row in far.page() for owner in row.notebooks} == {"ann"}
    far.close()


def test_where_the_notebook_is_not_known_the_owner_is_the_user(
    monkeypatch: pytest.MonkeyPatch, url: str, tmp_path: Path
) -> None:
    cache = nbcache.install(store=[tmp_path / ".nbcache", url])
    assert (cache.notebook, cache.scope) == ("ann", "notebook")
    model().invoke("q")
    nbcache.flush()
    far = RedisStore(url)
    assert far.page()[0].notebooks == ("ann",)
    far.touch([])
    far.close()
    assert nbcache.clear().deleted == 1


async def test_an_answer_of_the_server_is_found_on_an_event_loop(
    monkeypatch: pytest.MonkeyPatch, url: str, tmp_path: Path
) -> None:
    begin(monkeypatch, "ann", url, tmp_path)
    paid = (await model().ainvoke("q")).content
    nbcache.flush()
    begin(monkeypatch, "bob", url, tmp_path)
    llm = model()
    assert {(await llm.ainvoke("q")).content for _ in range(5)} == {paid}


def test_worker_processes_have_the_same_tiers(url: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"""
import multiprocessing, sys
from langchain_core.language_models import FakeListChatModel
import nbcache
def call(number):
    return FakeListChatModel(responses=[str(number)]).invoke(f"q {{number}}").content
if __name__ == "__main__":
    nbcache.install(store=[{str(tmp_path / ".nbcache")!r}, {url!r}])
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(call, range(4)) == list("0123")
            pool.close()
            pool.join()
        assert nbcache.stats().misses == 4, nbcache.stats()
""")
    subprocess.run([sys.executable, script], check=True)
    far, near = RedisStore(url), DiskStore(tmp_path / ".nbcache")
    assert len(near.page()) == len(far.page()) == 4
    for each in (far, near):
        each.close()


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    made = InteractiveShell.instance()
    made.run_line_magic("load_ext", "nbcache")
    yield made
    made.run_line_magic("unload_ext", "nbcache")
    InteractiveShell.clear_instance()


def test_the_magic_turns_tiers_on_and_where_names_them(
    shell: InteractiveShell, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run_line_magic("llmcache", f'on --store "{tmp_path}/.nbcache, {url}"')
    store = nbcache.installed().store
    assert isinstance(store, TieredStore)
    capsys.readouterr()
    shell.run_line_magic("llmcache", "where")
    printed = capsys.readouterr().out
    assert f"store: {tmp_path}/.nbcache, {store.tiers[1].url}\n" in printed
    shell.run_line_magic("config", f'NBCache.store = ["{tmp_path}/other", "{url}:ro"]')
    assert nbcache.installed().store.url == f"disk://{tmp_path}/other, {store.tiers[1].url}:ro"


@pytest.mark.parametrize("tiers", ["disk, redis://:hunter2@lab/0", "redis://:hunter2@lab/0:ro, memory://"])
def test_a_password_in_any_tier_is_refused_where_jupyter_would_save_it(
    shell: InteractiveShell, caplog: pytest.LogCaptureFixture, tiers: str
) -> None:
    before = nbcache.installed().store.url
    with pytest.raises(UsageError, match="NBCACHE_REDIS_PASSWORD") as raised:
        shell.run_line_magic("llmcache", f'on --store "{tiers}"')
    assert "hunter2" not in str(raised.value)
    for value in (tiers, tiers.split(", ")):
        caplog.clear()
        shell.run_line_magic("config", f"NBCache.store = {value!r}")  # it shows what is raised
        assert "NBCACHE_REDIS_PASSWORD" in caplog.text
        assert "hunter2" not in caplog.text
    assert nbcache.installed().store.url == before


def test_a_cell_that_ends_has_sent_its_answers(
    shell: InteractiveShell, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbcache.cache.session_end._SENT_WITHIN", 30.0)
    shell.run_line_magic("llmcache", f'on --store "{tmp_path}/.nbcache, {url}"')
    shell.run_cell("from langchain_core.language_models import FakeListChatModel as F\nF(responses=['a']).invoke('q')")  # type: ignore[no-untyped-call]
    far = RedisStore(url)
    assert [row.prompt for row in far.page()] == ["q"]
    far.close()
