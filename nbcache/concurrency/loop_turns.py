"""Calls on an event loop take turns with its other callbacks, so that a thousand calls at once don't block it."""

import asyncio
import threading
import time
from collections import deque

_TURN = 0.01  # seconds of calls, after which the loop's other callbacks run


class _Turns:
    """The calls of one event loop, in the order in which they began."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._began: float | None = None  # when this round of the loop began, if a call has run in it
        self._in_round = 0  # calls that have run in this round, or may

    async def take(self) -> None:
        now = time.perf_counter()
        if self._began is None:
            self._began, self._in_round = now, 0
            self.loop.call_soon(self._next_round)
        if not self._waiting and now - self._began < _TURN:
            self._in_round += 1
            return
        turn = self.loop.create_future()
        self._waiting.append(turn)
        await turn

    def _next_round(self) -> None:
        """Let as many calls run as fit into the time of a turn, by the time that the last round took."""
        assert self._began is not None
        if not self._waiting:
            self._began = None
            return
        now = time.perf_counter()
        share = min(2.0, _TURN / max(now - self._began, 1e-6))
        self._began, self._in_round = now, max(1, int(self._in_round * share))
        for _ in range(min(self._in_round, len(self._waiting))):
            turn = self._waiting.popleft()
            if not turn.done():  # cancelled
                turn.set_result(None)
        self.loop.call_soon(self._next_round)


class _Here(threading.local):
    turns: _Turns | None = None


_here = _Here()


async def take_turn() -> None:
    """Continue at once, or in a later round of the event loop if calls have taken enough time of this one."""
    loop, turns = asyncio.get_running_loop(), _here.turns
    if turns is None or turns.loop is not loop:
        turns = _here.turns = _Turns(loop)  # the turns of another loop continue by their own callback
    await turns.take()
