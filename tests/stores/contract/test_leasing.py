"""Leasing: of identical calls in several processes one makes the request."""

from threading import Barrier, Thread
from typing import Any

import pytest

from nbcache.stores import TieredStore
from nbcache.stores.base import Leasing
from tests.stores.contract.entries import key_of, put, row

NEEDS = (Leasing,)
LONG, SHORT = 600.0, 0.001  # seconds
KEY = key_of(1)


def sent(store: Any) -> None:
    """Of tiers, the one with the leases has got what was stored. There a lease ends with that."""
    if isinstance(store, TieredStore):
        store.flush(30)


def ended(store: Any, token: str) -> None:
    """Take a lease, and wait until it has ended."""
    assert store.lease(KEY, token, SHORT) is True
    while store.lease(KEY, "others", LONG) is False:
        pass
    store.release(KEY, "others", failed=True)


def test_a_lease_is_one_tokens(store: Any) -> None:
    assert store.lease(KEY, "a", LONG) is True
    assert store.lease(KEY, "b", LONG) is False
    assert store.lease(KEY, "a", LONG) is True
    assert store.lease(key_of(2), "b", LONG) is True


def test_of_several_at_a_time_one_gets_the_lease(store: Any) -> None:
    at_once, got = Barrier(8), []

    def of_a_thread(number: int) -> None:
        at_once.wait(30)
        got.append(store.lease(KEY, str(number), LONG))

    threads = [Thread(target=of_a_thread, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 7 + [True]


def test_an_answer_is_returned_and_ends_the_lease(store: Any) -> None:
    store.lease(KEY, "a", LONG)
    store.put_leased(KEY, b"answer", row(KEY), None, "a")
    sent(store)
    assert store.lease(KEY, "b", LONG) == b"answer"
    store.delete(KEY)
    assert store.lease(KEY, "b", LONG) is True


def test_an_answer_of_a_call_without_a_lease_ends_it_too(store: Any) -> None:
    store.lease(KEY, "a", LONG)
    put(store, 1)
    sent(store)
    assert store.lease(KEY, "b", LONG) == b"payload"
    store.delete(KEY)
    assert store.lease(KEY, "b", LONG) is True


def test_an_expired_answer_is_none(store: Any, clock: Any) -> None:
    put(store, 1, ttl=10)
    clock.advance(11)
    assert store.lease(KEY, "a", LONG) is True


def test_a_lease_that_is_not_renewed_ends(store: Any) -> None:
    ended(store, "a")
    assert store.lease(KEY, "b", LONG) is True


def test_renewed_leases_last(store: Any) -> None:
    for number in (1, 2):
        store.lease(key_of(number), "a", LONG)
    store.renew({key_of(1): "a", key_of(2): "a"}, SHORT)
    for number in (1, 2):
        while store.lease(key_of(number), "b", LONG) is False:
            pass
    store.renew({key_of(1): "b"}, LONG)
    assert store.lease(key_of(1), "a", LONG) is False


def test_only_its_own_token_renews_or_releases_a_lease(store: Any) -> None:
    store.lease(KEY, "a", LONG)
    store.renew({KEY: "b"}, SHORT)
    store.release(KEY, "b", failed=True)
    store.release(KEY, "b", failed=False)
    assert store.lease(KEY, "b", LONG) is False


def test_a_renewal_takes_a_lease_again_that_has_ended(store: Any) -> None:
    ended(store, "a")
    store.renew({KEY: "a"}, LONG)
    assert store.lease(KEY, "b", LONG) is False


def test_a_renewal_takes_no_lease_of_what_is_stored_by_now(store: Any) -> None:
    store.lease(KEY, "a", LONG)
    put(store, 1)
    sent(store)
    store.renew({KEY: "a"}, LONG)
    store.delete(KEY)
    assert store.lease(KEY, "b", LONG) is True


def test_after_a_failure_the_next_one_gets_the_lease(store: Any) -> None:
    store.lease(KEY, "a", LONG)
    store.release(KEY, "a", failed=True)
    assert store.lease(KEY, "b", LONG) is True


def test_nobody_needs_the_lease_of_an_answer_that_was_not_stored(store: Any) -> None:
    store.lease(KEY, "a", LONG)
    store.release(KEY, "a", failed=False)
    assert [store.lease(KEY, token, LONG) for token in "bc"] == [None, None]


def test_who_has_lost_the_lease_replaces_no_answer(store: Any) -> None:
    if isinstance(store, TieredStore):
        pytest.skip("each machine keeps its own answer in its own tier: tests/stores/tiers/ has what the server keeps")
    ended(store, "a")
    store.lease(KEY, "b", LONG)
    store.put_leased(KEY, b"of b", row(KEY), None, "b")
    store.put_leased(KEY, b"of a", row(KEY), None, "a")
    assert store.get(KEY) == b"of b"


def test_who_has_lost_the_lease_stores_an_answer_where_there_is_none(store: Any) -> None:
    ended(store, "a")
    store.lease(KEY, "b", LONG)
    store.put_leased(KEY, b"of a", row(KEY), None, "a")
    assert store.get(KEY) == b"of a"
