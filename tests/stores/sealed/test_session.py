"""Sessions with `NBCACHE_SECRET`: its owners share what they paid, and nobody else does."""

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from langchain_openai import ChatOpenAI

import nbcache
from nbcache import MissingPackageError, NbcacheWarning
from nbcache.costs.events import finish_callbacks
from nbcache.stores import DiskStore, ReadOnly, RedisStore, TieredStore
from nbcache.stores.owners import folder_of
from nbcache.ui.report import where
from tests.servers.provider import Provider
from tests.stores.sealed.conftest import ANOTHER, SECRET

Ask = Callable[..., str]


@pytest.fixture
def ask(provider: Provider) -> Ask:
    """Asks a model, which would answer so now."""

    def asked(prompt: str, answer: str = "an answer") -> str:
        provider.answer_only(answer)
        return ChatOpenAI(model="m", **provider.openai).invoke(prompt).text

    return asked


def begin(
    monkeypatch: pytest.MonkeyPatch, store: str | Path, secret: str | None, notebook: Path | None = None
) -> nbcache.NotebookCache:
    """Begin a session on another machine, with this secret."""
    nbcache.uninstall()
    if secret is None:
        monkeypatch.delenv("NBCACHE_SECRET", raising=False)
    else:
        monkeypatch.setenv("NBCACHE_SECRET", secret)
    return nbcache.install(store, notebook=notebook)


@pytest.fixture(params=["disk", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that several sessions may use."""
    return str(request.getfixturevalue("url")) if request.param == "redis" else str(tmp_path / "store")


def test_who_has_the_secret_shares_the_answers_and_nobody_else_does(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    begin(monkeypatch, place, SECRET)
    assert ask("q", "ours") == "ours"
    for secret, answer in ((None, "unsealed"), (ANOTHER, "theirs")):
        begin(monkeypatch, place, secret)
        assert ask("q", answer) == answer
    for secret, answer in ((SECRET, "ours"), (None, "unsealed"), (ANOTHER, "theirs")):
        cache = begin(monkeypatch, place, secret)
        hits = nbcache.stats().hits
        assert ask("q", "another") == answer
        assert nbcache.stats().hits == hits + 1
        assert ("not sealed with this NBCACHE_SECRET: 2 entries, never a hit" in where(cache)) == (secret is not None)


def test_commands_work_on_sealed_entries(ask: Ask, monkeypatch: pytest.MonkeyPatch, place: str, tmp_path: Path) -> None:
    notebook = tmp_path / "a.ipynb"
    cache = begin(monkeypatch, place, SECRET, notebook)
    ask("the question", "the answer")
    (entry,) = nbcache.installed().contents().entries()
    assert entry.notebooks == (cache.notebook,)
    assert nbcache.show(entry.key[:8]).answer == "the answer"
    assert nbcache.tag("good", model="m").changed == 1
    assert [*nbcache.entries(tag="good")["key"]] == [entry.key]
    assert nbcache.expire("1d", model="m").changed == 1
    assert ask("the question", "another") == "the answer"
    nbcache.export_cassette("made.jsonl")
    assert "the answer" in Path("made.jsonl").read_text()
    assert nbcache.check() == []
    assert nbcache.clear().deleted == 1
    assert nbcache.import_cassette("made.jsonl").new == 1
    assert ask("the question", "another") == "the answer"


def test_a_sealed_answer_is_also_a_hit_from_memory_until_it_expires(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    begin(monkeypatch, place, SECRET)
    ask("q", "first")
    assert [ask("q", "another") for _ in range(3)] == ["first"] * 3
    nbcache.expire("0.001s", model="m")
    assert ask("q", "second") == "second"


def test_a_planted_entry_is_a_miss_with_a_warning_and_the_answer_takes_its_place(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begin(monkeypatch, tmp_path / "store", SECRET)
    ask("q", "ours")
    nbcache.uninstall()
    operator = DiskStore(tmp_path / "store")
    (entry,) = operator.page()
    operator.put(entry.key, b"NBC planted", entry)
    operator.close()
    begin(monkeypatch, tmp_path / "store", SECRET)
    with pytest.warns(NbcacheWarning, match="is not sealed"):
        assert ask("q", "paid again") == "paid again"
    assert ask("q", "another") == "paid again"


def test_a_folders_owners_and_evictions_are_those_of_any_folder(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone: list[str | None] = []
    cache = begin(monkeypatch, tmp_path / ".nbcache", SECRET, tmp_path / "a.ipynb")
    assert (cache.notebook, folder_of(cache.store)) == ("a.ipynb", tmp_path / ".nbcache")
    ask("q0")
    (first,) = nbcache.installed().contents().entries()
    nbcache.install(tmp_path / ".nbcache", max_entries=1)
    nbcache.on("evict")(lambda event: gone.append(event.key))
    ask("q1")
    finish_callbacks()
    assert gone == [first.key]


def test_a_wrong_secret_or_a_missing_package_raises_at_install_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="NBCACHE_SECRET has fewer than 16 characters"):
        begin(monkeypatch, tmp_path / "store", "hunter2")
    with monkeypatch.context() as patch:
        patch.setitem(__import__("sys").modules, "cryptography.hazmat.primitives.ciphers", None)
        with pytest.raises(MissingPackageError, match=r'pip install "nbcache\[encrypt\]"'):
            begin(monkeypatch, tmp_path / "store", SECRET)
    assert nbcache.install.__module__ == "nbcache"
    with pytest.raises(nbcache.NotInstalledError):
        nbcache.installed()


def test_the_variable_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        begin(monkeypatch, tmp_path / "store", SECRET)


def test_the_secret_is_in_nothing_that_is_shown(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(monkeypatch, place, SECRET)
    ask("q")
    shell = InteractiveShell.instance()
    nbcache.load_ipython_extension(shell)
    try:
        for command in ("where", "stats", "ls", "check", "why", "plan"):
            shell.run_line_magic("llmcache", command)
    finally:
        nbcache.unload_ipython_extension(shell)
        InteractiveShell.clear_instance()
    shown = capsys.readouterr()
    assert "(sealed)" in shown.out
    assert SECRET not in shown.out + shown.err


def test_of_tiers_a_first_folder_is_not_sealed_and_those_behind_it_are(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, url: str, tmp_path: Path
) -> None:
    cache = begin(monkeypatch, f"{tmp_path / 'ann'}, {url}", SECRET)
    assert ask("the question", "ours") == "ours"
    assert isinstance(cache.store, TieredStore)
    cache.store.flush(10.0)
    assert where(cache).splitlines()[0] == f"store: {tmp_path / 'ann'}, {cache.store.tiers[1].url}"
    assert cache.store.tiers[1].url.endswith("(sealed)")
    (entry,) = cache.contents("folder").entries()
    assert entry.prompt == "the question"
    cache = begin(monkeypatch, f"{tmp_path / 'bob'}, {url}", SECRET)
    hits = nbcache.stats().hits
    assert ask("the question", "another") == "ours"
    assert nbcache.stats().hits == hits + 1
    assert isinstance(cache.store, TieredStore)
    cache.store.flush(10.0)
    (entry,) = cache.contents("folder").entries()  # a copy in Bob's folder, with its previews
    assert (entry.prompt, entry.answer) == ("the question", "ours")
    begin(monkeypatch, url, None)
    assert ask("the question", "unsealed") == "unsealed"


def test_of_a_store_with_tiers_the_first_folder_is_not_sealed_either(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, url: str, tmp_path: Path
) -> None:
    begin(monkeypatch, url, SECRET)
    ask("q", "ours")
    nbcache.uninstall()
    cache = nbcache.install(TieredStore([DiskStore(tmp_path / "own"), ReadOnly(RedisStore(url))]))
    assert ask("q", "another") == "ours"
    assert isinstance(cache.store, TieredStore)
    assert [name.endswith("(sealed):ro") for name in cache.store.names] == [False, True]


def test_a_read_only_tier_is_sealed_too(ask: Ask, monkeypatch: pytest.MonkeyPatch, url: str, tmp_path: Path) -> None:
    begin(monkeypatch, url, SECRET)
    ask("q", "ours")
    begin(monkeypatch, f"{tmp_path / 'own'}, {url}:ro", SECRET)
    assert ask("q", "another") == "ours"
