"""Functions in a notebook's kernel: an edited cell runs again, one that is run again does not, nor does it in the next kernel."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),  # of the kernel's client
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
DEFINED = """
from dataclasses import dataclass

@dataclass
class Verdict:
    text: str
    marks: int

def marks(text):
    return len(text)

@nbcache.memoize
def judge(text):
    print('runs')
    return Verdict(text, marks(text))
"""
CELLS = [
    "%load_ext nbcache\nimport nbcache",
    DEFINED,
    "judge('a boat')",
    "judge('a boat')",
    DEFINED.replace("print('runs')", "print('runs')  # a comment"),
    "judge('a boat')",
    DEFINED.replace("len(text)", "len(text) + 1"),
    "judge('a boat')",
    "def marks(text):\n    return 0",
    "judge('a boat')",
    DEFINED,
    "judge('a boat')",
    "async def main():\n    return await later('a')\n\n@nbcache.memoize\nasync def later(text):\n    print('runs')\n    return text",
    "await main()",
    "await main()",
]


def outputs(folder: Path) -> list[str]:
    """What the cells that call a function printed and returned, run in a fresh kernel."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])  # type: ignore[no-untyped-call]
    NotebookClient(notebook, resources={"metadata": {"path": str(folder)}}, timeout=100).execute()
    calls = [cell for cell in notebook.cells if cell.source.startswith(("judge", "await"))]
    return [
        " ".join(output.get("text") or output["data"]["text/plain"] for output in cell.outputs).replace("\n", "")
        for cell in calls
    ]


def test_an_edit_of_what_runs_runs_it_again_and_nothing_else_does(tmp_path: Path) -> None:
    six, seven, none = (f"Verdict(text='a boat', marks={marks})" for marks in (6, 7, 0))
    assert outputs(tmp_path) == [f"runs {six}", six, six, f"runs {seven}", f"runs {none}", six, "runs 'a'", "'a'"]
    assert outputs(tmp_path) == [six, six, six, seven, none, six, "'a'", "'a'"]
