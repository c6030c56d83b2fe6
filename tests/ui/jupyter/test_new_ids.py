"""An id that is new in each run makes each run pay: a notebook is told so once, by itself, with what to type."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient

import nbcache
from nbcache import NbcacheWarning
from nbcache.cache.misses import candidates
from nbcache.keys.ignored.run_ids import paths_of_ids
from nbcache.session import installation
from tests.servers.provider import Provider

CELLS = (
    "%load_ext nbcache\nimport uuid\nfrom langchain_openai import ChatOpenAI",
    "llm = ChatOpenAI(model='gpt-4o-mini', {client}, extra_body={{'agent': {{'run': str(uuid.uuid4())}}}})\nllm.invoke('When does the boat come?')",
    "llm.invoke('And when does it leave?')",
)


def stderr_of_run(folder: Path, cells: tuple[str, ...]) -> list[str]:
    """What each cell of a notebook wrote on stderr, run in a fresh kernel."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])  # type: ignore[no-untyped-call]
    NotebookClient(notebook, resources={"metadata": {"path": str(folder)}}, timeout=100).execute()
    return [
        "".join(output.text for output in cell.outputs if output.get("name") == "stderr") for cell in notebook.cells
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of the kernel's client
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_second_run_of_a_notebook_is_told_what_to_type_and_then_pays_nothing(
    provider: Provider, tmp_path: Path
) -> None:
    client = f"base_url={provider.openai['base_url']!r}, api_key='sk-test'"
    cells = (CELLS[0], CELLS[1].format(client=client), CELLS[2])
    assert stderr_of_run(tmp_path, cells) == ["", "", ""]
    first, second, third = stderr_of_run(tmp_path, cells)
    typed = "%config NBCache.ignore = ['agent.run']"
    assert (first, third) == ("", "")
    assert typed in second
    assert len(provider.requests) == 4
    told = (f"{cells[0]}\n{typed}", *cells[1:])
    assert stderr_of_run(tmp_path, told) == ["", "", ""]
    assert stderr_of_run(tmp_path, told) == ["", "", ""]
    assert len(provider.requests) == 6


# In a shell of this process


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: Provider) -> Iterator[Callable[[str], list[str]]]:
    """Run a cell, in which `chat(…)` makes a model; the warnings that it gave."""
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "nb.ipynb"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()

    def run_cell(source: str) -> list[str]:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always", NbcacheWarning)
            shell.run_cell(source, store_history=True).raise_error()  # type: ignore[no-untyped-call]
        return [str(each.message) for each in heard if issubclass(each.category, NbcacheWarning)]

    run_cell(
        "%load_ext nbcache\nfrom langchain_openai import ChatOpenAI\nimport json, uuid\nfrom functools import partial"
    )
    run_cell(f"chat = partial(ChatOpenAI, **{{'model': 'gpt-4o-mini', 'max_retries': 0, **{provider.openai!r}}})")
    yield run_cell
    installation.end()
    nbcache.unload_ipython_extension(shell)
    InteractiveShell.clear_instance()


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ("default_headers={'X-My-Run-Id': str(uuid.uuid4())}", "headers.x-my-run-id"),
        ("default_headers={'X-Job': str(uuid.uuid4())}", "headers.x-job"),
        ("default_query={'run_id': str(uuid.uuid4())}", "query.run_id"),
        ("extra_body={'made_at': f'2026-11-29T10:00:{len(made):02}'}", "made_at"),
        ("extra_body={'run': {'step': len(made)}}", "run.step"),
    ],
)
def test_an_id_a_time_or_a_counter_is_named_once(
    options: str, path: str, run: Callable[[str], list[str]], provider: Provider
) -> None:
    run("made = []")
    cell = f"made.append(chat({options}))\nmade[-1].invoke('When does the boat come?')"
    assert run(cell) == []
    (heard,) = run(cell)
    assert f"%config NBCache.ignore = ['{path}']" in heard
    assert run(cell) == []
    run(f"%config NBCache.ignore = ['{path}']")
    run(cell)
    before = len(provider.requests)
    run(cell)
    assert len(provider.requests) == before


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ("extra_headers={'X-Run': str(uuid.uuid4())}", "headers.x-run"),
        ("extra_query={'run': str(uuid.uuid4())}", "query.run"),
    ],
)
def test_an_id_in_the_headers_or_the_query_of_one_call_is_named_as_it_is_typed(
    options: str, path: str, run: Callable[[str], list[str]], provider: Provider
) -> None:
    cell = f"chat().bind({options}).invoke('When does the boat come?')"
    assert run(cell) == []
    (heard,) = run(cell)
    typed = f"%config NBCache.ignore = ['{path}']"
    assert typed in heard
    difference, advice = nbcache.why().changes
    assert difference.startswith(f"{path}: ")
    assert typed in advice
    run(typed)
    run(cell)
    before = len(provider.requests)
    run(cell)
    assert len(provider.requests) == before


def test_what_is_typed_keeps_what_is_ignored_already(run: Callable[[str], list[str]]) -> None:
    run("%config NBCache.ignore = ['headers.x-mine']")
    cell = "chat(extra_body={'run': str(uuid.uuid4())}).invoke('When does the boat come?')"
    run(cell)
    (heard,) = run(cell)
    assert "%config NBCache.ignore = ['headers.x-mine', 'run']" in heard


@pytest.mark.parametrize(
    "edits",
    [
        ("chat().invoke('When does the boat come?')", "chat().invoke('When does the train come?')"),
        ("chat().invoke('Order 1234567890')", "chat().invoke('Order 1234567891')"),
        ("chat(temperature=0.1).invoke('q')", "chat(temperature=0.2).invoke('q')"),
        ("chat(seed=1234567890).invoke('q')", "chat(seed=1234567891).invoke('q')"),
        ("chat(default_query={'version': 'a'}).invoke('q')", "chat(default_query={'version': 'b'}).invoke('q')"),
        ("for i in range(4): chat(extra_body={'customer_id': i}).invoke('q')",),
        (
            "chat(extra_body={'run': uuid.uuid4().hex, 'style': 'a'}).invoke('q')",
            "chat(extra_body={'run': uuid.uuid4().hex, 'style': 'b'}).invoke('q')",
        ),
        ("%%llmcache refresh\nchat(extra_body={'run': uuid.uuid4().hex}).invoke('q')",) * 2,
        (
            "chat(use_responses_api=True).invoke('q', previous_response_id='resp_1')",
            "chat(use_responses_api=True).invoke('q', previous_response_id='resp_2')",
        ),
    ],
)
def test_ordinary_edits_are_told_nothing(edits: tuple[str, ...], run: Callable[[str], list[str]]) -> None:
    assert [run(cell) for cell in edits] == [[]] * len(edits)


def test_in_replay_nothing_is_said(run: Callable[[str], list[str]]) -> None:
    cell = "chat(extra_body={'run': str(uuid.uuid4())}).invoke('When does the boat come?')"
    run(cell)
    with pytest.raises(nbcache.ReplayMiss):
        run("%llmcache replay\n" + cell)


def test_in_a_script_nothing_is_said_unless_it_is_asked(provider: Provider, store: Path) -> None:
    from langchain_openai import ChatOpenAI

    for number in range(2):  # a warning would be an error
        ChatOpenAI(model="m", **provider.openai, extra_body={"run_id": number}).invoke("q")
    assert "%config NBCache.ignore = ['run_id']" in str(nbcache.why())


def test_a_cell_that_misses_a_lot_is_not_held_up(
    run: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []
    like = candidates.stored_like

    def counted(*given: Any) -> Iterator[Any]:
        looked.append(given)
        return like(*given)

    monkeypatch.setattr(candidates, "stored_like", counted)
    run("for i in range(30): chat().invoke(f'question {i}')")
    assert 0 < len(looked) <= 3
    run("for i in range(30): chat().invoke(f'question {i}')")
    assert len(looked) <= 3


def test_whatever_fails_the_cell_does_not(run: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(candidates, "stored_like", fail)
    assert run("chat().invoke('q')") == []


@pytest.mark.parametrize(
    "name",
    [
        "file_id",
        "vector_store_id",
        "previous_response_id",
        "conversation.id",
        "tools[0].id",
        "options.seed",
        "x.model_id",
    ],
)
def test_what_another_answer_depends_on_is_no_id_of_a_run(name: str) -> None:
    assert paths_of_ids({name: "0123456789abcdef0"}, {name: "1123456789abcdef0"}) == []
    assert paths_of_ids({"run_id": "0123456789abcdef0"}, {"run_id": "1123456789abcdef0"}) == ["run_id"]
