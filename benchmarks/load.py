"""What `%load_ext nbcache` adds to a fresh IPython."""

import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from . import BenchError, instructions
from .columns import NBCACHE
from .figures import Figures
from .processes import output_of
from .rows import IMPORTS
from .timing import alternate


def measure(rounds: int, figures: Figures) -> None:
    """Each time in a new process and a new folder, where `%load_ext` makes its store."""
    for what in ("imports+load", "load"):
        _fresh_ipython(what, -1)
    runs = {what: partial(_fresh_ipython, what) for what in ("imports+load", "load")}
    found = alternate(runs, rounds)
    for both, alone in zip(found["imports+load"], found["load"], strict=True):
        imports, load = both
        for row, ours in (("load", imports + load), ("load alone", alone[0])):
            figures.add(row, NBCACHE, ours)
            figures.add(row, IMPORTS, imports)


def counted() -> dict[str, dict[str, float]]:
    """Instructions of the imports, alone and with `%load_ext`."""
    _fresh_ipython("load", -1)  # it compiles what isn't yet
    with tempfile.TemporaryDirectory() as folder:
        program = [sys.executable, "-m", "benchmarks.load_child", "counted"]
        imports, load = instructions.of_program(program, Path(folder))["cell"].values()
    return {"load": {IMPORTS: imports, NBCACHE: imports + load}}


def _fresh_ipython(what: str, _number: int) -> list[float]:
    """Seconds of each cell."""
    with tempfile.TemporaryDirectory() as folder:
        program = [sys.executable, "-m", "benchmarks.load_child", what]
        found: dict[str, Any] = json.loads(output_of(program, Path(folder)).splitlines()[-1])
    if found["cache"] != "NotebookCache" or found["heavy"]:
        raise BenchError(f"%load_ext nbcache left LangChain with {found['cache']}, and loaded {found['heavy']}")
    return list(found["seconds"])
