"""One piece of logic for threads and event loops: a generator of steps, each done now or awaited."""

from collections.abc import Callable, Generator
from typing import Any, Protocol, TypeVar

from nbcache.concurrency.executor import in_thread
from nbcache.concurrency.loop_turns import take_turn

_T = TypeVar("_T")


class Step(Protocol):
    """What may take a while."""

    def now(self) -> Any:
        """Do it in this thread."""

    async def later(self) -> Any:
        """Do it without holding up the event loop."""


class InThread:
    """Work that takes too long for an event loop."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.now = work

    async def later(self) -> Any:
        """Do it in a thread."""
        return await in_thread(self.now)


def run(steps: Generator[Step, Any, _T]) -> _T:
    """Do the steps in this thread; what the generator returns."""
    try:
        step = next(steps)
        while True:
            try:
                done = step.now()
            except Exception as error:  # noqa: BLE001 - it is the generator's to handle
                step = steps.throw(error)
            else:
                step = steps.send(done)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def arun(steps: Generator[Step, Any, _T]) -> _T:
    """As `run`, on an event loop."""
    await take_turn()
    try:
        step = next(steps)
        while True:
            try:
                done = await step.later()
            except Exception as error:  # noqa: BLE001 - as in `run`
                step = steps.throw(error)
            else:
                step = steps.send(done)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
