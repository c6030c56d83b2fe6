"""What is done on an event loop takes turns with all else there: a thousand calls at once don't hold it up together."""

import asyncio
import threading
import time

_TURN = 0.01  # seconds after which the loop's other callbacks come first


class _Turn(threading.local):
    """Since when calls are looked up in this round of the thread's event loop."""

    loop: asyncio.AbstractEventLoop | None = None
    began: float | None = None


_turn = _Turn()


async def take_turn() -> None:
    """Go on at once, or in a later round of the event loop where this one has been busy for long enough."""
    loop, now = asyncio.get_running_loop(), time.perf_counter()
    while _turn.loop is loop and _turn.began is not None:
        if now - _turn.began < _TURN:
            return
        await asyncio.sleep(0)
        now = time.perf_counter()
    _turn.loop, _turn.began = loop, now
    loop.call_soon(_end)


def _end() -> None:
    _turn.began = None
