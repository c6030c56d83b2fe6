"""Calls that wait for an identical one."""

import threading
import time

from nbcache.session import installation

PATIENCE = 30  # seconds that a test waits for anything


def waiting(count: int) -> None:
    """Wait until so many calls wait for another."""
    flights = installation.installed()._lookup.flights
    ends = time.monotonic() + PATIENCE
    while sum(len(lease.waiters) for lease in list(flights._leases.values())) < count:
        assert time.monotonic() < ends, "they don't wait"
        threading.Event().wait(0.005)
