"""Hits, counted in memory and written down later: a hit itself writes nothing."""

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from nbcache.entry import Touch

if TYPE_CHECKING:
    from nbcache.stores import Store

_DELAY = 1.0  # seconds at most from a hit until it is written down, unless a cell ends before


class Recency:
    """Counts hits by entry and notebook; a daemon thread writes them to the store."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._hits: dict[tuple[str, str | None], tuple[int, float]] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def hit(self, key: str, notebook: str | None) -> None:
        """Count a hit of the entry `key`."""
        with self._lock:
            first = not self._hits
            count, _ = self._hits.get((key, notebook), (0, 0.0))
            self._hits[key, notebook] = (count + 1, time.time())
        if first:
            self._start()
            self._wake.set()

    def flush(self) -> None:
        """Write down what was counted. Where the store fails, the counts are lost: they are not worth a warning."""
        with self._lock:
            hits, self._hits = self._hits, {}
        if hits:
            touches = [Touch(key, name, count, when) for (key, name), (count, when) in hits.items()]
            with contextlib.suppress(Exception):
                self._store.touch(touches)

    def close(self) -> None:
        """Write down the rest and end the thread."""
        self._stop.set()
        self._wake.set()
        self.flush()

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():  # a forked child has no threads
            self._thread = threading.Thread(target=self._run, name="nbcache-recency", daemon=True)
            with contextlib.suppress(RuntimeError):  # no more threads: the end of a cell writes them down
                self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            self._wake.clear()
            self._stop.wait(_DELAY)
            self.flush()
