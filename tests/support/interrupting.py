"""Interrupts an operation at its lines, one after the other, and looks each time whether all else goes on.

`python -m tests.support.interrupting OPERATION FOLDER [SHARE]` in a process of its own, whose main thread is a real one: the tests
run each operation so. With a share of 1 it takes every line, each time that it is passed; with more, a part of them.
"""

import gc
import os
import signal
import sqlite3
import sys
import tempfile
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

import nbcache
from nbcache.cache.modes import Settings
from nbcache.session import installation
from tests.support.rows import full

LIMIT = 20.0  # seconds: far more than any of it takes
SLOW = 1.5  # seconds: a fork that waits for somebody who is not there takes three
OURS = str(Path(nbcache.__file__).parent)
Place = tuple[str, int, int]


class Echo(BaseChatModel):
    """Its answer tells the prompt, so that a wrong one shows."""

    @property
    def _llm_type(self) -> str:
        return "echo"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": "echo-1"}

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        text = f"answer to {messages[-1].content}"
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text))])

    def _stream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> Any:
        for word in f"answer to {messages[-1].content}".split(" "):
            yield ChatGenerationChunk(message=AIMessageChunk(content=f"{word} "))


model = Echo()
_folder = Path()
_prompts = iter(range(10**9))


def _new() -> str:
    return f"prompt {next(_prompts)}"


def _mode_block() -> None:
    with nbcache.mode("refresh", tags="t"):
        model.invoke("old")


def _samples() -> None:
    with nbcache.mode(samples=True):
        model.invoke("old")
        model.invoke("old")


def _forget_memory() -> None:
    nbcache.installed()._lookup._memory.entries.clear()


def _cell() -> None:
    cache = nbcache.installed()
    try:
        cache.enter_cell("cell", Settings("refresh"))
        model.invoke("old")
    finally:
        cache.leave_cell()  # IPython says it at the end, whatever it was


def _reinstall() -> None:
    nbcache.install(nbcache.installed().store)


def _off_and_on() -> None:
    nbcache.uninstall()
    nbcache.install(_folder)


OPERATIONS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {  # and what comes before it
    "hit": (lambda: model.invoke("old"), lambda: model.invoke("old")),
    "read": (lambda: model.invoke("old"), _forget_memory),
    "miss": (lambda: model.invoke(_new()), lambda: None),
    "stream": (lambda: list(model.stream(_new())), lambda: None),
    "played": (lambda: list(model.stream("old")), lambda: None),
    "batch": (lambda: model.batch([_new()]), lambda: None),
    "mode": (_mode_block, lambda: None),
    "samples": (_samples, lambda: None),
    "cell": (_cell, lambda: None),
    "flush": (lambda: nbcache.installed().flush(), lambda: model.invoke(_new())),
    "stats": (nbcache.stats, lambda: model.invoke(_new())),
    "evict": (lambda: full(nbcache.installed().store).delete("0" * 40), lambda: None),
    "clear": (nbcache.clear, lambda: model.invoke(_new())),
    "check": (nbcache.check, lambda: None),
    "export": (lambda: nbcache.export_cassette(_folder / "export.jsonl"), lambda: model.invoke(_new())),
    "reinstall": (_reinstall, lambda: None),
    "uninstall": (_off_and_on, lambda: None),
}


class Interrupt:
    """Raises KeyboardInterrupt at the line that is passed as number `at`, of nbcache's own; notes the lines before it."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.passed: list[Place] = []
        self.where = ""

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        return self._line if _is_ours(frame.f_code) else None

    def _line(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "line" and not _is_in_finalizer(frame):
            self.passed.append((frame.f_code.co_filename, frame.f_code.co_firstlineno, frame.f_lineno))
            if len(self.passed) - 1 == self.at:
                sys.settrace(None)
                self.where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} in {frame.f_code.co_name}"
                raise KeyboardInterrupt
        return self._line


def _is_in_finalizer(frame: FrameType | None) -> bool:
    """Whether a finalizer runs: Python itself ignores what is raised in one, an interrupt, too."""
    while frame is not None and frame.f_code is not weakref.finalize.__call__.__code__:
        frame = frame.f_back
    return frame is not None


def _is_ours(code: CodeType) -> bool:
    return code.co_filename.startswith(OURS)


def _interrupted(operation: Callable[[], Any], at: int | None) -> tuple[Interrupt, bool]:
    interrupt = Interrupt(at)
    sys.settrace(interrupt)
    try:
        operation()
    except KeyboardInterrupt:
        return interrupt, True
    finally:
        sys.settrace(None)
    return interrupt, False


def _goes_on() -> list[str]:
    """What doesn't, after an interrupt."""
    wrong = []
    if not installation.is_installed():
        nbcache.install(_folder)
    nbcache.installed().enter_cell("the next", Settings())
    mode = nbcache.installed().settings_now.mode
    if mode != "on":
        wrong.append(f"mode is {mode}")
    answers: list[str] = []
    prompts = ["old", _new()]
    thread = threading.Thread(
        target=lambda: answers.extend(model.invoke(each).text.strip() for each in prompts), daemon=True
    )
    thread.start()
    thread.join(LIMIT)
    if thread.is_alive():
        return [*wrong, "another thread hangs"]
    if answers != [f"answer to {each}" for each in prompts]:
        wrong.append(f"answers are {answers}")
    began = time.monotonic()
    pid = os.fork()
    if not pid:
        signal.alarm(int(LIMIT))
        os._exit(0 if model.invoke("old").text.strip() == "answer to old" else 1)
    if (took := time.monotonic() - began) > SLOW:
        wrong.append(f"a fork took {took:.1f} s")
    if os.waitpid(pid, 0)[1]:
        wrong.append("a forked child failed or hung")
    if model.invoke("old").text.strip() != "answer to old":
        wrong.append("a call was answered wrongly")
    other = sqlite3.connect(_folder / "cache.db", timeout=LIMIT, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        wrong.append(f"another process: {error}")
    finally:
        other.close()
    return wrong


def sweep(name: str, folder: Path, share: int) -> list[str]:
    """What went wrong where, for each line of the operation that was interrupted."""
    global _folder  # noqa: PLW0603 - what the operations work on
    _folder = folder
    nbcache.install(folder)
    model.invoke("old")
    operation, before = OPERATIONS[name]
    before()
    operation()  # what is loaded at first use is loaded
    before()
    passed = _interrupted(operation, None)[0].passed
    chosen = range(len(passed)) if share == 1 else _chosen(passed, share)
    problems = []
    for at in chosen:
        before()
        interrupt, came_through = _interrupted(operation, at)
        if not interrupt.where:
            continue  # it took another way, and was done before
        wrong = [] if came_through else ["the interrupt was swallowed"]
        wrong += [f"it left {path.name}" for path in folder.glob(".export.jsonl.*")]
        wrong += _goes_on()
        problems += [f"{name}, {interrupt.where}: {each}" for each in wrong]
        if any("hang" in each for each in wrong):
            break
    problems += nbcache.check()
    print(f"{name}: {len(chosen)} of {len(passed)} lines, {len(problems)} problems")
    return problems


def _chosen(passed: list[Place], share: int) -> list[int]:
    """The first and the last time that a line is passed, of every so many lines."""
    first: dict[Place, int] = {}
    last: dict[Place, int] = {}
    for at, place in enumerate(passed):
        first.setdefault(place, at)
        last[place] = at
    return sorted({*first.values(), *last.values()})[::share]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    names = list(OPERATIONS) if sys.argv[1] == "all" else [sys.argv[1]]
    found = []
    for each in names:
        found += sweep(each, Path(tempfile.mkdtemp(dir=sys.argv[2])), int(sys.argv[3]))
        installation.end()
        gc.collect()
    print("\n".join(found))
    sys.stdout.flush()
    os._exit(bool(found))
