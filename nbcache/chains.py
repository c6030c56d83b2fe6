"""The chains that a call is a part of, by their names: LangChain tells them to callback handlers alone."""

from collections import OrderedDict
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook

from nbcache.locks import Lock

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
            while len(self._runs) > _RUNS:
                self._runs.popitem(last=False)

    def names(self, run_id: UUID | None) -> Iterator[str]:
        """The names of a chain and those around it."""
        while run_id is not None and (known := self._runs.get(run_id)) is not None:
            name, run_id = known
            yield name


_chains = _Chains()
_hook: ContextVar[_Chains | None] | None = None


def watch_chains() -> None:
    """Let LangChain tell of chains from now on: of every thread, since the handler is the variable's default."""
    global _hook  # noqa: PLW0603 - LangChain keeps a hook for good, so there is one
    if _hook is None:
        _hook = ContextVar("nbcache_chains", default=_chains)
        register_configure_hook(_hook, inheritable=True)
    _chains.ignores_chains = False


def ignore_chains() -> None:
    """Let LangChain tell no more."""
    _chains.ignores_chains = True


def chain_names(run_id: UUID | None) -> Iterator[str]:
    """The names of the chain `run_id` and of those around it, the innermost first."""
    return _chains.names(run_id)
