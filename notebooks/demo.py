"""`make demo`: run the quickstart twice, each time in a fresh kernel, and print what the second run saved.

The notebook runs as a copy in memory and its cache is a temporary folder, so the user's own stay as they are.
"""

import json
import os
import sys
import tempfile
import time
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import nbformat
from demo_server import DemoServer
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.tracers.context import register_configure_hook
from nbclient import NotebookClient

import nbcache

NOTEBOOK = Path(__file__).with_name("quickstart.ipynb")

Figures = dict[str, float]


class Tally(BaseCallbackHandler):
    """Notes the tokens that each answer reports, from the model and from the cache apart, and the time."""

    run_inline = True

    def __init__(self) -> None:
        self.paid: list[int] = []
        self.saved: list[int] = []
        self.started = time.perf_counter()

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        generation = response.generations[0][0]
        if not isinstance(generation, ChatGeneration) or not isinstance(generation.message, AIMessage):
            return
        info, usage = nbcache.info(generation.message), generation.message.usage_metadata
        if usage:
            (self.saved if info and info.hit else self.paid).append(usage["total_tokens"])


def watch() -> Tally:
    """Listen to all LangChain calls of this kernel: the first cell that the runner adds."""
    tally = Tally()
    # The handler is the variable's default and not its value, so that other threads (a batch) see it too.
    register_configure_hook(ContextVar("nbcache_demo_tally", default=tally), inheritable=True)
    return tally


def report(tally: Tally) -> str:
    """Tell this kernel's figures as JSON: the last cell that the runner adds."""
    stats = nbcache.stats()
    figures: Figures = {
        "hits": stats.hits,
        "misses": stats.misses,
        "tokens paid": sum(tally.paid),
        "tokens saved": sum(tally.saved),
        "seconds": time.perf_counter() - tally.started,
    }
    return json.dumps(figures)


def run_notebook(environment: dict[str, str]) -> Figures:
    """Run the notebook in a kernel of its own, and return that kernel's report."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    watch_cell, report_cell = _cell("import demo; tally = demo.watch()"), _cell("print(demo.report(tally))")
    notebook.cells = [watch_cell, *notebook.cells, report_cell]
    client = NotebookClient(
        notebook,
        resources={"metadata": {"path": str(NOTEBOOK.parent)}},
        extra_arguments=["--log-level=ERROR"],  # some kernels warn at every start that loopback is not encrypted
    )
    client.execute(env=environment)
    printed = "".join(output["text"] for output in report_cell.outputs if output.get("name") == "stdout")
    figures: Figures = json.loads(printed)
    return figures


def _cell(source: str) -> nbformat.NotebookNode:
    cell: nbformat.NotebookNode = nbformat.v4.new_code_cell(source)  # type: ignore[no-untyped-call]
    return cell


def run_twice() -> tuple[Figures, Figures]:
    """Run the notebook with an empty cache, then again with what the first run left."""
    # What the user has set for nbcache (a mode, a folder, a limit) is for their own notebooks, not for the demo.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NBCACHE_")}
    provider = bool(environment.get("OPENAI_API_KEY"))
    print(f"OPENAI_API_KEY is {'set: the provider' if provider else 'not set: a demo server'} answers.")
    runs: list[Figures] = []
    with tempfile.TemporaryDirectory() as folder, DemoServer() as server:
        environment |= {"NBCACHE_DIR": folder, "NBCACHE_DEMO_URL": server.url}
        for introduction in ("First run: a fresh kernel, an empty cache ...", "Second run: another fresh kernel ..."):
            print(introduction, flush=True)
            before = server.requests
            figures = run_notebook(environment)
            # Only the demo server can count what really came in; for the provider there is nbcache's word.
            runs.append({"requests made": figures["misses"] if provider else server.requests - before} | figures)
    first, second = runs
    return first, second


def main() -> int:
    """Run the demo; the exit status is 1 if the second run did not do what it is there to show."""
    first, second = run_twice()
    print(f"\n{'':24}{'first run':>12}{'second run':>12}")
    for name, figure in first.items():
        decimals = 1 if isinstance(figure, float) else 0
        print(f"{name:24}{figure:12,.{decimals}f}{second[name]:12,.{decimals}f}")
    if not first["requests made"] or second["requests made"]:
        print("\nThis is wrong: the first run should have made requests, and the second none.", file=sys.stderr)
        return 1
    jupyter = Path(sys.executable).with_name("jupyter")
    print("\nThe second run made no request at all.")
    print(f"See for yourself: {os.path.relpath(jupyter)} lab {os.path.relpath(NOTEBOOK)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
