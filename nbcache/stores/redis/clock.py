"""The server's clock, by which the times of entries are kept: those of the machines that share a store may be wrong."""

import time
from collections.abc import Callable

_NEAR = 1.0  # seconds: clocks that differ by less are the same, and a machine's clock that moves by less was not set


class ServerClock:
    """What the time is at the server. It is asked at first, and after this machine's clock was set or the machine slept."""

    def __init__(self, ask: Callable[[], float]) -> None:
        self._ask = ask
        self._set_at: float | None = None  # what this machine's clock was ahead of its uptime
        self._ahead = 0.0

    def now(self) -> float:
        """Seconds since the epoch. Raises what a request to the server raises."""
        return time.time() + self.ahead()

    def ahead(self) -> float:
        """Seconds that it is ahead of this machine's clock. Raises what a request to the server raises."""
        set_at = time.time() - time.monotonic()
        if self._set_at is None or abs(set_at - self._set_at) > _NEAR:
            begun = time.time()
            server = self._ask()
            # The answer is from some moment until now: a process that stood still meanwhile has a right clock all the same.
            ahead = server - min(max(server, begun), time.time())
            self._ahead = ahead if abs(ahead) > _NEAR else 0.0
            self._set_at = set_at
        return self._ahead

    def forget(self) -> None:
        """Ask again before the time is needed next: it may be another server by then."""
        self._set_at = None
