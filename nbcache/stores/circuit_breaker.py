"""When a server that failed is tried again."""

import time

from nbcache.concurrency.locks import Lock

_FIRST, _LONGEST = 1.0, 30.0  # seconds


class CircuitBreaker:
    """After a failure nothing is tried for a second, then once. Each further failure doubles the pause, up to 30 seconds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pause = self._failed_at = self._opens_at = 0.0

    def wait(self) -> float:
        """Seconds for which the server is left alone; 0 if it can be tried now. While one call tries it, others wait."""
        if not self._pause:
            return 0.0
        with self._lock:
            now = time.monotonic()
            if self._pause and now < self._opens_at:
                return self._opens_at - now
            self._opens_at = now + self._pause
            return 0.0

    def failed(self, begun: float) -> None:
        """What begun then (`time.monotonic`) had no answer. Of several that were under way at a time, one counts."""
        with self._lock:
            if begun < self._failed_at:
                return
            self._pause = min(2 * self._pause, _LONGEST) if self._pause else _FIRST
            self._failed_at = time.monotonic()
            self._opens_at = self._failed_at + self._pause

    def worked(self) -> None:
        """The server has answered."""
        self._pause = 0.0
