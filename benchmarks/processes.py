"""What only a new process can show: the first hit in one, and what `%load_ext nbcache` adds to a fresh IPython."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from langchain_core.globals import set_llm_cache

import nbcache

from . import BenchError
from . import contenders as those
from .model import chat_model
from .provider import Provider, provider
from .timing import Series, alternate
from .workload import answer, question

ROOT = Path(__file__).parents[1]
PATIENCE = 120  # seconds for one process
OURS, SQLITE = "nbcache", those.SQLITE
IMPORTS, AFTER_IMPORTS, ALONE = "the two imports", "%load_ext after the two imports", "%load_ext alone"


def first_hit(folder: Path, rounds: int) -> dict[str, Series]:
    """Seconds from before any import to the first answer of `llm.invoke`, which an earlier process paid."""
    with provider([0]) as server:
        llm = chat_model(server.base_url)
        stores = {OURS: folder / "nbcache", SQLITE: folder / "langchain.db"}
        nbcache.install(stores[OURS])
        llm.invoke(question(0))
        nbcache.uninstall()
        cache = those.sqlite_cache(stores[SQLITE])
        set_llm_cache(cache)
        llm.invoke(question(0))
        set_llm_cache(None)
        cache.engine.dispose()
        paid = server.requests
        runs = {name: partial(_first_answer, server, name, store) for name, store in stores.items()}
        for run in runs.values():
            run(-1)  # compiles and reads from disk what the others would profit from
        times = alternate(runs, rounds)
        if server.requests != paid:
            raise BenchError("a first call in a new process was no hit")
        return times


def _first_answer(server: Provider, name: str, store: Path, _number: int) -> float:
    asked = json.dumps([(message.type, message.content) for message in question(0)])
    said = _child("first_hit_child", name, str(store), server.base_url, given=asked)
    if said["answer"] != answer(0):
        raise BenchError(f"{name} gave a new process a wrong answer")
    return float(said["seconds"])


@dataclass(frozen=True)
class Load:
    """Seconds in a fresh IPython for each of IMPORTS, AFTER_IMPORTS and ALONE; and heavy modules found loaded."""

    times: dict[str, Series]
    heavy: tuple[str, ...]

    @property
    def ratio(self) -> float:
        """Imports and `%load_ext` against the same imports in the same process."""
        both = zip(self.times[IMPORTS].rounds, self.times[AFTER_IMPORTS].rounds, strict=True)
        return Series(tuple((imports + load) / imports for imports, load in both)).median


def load_ext(rounds: int) -> Load:
    """Each time in a new process and a new folder, where `%load_ext` makes its store."""
    heavy: set[str] = set()
    first: list[float] = []

    def run(what: str, _number: int) -> float:
        said = _in_fresh_ipython(what)
        heavy.update(said["heavy"])
        if what == "imports+load":
            first.append(said["seconds"][0])
        return float(said["seconds"][-1])

    for what in ("imports+load", "load"):
        run(what, -1)
    first.clear()
    times = alternate({AFTER_IMPORTS: partial(run, "imports+load"), ALONE: partial(run, "load")}, rounds)
    return Load({IMPORTS: Series(tuple(first)), **times}, tuple(sorted(heavy)))


def _in_fresh_ipython(what: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        said = _child("load_child", what, folder=folder)
    if said["cache"] != "NotebookCache":
        raise BenchError(f"%load_ext nbcache left LangChain with {said['cache']}")
    return said


def _child(module: str, *arguments: str, given: str = "", folder: str | None = None) -> dict[str, Any]:
    """Run a module of the bench in a new process. What it printed, as JSON; a process that fails, fails the bench."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    if folder is not None:
        environment["IPYTHONDIR"] = folder
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, timeout=PATIENCE, cwd=folder, env=environment, check=False
    )
    if done.returncode or "NbcacheWarning" in done.stderr:
        raise BenchError(f"{module} {' '.join(arguments[:1])} failed:\n{done.stderr}")
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said
