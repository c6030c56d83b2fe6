"""When a server that failed is tried again."""

import time
from _thread import allocate_lock
from collections.abc import Callable

from nbcache.concurrency.executor import in_background
from nbcache.concurrency.locks import Lock

_FIRST, _LONGEST = 1.0, 30.0  # seconds
_PATIENCE = 0.03  # seconds for which a call waits for the trial: enough for a server nearby that is back


class CircuitBreaker:
    """After a failure the server is left alone for a second. Each further failure doubles the pause, up to 30 seconds.

    The first call after a pause tries it. With `attempt`, this is done in the background, so that an outage costs calls no further
    time: it says by `answered` or `failed` what came of it.
    """

    def __init__(self, attempt: Callable[[], None] | None = None) -> None:
        self._attempt = attempt
        self._lock = Lock()
        self._is_open = False  # as a circuit is: nothing passes
        self._pause = self._failed_at = self._tried_from = 0.0

    def wait(self) -> float:
        """Seconds for which the server is left alone; 0 if it can be used."""
        if not self._is_open:
            return 0.0
        with self._lock:
            now = time.monotonic()
            if now < self._tried_from:
                return self._tried_from - now
            # Whatever becomes of the trial: it may be lost in a process that is forked meanwhile.
            self._tried_from = now + self._pause
        if self._attempt is None:
            return 0.0
        self._try(self._attempt)
        return max(self._tried_from - time.monotonic(), 0.001) if self._is_open else 0.0

    def _try(self, attempt: Callable[[], None]) -> None:
        done = allocate_lock()
        done.acquire()

        def try_it() -> None:
            try:
                attempt()
            finally:
                done.release()

        in_background(try_it)
        done.acquire(timeout=_PATIENCE)

    def failed(self, begun: float) -> None:
        """What begun then (`time.monotonic`) had no answer. Of several that were under way at a time, one counts."""
        with self._lock:
            if begun < self._failed_at:
                return
            self._pause = min(2 * self._pause, _LONGEST) if self._pause else _FIRST
            self._failed_at = time.monotonic()
            self._tried_from = self._failed_at + self._pause
            self._is_open = True

    def answered(self) -> None:
        """The server has answered the trial: calls use it again. If it fails at once, the pause goes on to double."""
        self._is_open = False

    def worked(self) -> None:
        """The server has done what a call asked for."""
        if self._pause:
            self._is_open, self._pause = False, 0.0
