"""The items of a memoized generator: recorded while they are read, stored at the end, and played item by item.

A generator runs in the context of its reader, so its call is the current one only while an item is made. What a reader sends or
throws in is no argument: such a call is not stored. If a played generator gets any, the function itself goes on from there.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType, FunctionType
from typing import Any

from langchain_core.outputs import Generation

from nbcache.cache.call import current_call, running
from nbcache.cache.memory import CachedAnswer
from nbcache.codec.values import as_generation, value_in
from nbcache.concurrency.executor import in_thread
from nbcache.integrations.functions.call_course import MemoizedCall, lost
from nbcache.integrations.functions.memoized import MISSING
from nbcache.integrations.functions.stepping import Source, Step

_MOST = 100_000  # items that are kept in memory until the end, of which there may be none
_SENT = "what was sent or thrown into it isn't recorded"
_Make = Callable[[], Any]


class _Items:
    """The items of a generator so far, each as it was when it was made. `refused` says why none is kept, if so."""

    def __init__(self, function: FunctionType) -> None:
        self._function = function
        self._forms: list[Any] = []
        self._texts: list[str] = []
        self.refused: str | None = None

    def add(self, item: Any) -> None:
        """Keep an item before its reader, who may change it, gets it."""
        if self.refused is not None:
            return
        number = len(self._forms) + 1
        if number > _MOST:
            self.refuse(f"it has more than {_MOST:,} items")
            return
        try:
            generation = as_generation(item, self._function)
        except Exception as error:  # noqa: BLE001 - an object's own code, too: the reader has to get it
            self.refuse(f"of item {number}, {lost(error)}")
        else:
            self._forms.append(_form(generation))
            self._texts.append(generation.text)

    def refuse(self, why: str) -> None:
        """Keep nothing of this generator."""
        self.refused = why
        self._forms.clear()
        self._texts.clear()

    def generation(self, value: Any) -> Generation:
        """All items, and what the generator returned, as the answer of a call. Raises NotStorableError."""
        end = as_generation(value, self._function)
        texts = self._texts if value is None else [*self._texts, end.text]
        text = "\n".join(texts)
        info = {"value": _form(end), "items": self._forms}
        return Generation(text=text if text.strip() else f"{len(self._forms)} items", generation_info=info)


def _form(generation: Generation) -> Any:
    return (generation.generation_info or {})["value"]


def items_in(answer: CachedAnswer, function: FunctionType) -> tuple[list[Any], Any]:
    """The items of a recorded generator, and what it returned, as new objects. Raises NotStorableError or DamagedError."""
    info = answer.generations()[0].generation_info or {}
    forms = [*info["items"], info["value"]]
    *items, value = (value_in(Generation(text="", generation_info={"value": form}), function) for form in forms)
    return items, value


def source_of(run: MemoizedCall, make: _Make) -> Source:
    """What makes the items of the generator that `make` makes: its recording, or the generator itself. Raises ReplayMiss."""
    with run:
        found = run.find()
        run.goes_on = found is MISSING
    return _Recorded(run, make()) if found is MISSING else _Played(run, make, *found)


async def asource_of(run: MemoizedCall, make: _Make) -> Source:
    """As `source_of`, of an async generator."""
    with run:
        found = await run.afind()
        run.goes_on = found is MISSING
    return _Recorded(run, make()) if found is MISSING else _Played(run, make, *found)


class _Recorded(Source):
    """A generator whose items are stored at its end."""

    def __init__(self, run: MemoizedCall, live: Any) -> None:
        super().__init__(live)
        self._run = run
        self._items = _Items(run.memoized.function)
        self._handed_out: float | None = None

    def make(self, step: Step) -> Any:
        with self._making(step, sys._getframe(1)):  # noqa: SLF001 - the frame that makes the call
            item = super().make(step)
        return self._kept(item)

    async def amake(self, step: Step) -> Any:
        with self._making(step, sys._getframe(1)):  # noqa: SLF001 - as above
            item = await super().amake(step)
        return self._kept(item)

    @contextmanager
    def _making(self, step: Step, frame: FrameType) -> Iterator[None]:
        call = self._run.call
        if self._handed_out is not None:
            call.idle += time.perf_counter() - self._handed_out
        if not step.only_takes:
            self._items.refuse(_SENT)
        call.frame = frame
        token = call.token = current_call.set(call)
        try:
            yield
        finally:
            current_call.reset(token)

    def _kept(self, item: Any) -> Any:
        self._items.add(item)
        self._handed_out = time.perf_counter()
        return item

    def end(self, value: Any) -> None:
        self._run.keep(partial(self._items.generation, value), self._items.refused)

    async def aend(self) -> None:
        await in_thread(partial(self.end, None), writes=True)

    def close(self) -> None:
        with running(self._run.call):
            super().close()

    async def aclose(self) -> None:
        with running(self._run.call):
            await super().aclose()


class _Played(Source):
    """A recorded generator: its items, and what it returned, until something is sent or thrown in."""

    def __init__(self, run: MemoizedCall, make: _Make, items: list[Any], value: Any) -> None:
        super().__init__(None)
        self._run = run
        self._make = make
        self._items = items
        self._value = value
        self._played = 0

    def make(self, step: Step) -> Any:
        if self.live is None and not step.only_takes:
            self._run.forbid_in_replay(_SENT)
            self.live = self._make()
            for _ in range(self._played):
                next(self.live)
        return self._next() if self.live is None else super().make(step)

    async def amake(self, step: Step) -> Any:
        if self.live is None and not step.only_takes:
            self._run.forbid_in_replay(_SENT)
            self.live = self._make()
            for _ in range(self._played):
                await anext(self.live)
        return self._next(StopAsyncIteration) if self.live is None else await super().amake(step)

    def _next(self, end: type[Exception] = StopIteration) -> Any:
        if self._played == len(self._items):
            raise end(self._value)
        self._played += 1
        return self._items[self._played - 1]

    def close(self) -> None:
        if self.live is not None:
            super().close()

    async def aclose(self) -> None:
        if self.live is not None:
            await super().aclose()
