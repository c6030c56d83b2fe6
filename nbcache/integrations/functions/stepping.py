"""Generators, step by step: what a reader does next, and who makes the next item."""

from collections.abc import Generator
from typing import Any


class Step:
    """What the reader of a generator does next: takes an item, sends a value, or throws an error in."""

    __slots__ = ("error", "sent")

    def __init__(self, sent: Any = None, error: BaseException | None = None) -> None:
        self.sent = sent
        self.error = error

    @property
    def only_takes(self) -> bool:
        """Whether the reader only takes the next item."""
        return self.sent is None and self.error is None


class Source:
    """Makes the items of a generator: here the generator itself does."""

    def __init__(self, live: Any) -> None:
        self.live = live

    def make(self, step: Step) -> Any:
        """The next item. Raises StopIteration at the end."""
        if step.error is not None:
            return self.live.throw(step.error)
        return next(self.live) if step.sent is None else self.live.send(step.sent)

    async def amake(self, step: Step) -> Any:
        """As `make`, of an async generator. Raises StopAsyncIteration at the end."""
        if step.error is not None:
            return await self.live.athrow(step.error)
        return await (anext(self.live) if step.sent is None else self.live.asend(step.sent))

    def end(self, value: Any) -> None:
        """The last item was read; `value` is what the generator returned."""

    async def aend(self) -> None:
        """As `end`."""

    def close(self) -> None:
        """Nothing more is read."""
        self.live.close()

    async def aclose(self) -> None:
        """As `close`."""
        await self.live.aclose()


def stepped(source: Source) -> Generator[Any, Any, Any]:
    """A generator of the items of `source`."""
    step = Step()
    try:
        while True:
            try:
                item = source.make(step)
            except StopIteration as end:
                value = end.value
                break
            try:
                step = Step((yield item))
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001 - whoever makes the items may handle it
                step = Step(error=error)
        source.end(value)
        return value
    finally:
        source.close()
