"""What README and the pages show was run: each page's examples, in order, in a notebook's shell and a terminal of their own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

import nbcache
from nbcache.session import installation
from tests.docs.answers import ANSWERS
from tests.docs.model import Model, redirected
from tests.docs.pages import LANGUAGES, PAGES, Example, examples, matches
from tests.servers.provider import Provider
from tests.support.paths import ROOT

_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")
_OUT = re.compile(r"^Out\[\d+\]: \n?", re.MULTILINE)
_BEGINNING = """\
%load_ext nbcache
from langchain_openai import ChatOpenAI
llm = ChatOpenAI(model="gpt-4o-mini")
import nbcache
"""


class Desk:
    """A notebook's shell and a terminal in one folder, `project`, which has a notebook `monads.ipynb`."""

    def __init__(self, folder: Path, model: Provider) -> None:
        self.folder = folder
        self._environment = {"OPENAI_BASE_URL": f"{model.url}/v1"}  # of other processes, which can't be redirected
        self.shell = InteractiveShell.instance(colors="nocolor")
        cells = ["%load_ext nbcache", _BEGINNING.split("\n", 1)[1], 'print(llm.invoke("What is a monad?").text)']
        new = nbformat.v4
        notebook = new.new_notebook(cells=[new.new_code_cell(cell) for cell in cells])  # type: ignore[no-untyped-call]
        nbformat.write(notebook, folder / "monads.ipynb")  # type: ignore[no-untyped-call]

    def run(self, example: Example) -> str:
        """Do what the example says; what it printed and displayed."""
        if name := example.note_of("file"):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(example.source, encoding="utf-8")
            return ""
        if example.language == "console":
            return self._typed(example.source, succeeds=example.output is None)
        return self._cell(example.source, example.note_of("raises"))

    def _cell(self, source: str, error: str | None = None) -> str:
        with capture_output() as captured:
            done = self.shell.run_cell(source, store_history=True)  # type: ignore[no-untyped-call]
        raised = done.error_before_exec or done.error_in_exec
        name = type(raised).__name__ if raised else None
        assert name == error, f"{source}\n{captured.stdout}{captured.stderr}{raised!r}"
        shown = "".join(f"{output.data.get('text/plain', '')}\n" for output in captured.outputs)
        printed = captured.stdout + captured.stderr + shown
        return f"{name}: {raised}" if raised else _OUT.sub("", printed)

    def _typed(self, source: str, *, succeeds: bool) -> str:
        commands = [line.removeprefix("$ ") for line in source.splitlines() if line.startswith("$ ")]
        if source.startswith("$ pip install") or all(is_target(command) for command in commands):
            return ""
        done = subprocess.run(
            ["bash", "-c", "\n".join(commands)],
            cwd=self.folder,
            env={**os.environ, **self._environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert not (succeeds and done.returncode), f"{source}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def is_target(command: str) -> bool:
    """Whether it is a `make` whose target there is; tests don't run it."""
    program, *rest = command.split("#", maxsplit=1)[0].split()
    targets = [word for word in rest if "=" not in word]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return program == "make" and all(f"\n{target}:" in makefile for target in targets)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for key in _KEYS:
        monkeypatch.setenv(key, "sk-test")
    environment = {
        "HOME": tmp_path,
        "IPYTHONDIR": tmp_path / "ipython",
        "JPY_SESSION_NAME": folder / "monads.ipynb",
        "PATH": os.pathsep.join([str(_commands(tmp_path)), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": ROOT,
        "COLUMNS": 120,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    InteractiveShell.clear_instance()
    with Model(ANSWERS, seconds=2e-5) as model, redirected(model.url):
        made = Desk(folder, model)
        yield made
        installation.end()
        nbcache.unload_ipython_extension(made.shell)
    InteractiveShell.clear_instance()


def _commands(folder: Path) -> Path:
    """A folder with the command `nbcache`, as this tree has it."""
    command = folder / "bin" / "nbcache"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nbcache "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    return command.parent


@pytest.mark.timeout(600)  # a page may run pytest and notebooks, on a busy machine
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of what the examples start
def test_the_examples_of_a_page_do_what_it_shows(page: Path, desk: Desk) -> None:
    blocks = list(examples(page.read_text(encoding="utf-8")))
    if not any("%load_ext nbcache" in block.source for block in blocks):
        desk.run(Example(0, "python", _BEGINNING, "", None))
    for block in blocks:
        place = f"{page.name}:{block.line}"
        assert block.language in LANGUAGES, f"{place}: a block says what it is, one of {sorted(LANGUAGES)}"
        if block.note_of("not run") or (block.language not in {"python", "console"} and not block.note_of("file")):
            continue
        printed = desk.run(block)
        assert block.output is None or matches(block.output, printed), f"{place} printed\n{printed}"
