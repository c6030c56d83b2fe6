"""The call that is running: what `instrument` knows of it and `BaseCache.lookup` is not told."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.language_models.base import BaseLanguageModel

    from nbcache.entry import CallRecord
    from nbcache.keys import CallKey


@dataclass(slots=True)
class Miss:
    """A prompt that was looked up in vain: its key, if it has one, its line in the ledger, and when it began.

    `began` is by the clock that only goes forward (`time.perf_counter`).
    """

    asked: "CallKey | None"
    record: "CallRecord"
    began: float


@dataclass(slots=True)
class Call:
    """A model and the options that it was called with.

    `pending` holds the prompts that missed: the answer is stored under the identity that the call began
    with, whatever happens to the model meanwhile. `misses` is how many there were. `numbers` are the
    model's whole-number fields then, to tell counters from settings.
    """

    model: "BaseLanguageModel[Any]"
    stop: "Sequence[str] | None" = None
    options: "Mapping[str, Any]" = field(default_factory=dict)
    is_chat: bool = True
    mode: str | None = None
    pending: "dict[str, list[Miss]]" = field(default_factory=dict)
    misses: int = 0
    numbers: dict[str, int] = field(default_factory=dict)

    def classes(self) -> "list[type[BaseModel]]":
        """The pydantic classes among the options: those of which the caller expects instances."""
        return [value for value in self.options.values() if isinstance(value, type) and issubclass(value, BaseModel)]


current_call: ContextVar[Call | None] = ContextVar("nbcache_call", default=None)
