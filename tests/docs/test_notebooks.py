"""The notebooks in real kernels: what one run paid, no other run of it pays, wherever and under whatever name."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nbformat
import pytest
from anthropic import Anthropic
from google import genai
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from nbclient import NotebookClient
from openai import OpenAI

from tests.support.paths import ROOT

NOTEBOOKS = ROOT / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))

from demo_answers import Repertoire  # noqa: E402 - the examples are no package
from demo_server import DemoServer, client_options, embedding_options, prepare_clients  # noqa: E402 - the examples are no package

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),  # of the kernel's client
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[DemoServer]:
    with DemoServer(latency=0) as running:
        monkeypatch.setenv("NBCACHE_DEMO_URL", running.url)
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # somebody's own, of which nothing is to be seen
        yield running


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Run a notebook as `name` in a fresh kernel, as JupyterLab does or, without a session, as nbval does.

    What comes back are the outputs of those of its cells that nbval checks.
    """
    for module in NOTEBOOKS.glob("demo_*.py"):
        shutil.copy(module, tmp_path)

    def run_notebook(name: str, *, in_lab: bool, of: str = "quickstart.ipynb") -> list[Any]:
        if in_lab:
            monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / name))
        else:
            monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
        notebook = nbformat.read(NOTEBOOKS / of, as_version=4)  # type: ignore[no-untyped-call]
        NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}, timeout=100).execute()
        return outputs(notebook)

    return run_notebook


def outputs(notebook: Any) -> list[Any]:
    """What each cell that nbval checks printed, and what it displayed; nothing goes to stderr."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code" and "NBVAL_IGNORE_OUTPUT" not in cell.source:
            streams = [output for output in cell.outputs if output.output_type == "stream"]
            assert {output.name for output in streams} <= {"stdout"}
            shown = [output.data for output in cell.outputs if output.output_type != "stream"]
            found.append(("".join(output.text for output in streams), shown))
    return found


def test_recorded_in_lab_it_is_hit_without_a_session_and_under_another_name(
    run: Callable[..., list[Any]], server: DemoServer, tmp_path: Path
) -> None:
    run("quickstart.ipynb", in_lab=True)
    paid = server.requests
    assert paid > 0
    assert (tmp_path / ".nbcache" / "cache.db").exists()
    run("quickstart.ipynb", in_lab=False)
    run("a copy.ipynb", in_lab=True)
    assert server.requests == paid


def test_the_agent_its_documents_and_samples_are_paid_once(run: Callable[..., list[Any]], server: DemoServer) -> None:
    first = run("agents.ipynb", in_lab=True, of="agents.ipynb")
    # Nine texts in two requests; an agent, and another one streamed, with two turns and a search each; three samples.
    assert server.requests == 2 + 2 * 3 + 3
    assert run("agents.ipynb", in_lab=False, of="agents.ipynb") == first
    assert run("a copy.ipynb", in_lab=True, of="agents.ipynb") == first
    assert server.requests == 2 + 2 * 3 + 3


def test_the_agent_replays_whole_its_tools_included(
    run: Callable[..., list[Any]], server: DemoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run("agents.ipynb", in_lab=True, of="agents.ipynb")
    paid = server.requests
    monkeypatch.setenv("NBCACHE_MODE", "replay")
    assert run("agents.ipynb", in_lab=True, of="agents.ipynb") == first
    assert server.requests == paid


def test_functions_tools_and_rules_tell_the_same_story_each_time(
    run: Callable[..., list[Any]], server: DemoServer
) -> None:
    first = run("functions.ipynb", in_lab=False, of="functions.ipynb")
    server.repertoire = Repertoire()  # it has seen no prompt, as the server of another kernel
    assert run("functions.ipynb", in_lab=False, of="functions.ipynb") == first


@pytest.mark.usefixtures("server")
def test_the_demo_server_reports_how_much_of_a_long_prompt_was_sent_before() -> None:
    model, manual = ChatOpenAI(**client_options()), "You keep a lighthouse. " * 400
    usages = [
        model.invoke([("system", manual), ("user", text)]).usage_metadata
        for text in ("Who are you?", "What is a cache?")
    ]
    assert [usage and usage.get("input_token_details", {}).get("cache_read") for usage in usages] == [0, 2_176]


@tool
def look_up(question: str) -> str:
    """Look something up."""
    return f"I was asked: {question}"


def summed(model: Any, messages: Sequence[BaseMessage]) -> AIMessage:
    """The answer of a stream, its chunks put together."""
    first, *others = model.stream(messages)
    for chunk in others:
        first += chunk
    assert isinstance(first, AIMessage)
    return first


@pytest.mark.usefixtures("server")
def test_the_demo_server_says_the_same_whole_and_streamed() -> None:
    model = ChatOpenAI(**client_options()).bind_tools([look_up])
    asked = [HumanMessage("What is foggy?")]
    whole, streamed = model.invoke(asked), summed(model, asked)
    assert whole.text == streamed.text
    assert whole.text.startswith("[demo answer]")
    called = [message.tool_calls[0] | {"id": ""} for message in (whole, streamed)]
    assert called == [{"name": "look_up", "args": {"question": "What is foggy?"}, "id": "", "type": "tool_call"}] * 2
    assert whole.response_metadata["finish_reason"] == streamed.response_metadata["finish_reason"] == "tool_calls"
    assert whole.usage_metadata == streamed.usage_metadata
    result = ToolMessage("The moon is round. A bog is foggy.", tool_call_id=str(whole.tool_calls[0]["id"]))
    answers = [model.invoke([*asked, whole, result]), summed(model, [*asked, whole, result])]
    assert {answer.text for answer in answers} == {"[demo answer] I looked it up: A bog is foggy."}
    assert not any(answer.tool_calls for answer in answers)


@pytest.mark.usefixtures("server")
def test_clients_that_read_the_environment_get_the_demo_servers_answer_and_its_tokens(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[Any] = [{"role": "user", "content": "What is a cache?"}]
    with patch.dict(os.environ):
        for name in ("ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
            os.environ.pop(name, None)
        prepare_clients()
        with OpenAI() as openai, Anthropic() as anthropic, genai.Client() as google:
            chat = openai.chat.completions.create(model="any", messages=asked)
            message = anthropic.messages.create(model="any", max_tokens=100, messages=asked)
            content = google.models.generate_content(model="any", contents=asked[0]["content"])
    assert capsys.readouterr().out.count("a demo server on this machine answers") == 3
    assert chat.choices[0].message.content == content.text == getattr(message.content[0], "text", None)
    assert str(content.text).startswith("[demo answer] A place for answers")
    assert chat.usage
    assert content.usage_metadata
    answered = {
        chat.usage.completion_tokens,
        message.usage.output_tokens,
        content.usage_metadata.candidates_token_count,
    }
    assert len(answered) == 1


@pytest.mark.usefixtures("server")
async def test_the_demo_servers_vectors_are_the_same_in_either_form_and_near_by_words() -> None:
    embeddings = OpenAIEmbeddings(**embedding_options())
    texts = ["When does the boat come?", "The boat comes on Tuesday.", "The cat sleeps."]
    asked, boat, cat = embeddings.embed_documents(texts)  # packed, as the client wants them
    plain = embeddings.client.create(model="any", input=texts, encoding_format="float")
    assert [asked, boat, cat] == [pytest.approx(one.embedding) for one in plain.data]
    assert await embeddings.aembed_query(texts[0]) == asked

    def nearness(vector: list[float]) -> float:
        return sum(a * b for a, b in zip(asked, vector, strict=True))

    assert nearness(boat) > nearness(cat)


def test_the_demo_says_that_the_second_run_made_no_request() -> None:
    environment = {**os.environ, "OPENAI_API_KEY": ""}
    done = subprocess.run(
        [sys.executable, str(NOTEBOOKS / "demo.py")], check=True, capture_output=True, text=True, env=environment
    )
    assert "no request at all" in done.stdout
    assert "demo server" in done.stdout
    assert "jupyter lab" in done.stdout.lower()


RECORDED = (NOTEBOOKS / "replay.llmcache.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)


@pytest.mark.parametrize("number", range(len(RECORDED)))
def test_a_recording_that_is_taken_out_fails_the_one_cell_that_asks_for_it(number: int, tmp_path: Path) -> None:
    shutil.copy(NOTEBOOKS / "replay.ipynb", tmp_path)
    left = [line for at, line in enumerate(RECORDED) if at != number]
    (tmp_path / "replay.llmcache.jsonl").write_text("".join(left), encoding="utf-8")
    command = ("-m", "pytest", "-p", "no:cacheprovider", "--nbval", "--nbcache=replay", "replay.ipynb")
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "1 failed" in done.stdout, done.stdout
    asked = json.loads(RECORDED[number])["messages"][-1]["HumanMessage"]["content"]
    assert f"{asked!r} was never recorded" in done.stdout
    assert "run it with `%llmcache on` and a key" in done.stdout
