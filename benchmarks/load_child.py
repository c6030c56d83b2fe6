"""A fresh IPython: seconds for what a notebook's first cells run.

`python -m benchmarks.load_child imports+load|load|counted`.
"""

import json
import sys
from contextlib import nullcontext
from time import perf_counter

from IPython.core.interactiveshell import InteractiveShell

from .instructions import counted

IMPORTS, LOAD = "from langchain_core.language_models import BaseChatModel, BaseLLM", "%load_ext nbcache"
CELLS = {"imports+load": [IMPORTS, LOAD], "load": [LOAD], "counted": [IMPORTS, LOAD]}
HEAVY = ("pandas", "anywidget", "genai_prices")


def main(what: str) -> None:
    """Run the cells and print as JSON: seconds for each, heavy modules loaded since, and LangChain's cache now."""
    shell = InteractiveShell.instance()
    # Nobody's import: the shell's own first cell.
    shell.run_cell("pass").raise_error()  # type: ignore[no-untyped-call]
    before = set(sys.modules)
    seconds = []
    for cell in CELLS[what]:
        with counted(f"cell|{cell}|1") if what == "counted" else nullcontext():
            start = perf_counter()
            shell.run_cell(cell).raise_error()  # type: ignore[no-untyped-call]
            seconds.append(perf_counter() - start)
    loaded = set(sys.modules) - before

    from langchain_core.globals import get_llm_cache

    heavy = sorted(loaded.intersection(HEAVY))
    json.dump({"seconds": seconds, "heavy": heavy, "cache": type(get_llm_cache()).__name__}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
