"""What a cache writes down at the end of its session, and after each cell."""

import os
from functools import partial

from nbcache.concurrency.executor import in_background, uninterrupted
from nbcache.costs.ledger import Ledger
from nbcache.replay.playback import Recordings
from nbcache.stores.base import Buffered, Store
from nbcache.stores.location import REPORT

_SENT_WITHIN = 0.3  # seconds that the end of a cell waits for a server to get its answers


def send(store: Store, within: float | None = None) -> None:
    """Wait until all tiers of the store have what is new, or can't have it now, for so many seconds at most."""
    if isinstance(store, Buffered):
        store.flush(_SENT_WITHIN if within is None else within)


def close(ledger: Ledger, store: Store, recordings: Recordings) -> None:
    """Write down what is in memory, and close the store. An interrupt doesn't break it off."""
    uninterrupted(partial(_write_all, ledger, store, recordings))


def let_go(ledger: Ledger, store: Store, recordings: Recordings) -> None:
    """As `close`, in the background: garbage collection may run while this thread holds a lock that closing needs."""
    in_background(partial(_write_all, ledger, store, recordings))


def _write_all(ledger: Ledger, store: Store, recordings: Recordings) -> None:
    ledger.close()
    store.close()
    report(ledger, recordings)


def report(ledger: Ledger, recordings: Recordings) -> None:
    """Write down what this session has done so far, if it is part of a run of pytest."""
    if os.environ.get(REPORT):
        from nbcache.cache.session_tally import write_tally  # noqa: PLC0415 - few sessions are

        write_tally(ledger, recordings)
