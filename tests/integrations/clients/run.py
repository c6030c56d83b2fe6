"""`python -m tests.integrations.clients.run CLIENT FIRST|AGAIN`: a client's script, in a notebook's shell, after `%load_ext nbcache`.

Prints one JSON object: what came back from each row, or the error that it ended with.
"""

import asyncio
import inspect
import json
import sys
import traceback
from collections.abc import Callable
from contextvars import copy_context
from importlib import import_module
from types import ModuleType
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

import nbcache
from tests.integrations.clients.clients import CLIENTS, mark
from tests.integrations.providers.plain import plain

_FUNCTIONS = {"async": "asynchronous"}


class Rows:
    """The rows of one client, run in one event loop, as a notebook's cells are."""

    def __init__(self, client: str, script: ModuleType, runner: asyncio.Runner, *, is_first: bool) -> None:
        self._client = client
        self._script = script
        self._runner = runner
        self._is_first = is_first

    def run(self, row: str) -> Any:
        special: dict[str, Callable[[str], Any]] = {
            "error": self._error,
            "retry": getattr(self._script, "retry", self._script.call),
            "cut stream": self._cut_stream,
            "replay": self._replay,
        }
        function = special.get(row) or getattr(self._script, _FUNCTIONS.get(row, row.replace(" ", "_")))
        return self._result(function, f"{mark(self._client, row)} What is a monad?")

    def _result(self, function: Callable[[str], Any], question: str) -> Any:
        came = function(question)
        return self._runner.run(came, context=copy_context()) if inspect.iscoroutine(came) else came

    def _error(self, question: str) -> str:
        """The provider's error reaches the user as ever."""
        try:
            self._result(self._script.call, question)
        except Exception as error:  # noqa: BLE001 - each client has its own
            return type(error).__qualname__
        raise AssertionError("no error came")

    def _cut_stream(self, question: str) -> Any:
        """A stream that breaks is an error, and what the next try brings is kept."""
        try:
            answer = self._result(self._script.stream, question)
        except Exception:  # noqa: BLE001 - each client has its own
            answer = None
        if (answer is None) != self._is_first:
            raise AssertionError("the stream did not break" if self._is_first else "what broke was kept")
        return self._result(self._script.stream, question) if answer is None else answer

    def _replay(self, question: str) -> Any:
        """In mode replay what is recorded comes, and nothing else is sent."""
        if self._is_first:
            return self._result(self._script.call, question)
        with nbcache.mode("replay"):
            recorded = self._result(self._script.call, question)
            try:
                self._result(self._script.call, f"{question} And a functor?")
            except BaseException as error:  # some wrap it
                if "ReplayMiss" not in "".join(traceback.format_exception(error)):
                    raise
                return recorded
        raise AssertionError("a call that was never recorded got an answer")


def outcomes(client: str, *, is_first: bool) -> dict[str, dict[str, Any]]:
    """By row, `result` or `error`."""
    script = import_module(f"tests.integrations.clients.scripts.{CLIENTS[client].script}")
    with asyncio.Runner() as runner:
        rows = Rows(client, script, runner, is_first=is_first)
        return {row: _outcome(rows, row) for row in CLIENTS[client].rows}


def _outcome(rows: Rows, row: str) -> dict[str, Any]:
    try:
        return {"result": plain(rows.run(row))}
    except BaseException:  # noqa: BLE001 - one row's failure must not hide the others
        return {"error": traceback.format_exc()}


if __name__ == "__main__":
    InteractiveShell.instance().run_line_magic("load_ext", "nbcache")
    print(json.dumps(outcomes(sys.argv[1], is_first=sys.argv[2] == "FIRST")))
