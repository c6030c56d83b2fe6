"""One piece of logic for threads and event loops: a generator of effects, each done now or awaited."""

from collections.abc import Callable, Generator
from typing import Any, Protocol, TypeVar

from nbcache.concurrency.executor import in_thread
from nbcache.concurrency.loop_turns import take_turn

_T = TypeVar("_T")


class Effect(Protocol):
    """What may take a while."""

    def run(self) -> Any:
        """Do it in this thread."""

    async def arun(self) -> Any:
        """Do it without holding up the event loop."""


class InThread:
    """Work that takes too long for an event loop."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.run = work

    async def arun(self) -> Any:
        """Do it in a thread."""
        return await in_thread(self.run)


def drive(effects: Generator[Effect, Any, _T]) -> _T:
    """Do the effects in this thread; what the generator returns."""
    try:
        effect = next(effects)
        while True:
            try:
                done = effect.run()
            except Exception as error:  # noqa: BLE001 - it is the generator's to handle
                effect = effects.throw(error)
            else:
                effect = effects.send(done)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def adrive(effects: Generator[Effect, Any, _T]) -> _T:
    """As `drive`, on an event loop."""
    await take_turn()
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
