"""What `%llmcache` tells of money and time in a real shell, and whose settings hold."""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from langchain_openai import ChatOpenAI
from traitlets.config import Config

import nbcache
from nbcache.session import installation
from nbcache.ui.jupyter import html
from nbcache.ui.panel.board import Board
from tests.servers import canned as c
from tests.servers.canned import Canned
from tests.servers.provider import Answer, Provider
from tests.ui.jupyter.test_magics import execute, loaded, run, shell  # noqa: F401 - fixtures

Run = Callable[..., str]
PRICES = "%config NBCache.prices = {'m': {'input': 2, 'output': 8}}"  # 1,000 tokens in and 500 out are $0.006


@pytest.fixture
def server(shell: InteractiveShell) -> Iterator[Canned]:  # noqa: F811 - a fixture's name
    with Canned() as running:
        for name in ("m", "unheard-of"):
            client = ChatOpenAI(model=name, base_url=f"{running.url}/v1", api_key="k", max_retries=0)
            shell.user_ns[name.replace("-", "_")] = client
        yield running


@pytest.fixture
def priced(loaded: Run, server: Canned) -> Run:  # noqa: F811
    loaded(PRICES)
    return loaded


def pays(server: Canned, *models: str) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}
    server.reply(*(c.chat(name, usage) for name in models or ("m",)))


def lines(said: str) -> dict[str, str]:
    """The lines of a table, without the seconds, which are another in each run."""
    pairs = [line.partition(":") for line in said.splitlines()]
    return {name: text.split(" · ")[0].strip() for name, _, text in pairs}


# Stats


def test_stats_are_right_to_the_cent(priced: Run, server: Canned) -> None:
    pays(server)
    for _ in range(3):
        priced("m.invoke('q')")
    said = priced("%llmcache stats")
    assert said.startswith("nbcache: on, for the notebook nb.ipynb\n")
    assert lines(said)["calls"] == "this session: 2 hits, 1 miss (67% hits)"
    assert lines(said)["paid"] == "$0.006"
    assert lines(said)["saved"] == "up to $0.012"
    assert lines(said)["stored"].startswith("1 entry, ")


def test_stats_say_what_has_no_price(priced: Run, server: Canned) -> None:
    pays(server, "m", "unheard-of")
    for name in ("m", "unheard_of"):
        for _ in range(2):
            priced(f"{name}.invoke('q')")
    said = priced("%llmcache stats")
    assert "paid:   ≥ $0.006 · 1 of 2 misses unpriced\n" in said
    assert "saved:  ≥ $0.006 · 1 of 2 hits unpriced" in said


def test_stats_of_what_was_estimated(priced: Run, server: Canned) -> None:
    server.reply(c.chat("m", None))
    priced("m.invoke('q')")
    assert "paid:   ~" in (said := priced("%llmcache stats"))
    assert "1 of 1 miss estimated" in said


def test_stats_of_nothing(loaded: Run) -> None:  # noqa: F811
    assert lines(loaded("%llmcache stats")) == {
        "nbcache": "on, for the notebook nb.ipynb",
        "calls": "this session: 0 hits, 0 misses",
        "paid": "$0",
        "saved": "$0",
        "stored": "0 entries, 0 B",
    }


def test_stats_in_a_notebook_are_a_table_of_escaped_text(priced: Run, server: Canned) -> None:
    pays(server)
    priced("m.invoke('q')")
    priced("%llmcache on --tag '<b>bold</b>'")
    text = html.stats(installation.installed())._repr_html_()
    assert "<td" in text
    assert "$0.006" in text
    assert "<b>" not in text
    assert "&lt;b&gt;" in text


def test_stats_of_the_last_cell(priced: Run, server: Canned) -> None:
    assert priced("%llmcache stats --cell") == "no cell has called a model yet\n"
    pays(server, "m", "m")
    priced("m.invoke('q'); m.invoke('q'); m.invoke('r')", cell_id="one")
    priced("1 + 1", cell_id="two")
    said = priced("%llmcache stats --cell")
    assert said.startswith("3 calls · 1 hit · paid $0.012 · saved up to $0.006")
    priced("m.invoke('q')", cell_id="one")
    assert priced("%llmcache stats --cell").startswith("1 call · 1 hit · saved up to $0.006")


def test_stats_of_all_time(priced: Run, server: Canned) -> None:
    pays(server)
    priced("m.invoke('q')")
    priced("m.invoke('q')")
    priced("%llmcache clear")
    priced("%unload_ext nbcache")
    priced("%load_ext nbcache")
    assert lines(priced("%llmcache stats"))["calls"] == "this session: 0 hits, 0 misses"
    said = lines(priced("%llmcache stats --lifetime"))
    assert said["calls"] == "so far: 1 hit, 1 miss (50% hits)"
    assert (said["paid"], said["saved"], said["stored"]) == ("$0.006", "up to $0.006", "0 entries, 0 B")


def test_stats_by_model(shell: InteractiveShell, priced: Run, server: Canned) -> None:  # noqa: F811
    pays(server, "m", "unheard-of")
    for name in ("m", "m", "unheard_of"):
        priced(f"{name}.invoke('q')")
    for line in ("stats --by model", "stats --lifetime --by model --scope folder"):
        frame = shell.run_line_magic("llmcache", line)
        assert frame.index.tolist() == ["m", "unheard-of"]
        assert frame.hits.tolist() == [1, 0]
        assert frame.unpriced_misses.tolist() == [0, 1]
        assert frame.spent_usd.tolist() == [Decimal("0.006"), None]


def test_last_has_a_row_for_each_call_of_the_last_cell_that_made_any(
    shell: InteractiveShell,  # noqa: F811
    priced: Run,
    server: Canned,
) -> None:
    pays(server, "m", "m")
    priced("m.invoke('before')", cell_id="one")
    priced("m.invoke('q'); m.invoke('q')", cell_id="two")
    priced("1 + 1", cell_id="three")
    frame = shell.run_line_magic("llmcache", "last")
    assert frame.hit.tolist() == [False, True]
    assert frame.why.tolist() == ["new", ""]
    assert frame.usd.tolist() == [Decimal("0.006")] * 2
    assert set(frame.cell) == {"two"}
    assert set(frame.model) == {"m"}
    assert frame.seconds.notna().all()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("stats --cell --lifetime", "--lifetime: does not go together with --cell"),
        ("stats --by cell", "model"),
        ("stats --by", "Type: %llmcache stats"),
        ("stats --cell --by model", "--by model"),
        ("stats --scope world", "notebook"),
        ("last extra", "Type: %llmcache last"),
        ("'cell'", "type one of on, off"),
        ('"cell" off', "type one of on, off"),
        ("'on", "No closing quotation"),
        ("on --ttl 'none and more'", "90s, 12h or 7d"),
        ("clear --match ''", "write the text"),
        ("clear --tag ''", "write the text"),
        ("clear --model ''", "write the text"),
        ('clear --match ""', "write the text"),
        ("clear --scope notebok", "notebook"),
    ],
)
def test_bad_input_gets_one_line_and_changes_nothing(
    line: str,
    says: str,
    shell: InteractiveShell,  # noqa: F811
    loaded: Run,  # noqa: F811
) -> None:
    loaded("model.invoke('q')")
    with pytest.raises(UsageError) as raised:
        shell.run_line_magic("llmcache", line)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)
    assert nbcache.stats().entries == 1
    assert installation.installed().settings.mode == "on"


# The footer


def test_the_footer_tells_what_a_cell_paid_and_saved(priced: Run, server: Canned) -> None:
    pays(server, "m", "m", "m")
    assert priced("_ = m.invoke('q');") == ""
    priced("%config NBCache.footer = True")
    assert priced("_ = m.invoke('q'); _ = m.invoke('r');").startswith(
        "2 calls · 1 hit · paid $0.006 · saved up to $0.006"
    )
    assert priced("pass") == ""
    assert priced("%llmcache stats --cell").count("2 calls") == 1
    priced("%config NBCache.footer = False")
    assert priced("_ = m.invoke('s');") == ""


def test_the_footer_comes_under_a_cell_that_failed_too(
    shell: InteractiveShell,  # noqa: F811
    priced: Run,
    server: Canned,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pays(server)
    priced("%config NBCache.footer = True")
    assert execute(shell, "_ = m.invoke('q'); 1 / 0").error_in_exec is not None
    assert "1 call · 0 hits · paid $0.006" in capsys.readouterr().out


def test_the_footer_of_a_cell_with_a_mode(priced: Run, server: Canned) -> None:
    pays(server, "m")
    priced("%config NBCache.footer = True")
    assert priced("%%llmcache off\n_ = m.invoke('q');") == "1 call · 0 hits · paid $0.006\n"


def test_the_footer_says_what_has_no_price(priced: Run, server: Canned) -> None:
    pays(server, "unheard-of")
    priced("%config NBCache.footer = True")
    assert priced("_ = unheard_of.invoke('q');") == "1 call · 0 hits · paid unknown · 1 of 1 miss unpriced\n"


# Prices


def test_prices_hold_from_now_on_and_the_session_goes_on(loaded: Run, server: Canned) -> None:  # noqa: F811
    pays(server, "m", "m")
    loaded("m.invoke('q')")
    assert nbcache.stats().unpriced_misses == 1
    loaded(PRICES)
    loaded("m.invoke('r'); m.invoke('q')")
    found = nbcache.stats()
    assert (found.misses, found.unpriced_misses, found.spent_usd) == (2, 1, Decimal("0.006"))
    assert (found.hits, found.unpriced_hits, found.saved_usd) == (1, 0, Decimal("0.006"))
    loaded("%config NBCache.prices = {}")
    loaded("m.invoke('r')")
    assert nbcache.stats().saved_usd == Decimal("0.012")  # what it cost when it was recorded


@pytest.mark.parametrize(
    ("prices", "says"),
    [  # IPython itself says what is wrong, by its logger
        ("{'m': {'input': 2}}", "lacks output"),
        ("{'m': {'input': -1, 'output': 1}}", "from 0"),
        ("{'m': {'input': 'cheap', 'output': 1}}", "write US dollars"),
        ("{'m': {'inputs': 2, 'output': 1}}", "is no price"),
        ("{'m': 7}", "US dollars per million"),
        ("7", "dict"),
    ],
)
def test_wrong_prices_are_refused_and_the_old_ones_hold(
    prices: str,
    says: str,
    priced: Run,
    server: Canned,
    caplog: pytest.LogCaptureFixture,
) -> None:
    priced(f"%config NBCache.prices = {prices}")
    assert says in caplog.text
    pays(server)
    priced("m.invoke('q')")
    assert nbcache.stats().spent_usd == Decimal("0.006")


def test_wrong_prices_in_a_configuration_file_stop_loading_with_one_line(shell: InteractiveShell) -> None:  # noqa: F811
    shell.config = Config({"NBCache": {"prices": {"m": {"input": 2}}}})
    with pytest.raises(UsageError, match="lacks output"):
        nbcache.load_ipython_extension(shell)
    assert not installation.is_installed()


# Whose settings hold


def test_the_environment_is_over_config_and_a_magic_over_both(
    loaded: Run,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NBCACHE_MODE", "read-only")
    monkeypatch.setenv("NBCACHE_TTL", "2h")
    monkeypatch.setenv("NBCACHE_TAGS", "from the environment")
    monkeypatch.setenv("NBCACHE_MAX_ENTRIES", "7")
    loaded("%unload_ext nbcache")
    loaded("%load_ext nbcache")

    def holds() -> tuple[object, ...]:
        cache = installation.installed()
        return cache.settings.mode, cache.settings.ttl, cache.settings.tags, cache.max_entries

    environment = ("read-only", 7200, ("from the environment",), 7)
    assert holds() == environment
    loaded("%config NBCache.mode = 'off'")
    loaded("%config NBCache.ttl = '9h'")
    loaded("%config NBCache.tags = ['config']")
    loaded("%config NBCache.max_entries = 9")
    assert holds() == environment
    loaded("%config NBCache.max_size = '1MB'")  # which the environment doesn't give
    assert holds() == environment
    assert installation.installed().max_bytes == 1_000_000
    loaded("%llmcache refresh --ttl 3h --tag magic --max-entries 5")
    assert holds() == ("refresh", 10800, ("magic",), 5)
    loaded("%config NBCache.max_size = '2MB'")
    assert holds() == ("refresh", 10800, ("magic",), 5)


def test_what_a_magic_took_away_does_not_come_back_from_the_environment(
    loaded: Run,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NBCACHE_TTL", "2h")
    loaded("%unload_ext nbcache")
    loaded("%load_ext nbcache")
    loaded("%llmcache on --ttl none")
    assert installation.installed().settings.ttl is None
    loaded(PRICES)
    loaded("%llmcache on --max-entries 5")
    assert installation.installed().settings.ttl is None


def test_switching_the_mode_keeps_the_rest(loaded: Run, tmp_path: Path) -> None:  # noqa: F811
    loaded(PRICES)
    loaded(
        f"%llmcache on --ttl 7d --tag draft --max-entries 5 --max-size 1MB --store {tmp_path / 'other'} --scope folder"
    )
    for mode in ("off", "read-only", "refresh", "on"):
        loaded(f"%llmcache {mode}")
        cache = installation.installed()
        assert (cache.settings.mode, cache.settings.ttl, cache.settings.tags) == (mode, 604800, ("draft",))
        assert (cache.max_entries, cache.max_bytes, cache.scope) == (5, 1_000_000, "folder")
        assert cache.store.url == f"disk://{tmp_path / 'other'}"
    loaded("%config NBCache.mode = 'off'")
    assert (installation.installed().settings.ttl, installation.installed().settings.tags) == (604800, ("draft",))
    loaded("%config NBCache.footer = True")
    assert installation.installed().settings.mode == "off"


def test_new_settings_in_a_cell_leave_its_mode(loaded: Run, server: Canned) -> None:  # noqa: F811
    pays(server, "m", "m")
    said = loaded(f"%%llmcache off\n{PRICES}\nfor _ in range(2): m.invoke('q')\nget_ipython()")
    assert nbcache.stats().entries == 0
    assert nbcache.stats().spent_usd == Decimal("0.012")
    assert "Error" not in said


def test_ttl_none_keeps_answers_for_good(loaded: Run) -> None:  # noqa: F811
    assert "ttl 1w" in loaded("%llmcache on --ttl 7d")
    assert "ttl" not in loaded("%llmcache on --ttl none")
    loaded("model.invoke('q')")
    assert nbcache.entries().expires.isna().all()


# Words, quotes and comments


@pytest.mark.parametrize(
    ("line", "tags"),
    [
        ("on --tag 'exp # 3'", ("exp # 3",)),
        ('on --tag "exp #3" --tag b  # and a comment', ("exp #3", "b")),
        ("on --tag C#", ("C#",)),
        ("on --tag a # --tag b", ("a",)),
        ("on --tag a #don't", ("a",)),
        ("on #comment", ()),
        ("on", ()),
    ],
)
def test_comments_and_quotes(line: str, tags: tuple[str, ...], loaded: Run) -> None:  # noqa: F811
    loaded(f"%llmcache {line}")
    assert installation.installed().settings.tags == tags
    loaded("%llmcache on --tag reset")
    loaded(f"%%llmcache {line}\nmodel.invoke('q')")
    assert set(nbcache.entries().tags) == {", ".join(sorted({"reset", *tags}))}


def test_a_comment_alone_is_no_word(loaded: Run) -> None:  # noqa: F811
    assert loaded("%llmcache # what is on?").startswith("nbcache: on")


# Nothing is deleted by a slip


def test_a_misspelt_scope_deletes_nothing(loaded: Run) -> None:  # noqa: F811
    loaded("model.invoke('q')")
    with pytest.raises(ValueError, match="write notebook, folder or store"):
        nbcache.clear(scope="notebok")
    with pytest.raises(ValueError, match="write the text"):
        nbcache.clear(match="")
    assert nbcache.stats().entries == 1


def test_the_notebooks_scope_is_refused_where_its_name_is_not_known(
    shell: InteractiveShell,  # noqa: F811
    run: Run,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("JPY_SESSION_NAME")
    run("%load_ext nbcache")
    run("model.invoke('q')")
    for line in (
        "clear --scope notebook",
        "ls --scope notebook",
        "stats --scope notebook",
        "clear --scope notebook --dry-run",
    ):
        with pytest.raises(UsageError, match="NBCACHE_NOTEBOOK"):
            shell.run_line_magic("llmcache", line)
    with pytest.raises(ValueError, match="NBCACHE_NOTEBOOK"):
        nbcache.clear(scope="notebook")
    assert nbcache.stats().entries == 1
    assert "the whole folder" in run("%llmcache")
    assert "deleted 1 entry" in run("%llmcache clear --scope folder")


def test_the_panel_knows_cells_as_people_do(priced: Run, server: Canned) -> None:
    pays(server)
    priced("m.invoke('a')", cell_id="649c9f95", store_history=True)
    (row,) = Board().cells()
    assert re.fullmatch(r"In \[\d+\]", row["cell"])
    assert list(nbcache.entries().cell) == ["649c9f95"]
    installation.reinstall(max_entries=5)
    assert Board().cells() == [row]


def test_answers_that_are_no_hits_are_counted_by_what_is_wrong_with_them(priced: Run, provider: Provider) -> None:
    model = ChatOpenAI(model="m", **provider.openai)
    provider.answer(*(Answer("x", finish_reason=reason) for reason in ("length", "length", "content_filter", "stop")))
    for question in "abcd":
        model.invoke(question)
    stored = next(line for line in priced("%llmcache stats").splitlines() if line.startswith("stored:"))
    assert stored.endswith(" · 2 cut off, 1 filtered")
