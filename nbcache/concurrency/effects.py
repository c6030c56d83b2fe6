"""One generator for threads and event loops: it yields effects, which are run in the thread or awaited on the loop."""

from collections.abc import Callable, Generator
from typing import Any, Protocol, TypeVar

from nbcache.concurrency.executor import in_thread

_T = TypeVar("_T")


class Effect(Protocol):
    """Something that may take a while, such as a read of the store."""

    def run(self) -> Any:
        """Do it in this thread."""

    async def arun(self) -> Any:
        """Do it without blocking the event loop."""


class InThread:
    """Work that takes too long for an event loop."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.run = work

    async def arun(self) -> Any:
        """Do it in a thread."""
        return await in_thread(self.run)


def drive(effects: Generator[Effect, Any, _T]) -> _T:
    """Run a generator's effects in this thread. Returns what the generator returns."""
    try:
        effect = next(effects)
        while True:
            try:
                done = effect.run()
            except Exception as error:  # noqa: BLE001 - the generator handles it
                effect = effects.throw(error)
            else:
                effect = effects.send(done)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def adrive(effects: Generator[Effect, Any, _T]) -> _T:
    """As `drive`, on an event loop."""
    try:
        effect = next(effects)
        while True:
            try:
                done = await effect.arun()
            except Exception as error:  # noqa: BLE001 - as in `drive`
                effect = effects.throw(error)
            else:
                effect = effects.send(done)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
