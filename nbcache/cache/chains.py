"""The names of the chains that a call is a part of. LangChain reports them to callback handlers only."""

import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

from nbcache.concurrency.locks import Lock

_RUNS = 10_000


class _Chains(BaseCallbackHandler):
    """Notes the names of the chains that begin, and which of them began within which."""

    run_inline = True  # before the chain's models are called, in the caller's own thread

    def __init__(self) -> None:
        self.ignores_chains = False
        self._runs: OrderedDict[UUID, tuple[str, UUID | None]] = OrderedDict()
        self._lock = Lock()

    @property
    def ignore_llm(self) -> bool:
        """Whether models are no matter."""
        return True

    @property
    def ignore_chain(self) -> bool:
        """Whether nobody wants to know of chains."""
        return self.ignores_chains

    ignore_chat_model = ignore_retriever = ignore_agent = ignore_llm

    def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """A chain begins."""
        del serialized, inputs
        with self._lock:
            self._runs[run_id] = (str(kwargs.get("name") or ""), parent_run_id)
            for around in list(self._around(parent_run_id)):
                self._runs.move_to_end(around)  # what still runs is not forgotten
            while len(self._runs) > _RUNS:
                self._runs.popitem(last=False)

    def names(self, run_id: UUID | None) -> Iterator[str]:
        """The names of a chain and those around it."""
        for around in self._around(run_id):
            yield self._runs.get(around, ("", None))[0]

    def _around(self, run_id: UUID | None) -> Iterator[UUID]:
        """The run and those around it, the innermost first; each once, whatever ids somebody gives."""
        visited: set[UUID] = set()
        while run_id is not None and run_id not in visited and (run := self._runs.get(run_id)) is not None:
            visited.add(run_id)
            yield run_id
            run_id = run[1]


_chains = _Chains()
_hook: ContextVar[_Chains | None] | None = None


def watch_chains(*, wanted: bool) -> None:
    """Start or stop noting chains. That holds for every thread, since the handler is the default of its variable."""
    global _hook  # noqa: PLW0603 - LangChain keeps a hook for good, so there is one
    if _hook is None and wanted:
        from langchain_core.tracers.context import register_configure_hook  # noqa: PLC0415 - it loads LangSmith's client

        _hook = ContextVar("nbcache_chains", default=_chains)
        register_configure_hook(_hook, inheritable=True)
    _chains.ignores_chains = not wanted


def listens(handler: object) -> bool:
    """Whether a handler of a model's call may listen to it. The one that watches chains does not."""
    return handler is not _chains


def run_here() -> UUID | None:
    """The innermost chain that runs here, for a call that LangChain doesn't make: an SDK's, or one to embed texts."""
    config = sys.modules.get("langchain_core.runnables.config")  # no chain runs before it is loaded
    around = None if config is None else config.var_child_runnable_config.get()
    return getattr((around or {}).get("callbacks"), "parent_run_id", None)


def chain_names(run_id: UUID | None) -> Iterator[str]:
    """The names of the chain `run_id` and of those around it, the innermost first."""
    return _chains.names(run_id)
