"""%llmcache and %%llmcache in a real shell, and that unloading leaves nothing."""

import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from langchain_core.caches import InMemoryCache
from langchain_core.globals import get_llm_cache, set_llm_cache
from langchain_core.language_models import FakeListChatModel
from traitlets.config import Config

import nbcache
from nbcache import NbcacheWarning
from nbcache.session import installation


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "nb.ipynb"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    InteractiveShell.clear_instance()
    made = InteractiveShell.instance()
    made.user_ns["model"] = FakeListChatModel(responses=[f"answer {i}" for i in range(100)])
    yield made
    installation.end()  # however the test has locked it
    nbcache.unload_ipython_extension(made)
    InteractiveShell.clear_instance()


def execute(shell: InteractiveShell, source: str, **kwargs: Any) -> ExecutionResult:
    done: ExecutionResult = shell.run_cell(source, **kwargs)  # type: ignore[no-untyped-call]
    return done


@pytest.fixture
def run(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a cell as a notebook does; what it printed. An error in the cell is raised."""

    def run_cell(source: str, **kwargs: Any) -> str:
        capsys.readouterr()
        execute(shell, source, **kwargs).raise_error()  # type: ignore[no-untyped-call]
        return capsys.readouterr().out

    return run_cell


@pytest.fixture
def loaded(run: Callable[..., str]) -> Callable[..., str]:
    run("%load_ext nbcache", store_history=True)  # as a kernel does, so that cells are counted
    return run


def test_loading_turns_it_on_and_unloading_puts_everything_back(
    shell: InteractiveShell, run: Callable[..., str]
) -> None:
    before = InMemoryCache()
    set_llm_cache(before)

    def state() -> Any:
        magics = shell.magics_manager
        return (
            {kind: set(names) for kind, names in magics.magics.items()},
            set(magics.registry),
            [made for made in shell.configurables if type(made).__module__.startswith("nbcache")],
            {name: list(hooks) for name, hooks in shell.events.callbacks.items()},
            list(shell.input_transformers_cleanup),
            shell.custom_exceptions,
            {key: list(value) for key, value in shell.strdispatchers["complete_command"].strs.items()},
        )

    run("%load_ext nbcache")
    run("%unload_ext nbcache")  # IPython keeps the magics that load extensions
    was = state()
    run("%load_ext nbcache")
    assert state() != was
    assert get_llm_cache() is installation.installed()
    run("%unload_ext nbcache")
    assert state() == was
    assert get_llm_cache() is before
    run("%load_ext nbcache")
    run("%reload_ext nbcache")
    assert run("%llmcache").startswith("nbcache: on")


def test_a_call_is_paid_once(loaded: Callable[..., str]) -> None:
    assert loaded("print(model.invoke('q').content)") == loaded("print(model.invoke('q').content)") == "answer 0\n"
    assert "1 hit, 1 miss (50% hits)" in loaded("%llmcache stats")


def test_the_status_names_mode_notebook_and_counts(loaded: Callable[..., str]) -> None:
    assert loaded("%llmcache").splitlines() == [
        "nbcache: on, for the notebook nb.ipynb",
        "calls:  this session: 0 hits, 0 misses",
        "paid:   $0",
        "saved:  $0",
        "stored: 0 entries",
    ]


def test_entries_tell_the_notebook_and_the_cell(loaded: Callable[..., str]) -> None:
    loaded("model.invoke('q')", cell_id="cell-7")
    loaded("model.invoke('r')", store_history=True)
    loaded("model.invoke('s')", store_history=True)
    frame = nbcache.entries()
    assert set(frame.notebook) == {"nb.ipynb"}
    assert list(frame.cell) == ["In [3]", "In [2]", "cell-7"]


@pytest.mark.parametrize("mode", ["off", "read-only", "refresh", "on"])
def test_a_mode_holds_until_the_next(mode: str, loaded: Callable[..., str]) -> None:
    loaded("model.invoke('known')")
    assert loaded(f"%llmcache {mode}").startswith(f"nbcache: {mode}")
    known = loaded("print(model.invoke('known').content)")
    assert (known == "answer 0\n") == (mode in {"on", "read-only"})
    loaded("model.invoke('new')")
    assert ("new" in list(nbcache.entries().prompt)) == (mode in {"on", "refresh"})


def test_options_of_a_mode_are_kept_with_new_entries(loaded: Callable[..., str]) -> None:
    loaded("%llmcache on --ttl 7d --tag draft --tag 'second try'")
    loaded("model.invoke('q')")
    (tags,) = nbcache.entries().tags
    assert tags == "draft, second try"
    assert nbcache.entries().expires.notna().all()


def test_a_store_of_its_own_and_bounds(loaded: Callable[..., str], tmp_path: Path) -> None:
    loaded("model.invoke('elsewhere')")
    loaded(f"%llmcache on --store {tmp_path / 'other'} --max-entries 2 --max-size 1MB")
    for i in range(3):
        loaded(f"model.invoke('{i}')")
    assert (tmp_path / "other" / "cache.db").exists()
    assert nbcache.stats().entries == 2
    assert "1 entry by the store's bounds so far" in loaded("%llmcache stats")
    assert str(tmp_path / "other") in loaded("%llmcache where")


def test_the_scope_can_be_the_folder(loaded: Callable[..., str]) -> None:
    loaded("%llmcache on --scope folder")
    assert "the whole folder" in loaded("%llmcache")


def test_a_cell_magic_holds_for_its_cell_alone(loaded: Callable[..., str]) -> None:
    loaded("model.invoke('q')")
    assert loaded("%%llmcache refresh --tag again\nprint(model.invoke('q').content)") == "answer 1\n"
    assert loaded("print(model.invoke('q').content)") == "answer 1\n"
    assert list(nbcache.entries().tags) == ["again"]


def test_a_cells_mode_holds_in_raw_threads_too(shell: InteractiveShell, loaded: Callable[..., str]) -> None:
    shell.user_ns["Thread"] = threading.Thread
    loaded("model.invoke('q')")
    said = loaded("%%llmcache off\nt = Thread(target=lambda: print(model.invoke('q').content)); t.start(); t.join()")
    assert said == "answer 1\n"


def test_a_cell_that_fails_still_ends_its_mode(loaded: Callable[..., str]) -> None:
    loaded("model.invoke('q')")
    with pytest.raises(ZeroDivisionError):
        loaded("%%llmcache off\n1 / 0")
    assert loaded("print(model.invoke('q').content)") == "answer 0\n"


def test_a_cell_with_a_mode_is_like_any_other_cell(shell: InteractiveShell, loaded: Callable[..., str]) -> None:
    """Top-level await, the last value, and the numbers of lines in a traceback."""
    done = execute(shell, "%%llmcache off\nimport asyncio\nawait asyncio.sleep(0)\n6 * 7")
    assert done.result == 42
    failed = execute(shell, "%%llmcache off\n\n1 / 0")
    assert failed.error_in_exec is not None
    assert [frame.lineno for frame in traceback.extract_tb(failed.error_in_exec.__traceback__)][-1] == 3


def test_the_cell_magic_called_by_name_does_the_same(shell: InteractiveShell, loaded: Callable[..., str]) -> None:
    loaded("model.invoke('q')")
    execute(shell, """get_ipython().run_cell_magic('llmcache', 'off', "said = model.invoke('q').content")""")
    assert shell.user_ns["said"] == "answer 1"


def test_show_tells_prompt_answer_model_parameters_where_and_when(loaded: Callable[..., str]) -> None:
    loaded("model.invoke([('system', 'be brief'), ('human', 'What is a monad?')])", cell_id="cell-7")
    said = loaded(f"%llmcache show {nbcache.entries().key[0][:6]}")
    for part in (
        "system: be brief",
        "human: What is a monad?",
        "answer 0",
        "FakeListChatModel",
        "nb.ipynb",
        "cell-7",
        "UTC",
    ):
        assert part in said
    assert '"responses"' in said


def test_ls_is_a_frame(shell: InteractiveShell, loaded: Callable[..., str]) -> None:
    loaded("model.invoke('q')")
    frame = shell.run_line_magic("llmcache", "ls")
    assert list(frame.prompt) == ["q"]


@pytest.mark.parametrize(("option", "number"), [("--client langchain", 1), ("--client openai", 0), ("--status ok", 1)])
def test_ls_and_clear_take_those_of_a_client(
    shell: InteractiveShell, loaded: Callable[..., str], option: str, number: int
) -> None:
    loaded("model.invoke('q')")
    assert len(shell.run_line_magic("llmcache", f"ls {option}")) == number
    if option.startswith("--client"):
        assert f"deleted {number} entr" in loaded(f"%llmcache clear {option}")


def test_evict_and_clear_say_what_they_did(loaded: Callable[..., str]) -> None:
    for name in "abc":
        loaded(f"model.invoke('{name}')")
    key = nbcache.entries().key[0]
    assert loaded(f"%llmcache evict {key[:9]}").startswith(f"evicted {key[:8]} (FakeListChatModel")
    would = loaded("%llmcache clear --dry-run")
    assert "would delete 2 entries" in would
    assert all(key[:8] in would for key in nbcache.entries().key)
    assert nbcache.stats().entries == 2
    assert "deleted 1 entry" in loaded("%llmcache clear --match 'answer 0'")
    assert "deleted 0 entries" in loaded("%llmcache clear --older-than 7d")
    assert "deleted 1 entry" in loaded("%llmcache clear --model FakeListChatModel")


def test_check_finds_nothing_wrong(loaded: Callable[..., str]) -> None:
    loaded("model.invoke('q')")
    assert loaded("%llmcache check") == "nothing is wrong with the store .nbcache\n"


def test_a_misspelt_key_is_told_with_the_one_that_was_meant(
    shell: InteractiveShell, loaded: Callable[..., str]
) -> None:
    loaded("model.invoke('q')")
    (key,) = nbcache.entries().key
    for word in ("show", "evict"):
        with pytest.raises(UsageError, match=rf"; did you mean {key[:8]}\? `%llmcache ls` lists the keys"):
            shell.run_line_magic("llmcache", f"{word} {key[:5]}zzz")
    assert nbcache.stats().entries == 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("wibble", "type one of on, off"),
        ("on --ttl 7x", "90s, 12h or 7d"),
        ("on --ttl", "Type: %llmcache on"),
        ("on --max-size big", "500MB or 2GB"),
        ("on --max-entries 0", "above zero"),
        ("on --max-entries many", "Type: %llmcache on"),
        ("on --scope world", "notebook"),
        ("on --store ftp://x", "write a folder"),
        ("on --store redis//lab:6379/0", "redis://host:6379/0"),
        ("on --store disk redis://:pw@lab/0", "unexpected 'redis://:…@lab/0'; write several stores in quotes"),
        ("on --store=disk, redis://lab/0", 'in quotes, as --store "disk, URL"'),
        ("on --tag ''", "write a word"),
        ("on extra words", "Type: %llmcache on"),
        ("show", "Type: %llmcache show KEY"),
        ("show zz", "is no key"),
        ("show abcd", "no entry has a key that begins with 'abcd'. `%llmcache ls` lists the keys"),
        ("tag abcd draft", "no entry has a key that begins with 'abcd'. `%llmcache ls` lists the keys"),
        ("evict ''", "is no key"),
        ("clear --older-than soon", "--older-than: 'soon': write a time such as 90s, 12h or 7d"),
        ("clear --older-than 7", "write 7s, 7m, 7h or 7d"),
        ("clear --not-hit-since 1.5", "write 1.5s, 1.5m, 1.5h or 1.5d"),
        ("expire --match q --ttl 7", "write 7s, 7m, 7h or 7d"),
        ("clear everything", "unexpected 'everything'. `%llmcache clear --help` has all options"),
        ("ls --modle gpt", "%llmcache ls: no option --modle; did you mean --model?"),
        ("ls --modle=gpt", "no option --modle; did you mean --model?"),
        ("ls model gpt", "unexpected 'model'; did you mean --model?"),
        ("ls --kind functoin", "--kind: no 'functoin'; did you mean function?"),
        ("ls --model", "--model: its value is missing"),
        ("tag --macth x", "no option --macth; did you mean --match?"),
        ("cleer", "%llmcache cleer: no such command; did you mean clear?"),
        ("cell onn", "did you mean on?"),
        ("cell on --tll 7d", "%%llmcache on: no option --tll; did you mean --ttl? Type: %%llmcache on"),
        ("stats 'unclosed", "No closing quotation"),
        ("why abc", "no call whose key"),
        ("plan all", "Type: %llmcache plan"),
        ("export a b", "Type: %llmcache export"),
        ("export --check no-such.jsonl", "out of date"),
        ("import", "Type: %llmcache import FILE"),
        ("import no-such.jsonl", "there is no file"),
        ("import . --prefer mine", "--prefer"),
    ],
)
def test_bad_input_gets_one_line_that_says_what_to_type(
    line: str, says: str, shell: InteractiveShell, loaded: Callable[..., str]
) -> None:
    loaded("model.invoke('q')")
    cache = installation.installed()
    with pytest.raises(UsageError) as raised:
        shell.run_line_magic("llmcache", line)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)
    assert installation.installed() is cache
    assert nbcache.stats().entries == 1


@pytest.mark.parametrize("line", ["", "stats", "--ttl 7d", "replay now", "on --sample", "off --ttl x"])
def test_a_cell_magic_without_a_mode_does_not_run_its_cell(
    line: str, shell: InteractiveShell, loaded: Callable[..., str]
) -> None:
    done = execute(shell, f"%%llmcache {line}\nran = True")
    assert isinstance(done.error_in_exec, UsageError)
    assert "ran" not in shell.user_ns


def test_an_ambiguous_key_lists_the_candidates(shell: InteractiveShell, loaded: Callable[..., str]) -> None:
    for i in range(40):
        loaded(f"model.invoke('{i}')")
    digits = [key[0] for key in nbcache.entries().key]
    common = max(set(digits), key=digits.count)
    with pytest.raises(UsageError, match="write more digits") as raised:
        shell.run_line_magic("llmcache", f"show {common}")
    assert any(key[:7] in str(raised.value) for key in nbcache.entries().key)


def test_traits_switch_the_running_cache(shell: InteractiveShell, loaded: Callable[..., str]) -> None:
    loaded("%config NBCache.ttl = '7d'")
    loaded("%config NBCache.tags = ['draft']")
    assert installation.installed().settings.ttl == 604800
    assert installation.installed().settings.tags == ("draft",)
    loaded("%config NBCache.mode = 'nonsense'")  # IPython itself says what is wrong
    assert installation.installed().settings.mode == "on"
    loaded("%config NBCache.mode = 'off'")
    assert installation.installed().settings.mode == "off"
    assert "least recently used" in loaded("%config NBCache")


def test_a_value_that_was_refused_is_not_met_again_when_the_extension_is_loaded_again(
    loaded: Callable[..., str],
) -> None:
    loaded("%config NBCache.ttl = '7d'")
    loaded("%config NBCache.prices = {'tiny': {'input': 1, 'output': -1}}")
    loaded("%unload_ext nbcache")
    loaded("%load_ext nbcache")
    assert installation.installed().settings.ttl == 7 * 86400


WRONG = {
    "mode": "'repaly'",
    "ttl": "'1 week'",
    "tags": "3",
    "scope": "'galaxy'",
    "max_size": "'much'",
    "max_entries": "-1",
    "footer": "3",
    "ignore": "3",
    "clients": "['opnai']",
    "prices": "{'tiny': {'input': -1}}",
    "normalize": "'('",
    "finish_reasons": "3",
}


class TypicalShell(InteractiveShell):
    """A shell as in a kernel: its name comes after `NBCache`, and IPython gives it the values of `%config` later."""


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("kind", [InteractiveShell, TypicalShell])
def test_a_refused_value_is_in_no_configuration_afterwards(
    shell: InteractiveShell, kind: type[InteractiveShell], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    del shell
    InteractiveShell.clear_instance()
    made = kind.instance()
    try:
        execute(made, f"%config NBCache.{name} = {WRONG[name]}")  # nobody checks it before the extension is loaded
        execute(made, "%load_ext nbcache")
        assert not installation.is_installed()
        assert name not in made.config["NBCache"]
        assert f"NBCache.{name} is forgotten" in str(capsys.readouterr())
        for line in ("%load_ext nbcache", f"%config NBCache.{name} = {WRONG[name]}", "%reload_ext nbcache"):
            execute(made, line).raise_error()  # type: ignore[no-untyped-call]
            assert installation.is_installed()
        assert name not in made.config["NBCache"]
    finally:
        nbcache.unload_ipython_extension(made)
        kind.clear_instance()


def test_a_value_that_can_not_hold_now_is_forgotten_too(
    shell: InteractiveShell, loaded: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(installation, "reinstall", fail)
    loaded("%config NBCache.max_entries = 9")
    [settings] = [made for made in shell.configurables if type(made).__name__ == "NBCache"]
    assert settings.max_entries is None  # type: ignore[attr-defined]
    assert "max_entries" not in shell.config["NBCache"]


def test_traits_from_a_configuration_file_and_the_environment_over_them(
    shell: InteractiveShell, run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.config = Config({"NBCache": {"mode": "read-only", "ttl": "1h", "store": "memory://"}})
    monkeypatch.setenv("NBCACHE_TTL", "2h")
    run("%load_ext nbcache")
    assert installation.installed().settings.mode == "read-only"
    assert installation.installed().settings.ttl == 7200
    assert installation.installed().store.url == "memory://"
    run("%llmcache on --ttl 3h")
    assert installation.installed().settings.ttl == 10800


def test_a_mode_from_outside_may_have_capitals_and_a_wrong_one_fails_the_cell_with_one_line(
    shell: InteractiveShell,
    run: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("NBCACHE_MODE", "repaly")
    done = execute(shell, "%load_ext nbcache")
    assert isinstance(done.error_in_exec, ValueError)  # nbval takes an UsageError for no failure
    [line] = capsys.readouterr().out.splitlines()
    assert "NBCACHE_MODE in the environment: mode='repaly': write on, off" in line
    assert not installation.is_installed()
    monkeypatch.setenv("NBCACHE_MODE", "Replay")
    run("%load_ext nbcache")
    assert installation.installed().settings.mode == "replay"


def test_a_wrong_environment_stops_loading_with_one_line(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBCACHE_TTL", "sometimes")
    with pytest.raises(UsageError, match="12h or 7d"):
        nbcache.load_ipython_extension(shell)
    assert "llmcache" not in shell.magics_manager.magics["line"]
    assert not installation.is_installed()


@pytest.mark.parametrize(
    ("variable", "advice"),
    [
        ("NBCACHE_MOED", "write NBCACHE_MODE"),
        ("NBCACHE_MAX_SIZE", "write NBCACHE_MAX_BYTES"),
        ("NBCACHE_REPLAY", "write NBCACHE_MODE=replay"),
        ("nbcache_ttl", "write NBCACHE_TTL"),
        ("NB_CACHE_DIR", "write NBCACHE_DIR"),
        ("NBCACHE_IGNORE", "%config NBCache.ignore"),
    ],
)
def test_a_misspelt_variable_is_told_once(
    variable: str, advice: str, shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("NBCACHE_DEMO_URL", "a program's own")
    with pytest.warns(NbcacheWarning, match=f"{variable} in the environment is no setting: .*{advice}") as heard:
        nbcache.load_ipython_extension(shell)
    assert len(heard) == 1


def test_a_variable_that_is_no_setting_takes_no_settings_place(
    loaded: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBCACHE_EXCLUDE", "something")
    loaded("%config NBCache.exclude = ['draft']")
    assert installation.installed().rules.exclude == ("draft",)


def test_ignored_parameters_do_not_split_the_key(shell: InteractiveShell, loaded: Callable[..., str]) -> None:
    loaded("model.invoke('q', my_trace='1')")
    loaded("model.invoke('q', my_trace='2')")
    assert nbcache.stats().entries == 2
    loaded("%config NBCache.ignore = ['my_trace']")
    loaded("model.invoke('q', my_trace='3')")
    loaded("model.invoke('q', my_trace='4')")
    assert nbcache.stats().entries == 3
    loaded("%config NBCache.ignore = []")


def test_a_replaced_global_cache_is_noticed_and_taken_back(loaded: Callable[..., str]) -> None:
    loaded("from langchain_core.globals import set_llm_cache")
    with pytest.warns(NbcacheWarning, match="takes it back"):
        loaded("set_llm_cache(None)")
    assert "again" in loaded("%llmcache on")
    assert get_llm_cache() is installation.installed()


def test_turned_off_by_python_it_says_so_and_comes_back(loaded: Callable[..., str]) -> None:
    nbcache.uninstall()
    assert "nbcache is off" in loaded("%llmcache")
    loaded("%llmcache on")
    assert installation.is_installed()


@pytest.mark.filterwarnings("ignore:.*Completer.complete:PendingDeprecationWarning")
def test_words_and_options_complete(shell: InteractiveShell, loaded: Callable[..., str]) -> None:
    def complete(line: str) -> list[str]:
        _, found = shell.complete(line.rpartition(" ")[2], line, len(line))
        return list(found)

    assert {"stats"} <= set(complete("%llmcache st"))
    assert {"on", "off", "clear", "show"} <= set(complete("%llmcache "))
    assert {"--older-than", "--dry-run"} <= set(complete("%llmcache clear --"))
    assert "refresh" in complete("%%llmcache re")


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_cell_magics_stack_on_it(loaded: Callable[..., str]) -> None:
    loaded("model.invoke('q')")
    said = loaded("%%llmcache off\n%%capture captured\nprint(model.invoke('q').content)")
    assert said == ""
    assert loaded("print(captured.stdout)") == "answer 1\n\n"
    assert loaded("%%capture again\n%%llmcache off\nprint(model.invoke('q').content)") == ""
    assert loaded("print(again.stdout)") == "answer 2\n\n"


def test_a_cell_that_a_cell_runs_does_not_end_its_mode(shell: InteractiveShell, loaded: Callable[..., str]) -> None:
    loaded("model.invoke('q')")
    said = loaded("%%llmcache off\nget_ipython().run_cell('1')\nprint(model.invoke('q').content)")
    assert said.endswith("answer 1\n")
    assert loaded("print(model.invoke('q').content)") == "answer 0\n"


def test_a_hash_within_a_word_is_no_comment(loaded: Callable[..., str]) -> None:
    loaded("model.invoke('about C')")
    assert "would delete 0 entries" in loaded("%llmcache clear --match C# --dry-run")
    assert "would delete 1 entry" in loaded("%llmcache clear --match C --dry-run  # a comment")


def test_samples_of_a_cell_are_replayed_when_it_is_run_again(loaded: Callable[..., str]) -> None:
    cell = "%%llmcache on --samples --tag t\nprint([model.invoke('q').content for _ in range(3)])"
    assert loaded(cell) == loaded(cell) == "['answer 0', 'answer 1', 'answer 2']\n"
    assert loaded("print(model.invoke('q').content)") == "answer 0\n"
    more = cell.replace("range(3)", "range(4)")
    assert loaded(more) == "['answer 0', 'answer 1', 'answer 2', 'answer 3']\n"
    assert nbcache.stats().misses == 4


def test_several_identical_calls_of_a_cell_get_one_answer_and_one_notice(loaded: Callable[..., str]) -> None:
    with pytest.warns(NbcacheWarning, match="4 identical calls .* --samples") as told:
        loaded("for _ in range(4): model.invoke('q')")
    assert len(told) == 1
    loaded("for _ in range(4): model.invoke('p')")  # a second would be an error


@pytest.mark.parametrize(
    "cell",
    [
        "for _ in range(2): model.invoke('q')",
        "%%llmcache on --samples\nfor _ in range(4): model.invoke('q')",
        "%%llmcache refresh\nfor _ in range(4): model.invoke('q')",
        "for i in range(4): model.invoke(str(i))",
        "for _ in range(4): model.bind(temperature=0).invoke('q')",
    ],
)
def test_no_notice_where_nobody_would_be_surprised(cell: str, loaded: Callable[..., str]) -> None:
    loaded(cell)  # a warning would be an error


def test_rules_are_settings(
    loaded: Callable[..., str], shell: InteractiveShell, caplog: pytest.LogCaptureFixture
) -> None:
    shell.user_ns["lower"] = str.lower
    loaded("%config NBCache.normalize = lower")
    loaded("model.invoke('Q'); model.invoke('q')")
    assert nbcache.stats().misses == 1
    loaded("%config NBCache.normalize = ['Q']")
    loaded("%config NBCache.exclude = ['FakeList*']")
    loaded("model.invoke('q')")
    assert nbcache.stats().entries == 1
    loaded("%config NBCache.exclude = []")
    shell.user_ns["never"] = lambda answer: False
    loaded("%config NBCache.should_store = never")
    loaded("model.invoke('new')")
    assert nbcache.stats().entries == 1
    loaded("%config NBCache.normalize = '('")  # IPython logs what is wrong
    assert "normalize='('" in caplog.text
    assert installation.installed().rules.normalize is not None


def test_rules_and_minimums_are_set_from_a_cell(loaded: Callable[..., str], caplog: pytest.LogCaptureFixture) -> None:
    loaded('%config NBCache.ttl_rules = {"gpt-4o*": "7d", "tag:news": "none"}')
    loaded('%config NBCache.ttl_rules = {"gpt-4o*": "7d"}')
    loaded("%config NBCache.min_seconds = 1.5")
    loaded("%config NBCache.min_usd = 0.01")
    rules = installation.installed().rules
    assert (rules.ttl_rules, rules.min_seconds, str(rules.min_usd)) == ({"gpt-4o*": 604800.0}, 1.5, "0.01")
    shown = loaded("%llmcache")
    assert "1 TTL rule" in shown
    assert "keeps what takes at least 1.5s or costs at least $0.01" in shown
    loaded('%config NBCache.ttl_rules = {"tag:news": "soon"}')  # IPython logs what is wrong
    assert "ttl_rules['tag:news']='soon'" in caplog.text
    assert installation.installed().rules.ttl_rules == {"gpt-4o*": 604800.0}
    for name in ("min_seconds", "min_usd"):
        loaded(f"%config NBCache.{name} = None")
    loaded("%config NBCache.ttl_rules = {}")
    rules = installation.installed().rules
    assert (rules.ttl_rules, rules.min_seconds, rules.min_usd) == ({}, None, None)
    assert "at least" not in loaded("%llmcache")


# Replay


def test_replay_says_what_it_plays(loaded: Callable[..., str], tmp_path: Path) -> None:
    loaded("model.invoke('q')")
    assert "replay, from the store" in loaded("%llmcache replay")
    assert "nb.llmcache.jsonl: 1 recording" in loaded("%llmcache export")
    assert "replay, from nb.llmcache.jsonl, 1 recording" in loaded("%llmcache replay")
    assert loaded("print(model.invoke('q').text)") == "answer 0\n"


def test_replay_says_what_to_type_for_a_client_that_asks_for_a_key(
    loaded: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "AZURE_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(openai.OpenAIError):
        openai.OpenAI()
    assert "no key is needed" not in loaded("%llmcache replay")  # this notebook doesn't use it
    loaded("from openai import OpenAI")
    shown = loaded("%llmcache replay")
    assert "no key is needed" in shown
    assert "OPENAI_API_KEY" in shown
    assert 'api_key="none"' in shown
    assert "no key is needed" not in loaded("%llmcache on")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    assert "OPENAI_API_KEY" not in loaded("%llmcache replay")


def test_a_miss_in_replay_is_shown_in_a_line(loaded: Callable[..., str], shell: InteractiveShell) -> None:
    done = execute(shell, "%%llmcache replay\nmodel.invoke('When does the boat come?')")
    assert isinstance(done.error_in_exec, nbcache.ReplayMiss)
    shown = done.error_in_exec._render_traceback_()
    assert shown[0].startswith("ReplayMiss: ")
    assert "When does the boat come?" in "\n".join(shown)


def test_a_cell_that_swallowed_a_miss_fails(
    loaded: Callable[..., str], shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded("%llmcache replay")
    for swallowing in (
        "try:\n    model.invoke('q')\nexcept BaseException:\n    pass",
        "import threading\nthreading.excepthook = lambda _: None\n"
        "thread = threading.Thread(target=model.invoke, args=('q',))\nthread.start()\nthread.join()",
    ):
        done = execute(shell, swallowing)
        assert isinstance(done.error_in_exec, nbcache.ReplayMiss)
        assert "never recorded" in capsys.readouterr().out
    assert execute(shell, "1 + 1").success


def test_replay_from_outside_holds_against_magics(
    shell: InteractiveShell, run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBCACHE_MODE", "replay")
    run("%load_ext nbcache")
    assert "set from outside" in run("%llmcache on")
    for source in ("model.invoke('q')", "%%llmcache off\nmodel.invoke('q')"):
        assert isinstance(execute(shell, source).error_in_exec, nbcache.ReplayMiss)
    run("%config NBCache.mode = 'on'")
    assert isinstance(execute(shell, "model.invoke('q')").error_in_exec, nbcache.ReplayMiss)
    with pytest.warns(nbcache.NbcacheWarning, match="stays on"):
        nbcache.unload_ipython_extension(shell)
    swallowing = "try:\n    model.invoke('q')\nexcept BaseException:\n    pass"
    assert isinstance(execute(shell, swallowing).error_in_exec, nbcache.ReplayMiss)
    assert "set from outside" in run("%llmcache")


def test_export_and_import_say_what_they_did(loaded: Callable[..., str], tmp_path: Path) -> None:
    secret = "sk-" + "Ab1" * 12
    loaded("model.invoke('q')")
    loaded(f"model.invoke('my key is {secret}')")
    said = loaded("%llmcache export answers.jsonl")
    assert "answers.jsonl: 2 recordings" in said
    assert "an OpenAI key in the call is written as [secret]" in said
    assert "as it was" in loaded("%llmcache export answers.jsonl --check")
    loaded("%llmcache clear")
    assert "would import" in loaded("%llmcache import answers.jsonl --dry-run")
    assert "2 new, 0 the same, 0 conflicting" in loaded("%llmcache import answers.jsonl")


def test_clear_unused_takes_what_this_session_has_not_touched(
    loaded: Callable[..., str], shell: InteractiveShell
) -> None:
    loaded("model.invoke('edited since')")
    loaded("model.invoke('kept')")
    loaded("%unload_ext nbcache")
    loaded("%load_ext nbcache")
    with pytest.raises(UsageError, match="run the notebook first"):
        shell.run_line_magic("llmcache", "clear --unused")
    loaded("model.invoke('kept'); model.invoke('new')")
    said = loaded("%llmcache clear --unused --dry-run")
    assert "1 entry" in said
    assert "edited since" in said
    assert "kept" not in said
    assert nbcache.stats().entries == 3
    loaded("%llmcache clear --unused")
    assert sorted(nbcache.entries().prompt) == ["kept", "new"]


def test_a_notebook_that_has_nothing_to_explain_or_plan_goes_on(loaded: Callable[[str], str]) -> None:
    assert loaded("%llmcache why") == "no call has missed in this session\n"
    assert loaded("%llmcache plan") == "plan: no session of this notebook has called a model yet; run it once\n"


@pytest.mark.parametrize("line", ["help", "--help", "-h", "help export", "export --help", "export x.jsonl -h"])
def test_help_says_how_to_type_it(loaded: Callable[[str], str], line: str) -> None:
    told = loaded(f"%llmcache {line}")
    assert "%llmcache export [FILE] [--used] [--check]\n" in told
    assert (told.count("%llmcache ") > 3) == ("export" not in line)


def test_a_cell_that_asks_for_help_does_not_run(loaded: Callable[..., str], shell: InteractiveShell) -> None:
    assert isinstance(execute(shell, "%%llmcache replay --help\nran = True").error_in_exec, UsageError)
    assert "ran" not in shell.user_ns
