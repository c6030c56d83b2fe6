"""What the calls that everybody makes cost in steps of Python: the same on every machine, however busy it is.

    python -m tests.support.call_counts            prints the counts of this tree
    python -m tests.support.call_counts --write    keeps them in `tests/architecture/call_counts.json`

Counted are the bytecode instructions of nbcache's own functions in the thread of the call, and the functions of others that
they call. Both depend on Python's minor version, and not on LangChain's.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.globals import get_llm_cache
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration

import nbcache
from nbcache.keys import key
from nbcache.session import installation
from tests.servers.provider import Provider
from tests.support.call_path import clock_at, model
from tests.support.paths import ROOT

FILE = ROOT / "tests/architecture/call_counts.json"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_PACKAGE = str(Path(nbcache.__file__).parent)
_TIMES = 25  # a call takes more steps once in a while, as when it wakes a thread: the shortest counts
Counts = dict[str, int]


def of_this_tree() -> dict[str, Counts]:
    """The counts, taken in a fresh process."""
    with Provider() as provider, tempfile.TemporaryDirectory() as folder:
        program = [sys.executable, "-m", "tests.support.call_counts", str(provider.openai["base_url"]), folder]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        done = subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    counts: dict[str, Counts] = json.loads(done.stdout)
    return counts


def expected() -> dict[str, Counts] | None:
    """The counts that are kept for this Python; None if there are none."""
    kept: dict[str, dict[str, Counts]] = json.loads(FILE.read_text(encoding="utf-8"))
    return kept.get(PYTHON)


def write(counts: dict[str, Counts]) -> None:
    """Keep these as the counts for this Python."""
    kept = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    FILE.write_text(json.dumps(dict(sorted((kept | {PYTHON: counts}).items())), indent=2) + "\n", encoding="utf-8")


class _Listener(BaseCallbackHandler):
    """Somebody who listens to every call."""


def _all(url: str) -> dict[str, Counts]:
    client, listener = model(url), _Listener()
    cache: Any = get_llm_cache()

    def updates() -> Iterator[Callable[[], Any]]:
        for number in range(_TIMES):
            answer = [ChatGeneration(message=AIMessage(f"Ganymede, {number}", id="run-1"))]
            yield partial(cache.update, f"[{number}]", "{}---[]", answer)

    def asked(again: int, **options: Any) -> Iterator[Callable[[], Any]]:
        for number in range(_TIMES):
            yield partial(client.invoke, f"Moon {number * again}?", **options)

    def lookups() -> Iterator[Callable[[], Any]]:
        prompts = [dumps([HumanMessage(f"Moon {number}?")]) for number in range(_TIMES)]
        for prompt in prompts:
            cache.update(prompt, "{}---[]", [ChatGeneration(message=AIMessage("Ganymede", id="run-1"))])
        key._call_keys.clear()
        for prompt in prompts:
            yield partial(cache.lookup, prompt, "{}---[]")

    client.invoke("Moon 0?")
    counts = {"a miss": _fewest(asked(1))}
    client.invoke("Moon 0?")
    counts["a repeated hit"] = _fewest(asked(0))
    counts["a repeated hit that is heard"] = _fewest(asked(0, config={"callbacks": [listener]}))
    counts["an update by hand"] = _fewest(updates())
    counts["a lookup by hand"] = _fewest(lookups())
    return counts


def _fewest(calls: Iterator[Callable[[], Any]]) -> Counts:
    """The counts of the shortest of these calls, of which the first makes everything ready."""
    counts, moment = [], time.monotonic()
    for call in calls:
        with _counted(moment) as steps:
            call()
        counts.append(steps)
    return {name: min(each[name] for each in counts[1:]) for name in ("instructions", "calls")}


@contextmanager
def _counted(moment: float) -> Iterator[Counts]:
    """Count what nbcache's own functions do in this thread within the block, in which the clock stands still at a `moment`."""
    counts = {"instructions": 0, "calls": 0}

    def trace(frame: FrameType, _: str, __: Any) -> Any:
        if not _is_ours(frame):
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return step

    def step(_: FrameType, event: str, __: Any) -> Any:
        counts["instructions"] += event == "opcode"
        return step

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "c_call":
            counts["calls"] += _is_ours(frame)
        elif event == "call" and frame.f_back is not None and not _is_ours(frame):
            counts["calls"] += _is_ours(frame.f_back)

    earlier = sys.gettrace(), sys.getprofile()
    with clock_at(moment):
        sys.setprofile(profile)
        sys.settrace(trace)
        try:
            yield counts
        finally:
            sys.settrace(earlier[0])
            sys.setprofile(earlier[1])


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_PACKAGE)


if __name__ == "__main__":
    if sys.argv[1:] in ([], ["--write"]):
        new = of_this_tree()
        print(json.dumps(new, indent=2))
        if sys.argv[1:]:
            write(new)
    else:
        nbcache.install(sys.argv[2])
        print(json.dumps(_all(sys.argv[1])))
        installation.uninstall()
