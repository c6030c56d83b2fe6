"""The quickstart in real kernels: what one run paid, no other run of it pays, wherever and under whatever name."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))

from demo_server import DemoServer  # noqa: E402 - the examples are no package

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),  # of the kernel's client
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[DemoServer]:
    with DemoServer(latency=0) as running:
        monkeypatch.setenv("NBCACHE_DEMO_URL", running.url)
        yield running


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run the quickstart as `name` in a fresh kernel, as JupyterLab does or, without a session, as nbval does."""
    shutil.copy(NOTEBOOKS / "demo_server.py", tmp_path)

    def run_notebook(name: str, *, in_lab: bool) -> None:
        if in_lab:
            monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / name))
        else:
            monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
        notebook = nbformat.read(NOTEBOOKS / "quickstart.ipynb", as_version=4)  # type: ignore[no-untyped-call]
        NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}, timeout=100).execute()

    return run_notebook


def test_recorded_in_lab_it_is_hit_without_a_session_and_under_another_name(
    run: Callable[..., None], server: DemoServer, tmp_path: Path
) -> None:
    run("quickstart.ipynb", in_lab=True)
    paid = server.requests
    assert paid > 0
    assert (tmp_path / ".nbcache" / "cache.db").exists()
    run("quickstart.ipynb", in_lab=False)
    run("a copy.ipynb", in_lab=True)
    assert server.requests == paid


def test_the_demo_says_that_the_second_run_made_no_request() -> None:
    environment = {**os.environ, "OPENAI_API_KEY": ""}
    done = subprocess.run(
        [sys.executable, str(NOTEBOOKS / "demo.py")], check=True, capture_output=True, text=True, env=environment
    )
    assert "no request at all" in done.stdout
    assert "demo server" in done.stdout
    assert "jupyter lab" in done.stdout.lower()
