"""What every store promises, the smallest one too. Tests of further capabilities stand in the files beside this one."""

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import pytest

from nbcache.errors import StoreBusyError
from nbcache.stores import Store, open_store
from tests.stores.contract.entries import Clock, key_of, put, row


def test_a_store_keeps_the_protocol_and_has_a_name(store: Store) -> None:
    assert isinstance(store, Store)
    assert "://" in store.url
    assert open_store(store) is store


def test_what_was_put_is_got(store: Store) -> None:
    key = put(store, 1, b"payload")
    assert store.get(key) == b"payload"
    assert store.get(key_of(2)) is None


def test_what_can_not_be_got_at_once_is_said_to_be_busy(store: Store) -> None:
    key = put(store, 1, b"payload")
    with suppress(StoreBusyError):
        assert store.get(key, wait=False) == b"payload"
        assert store.get(key_of(2), wait=False) is None


@pytest.mark.parametrize("size", [0, 1, 100, 4_095, 4_096, 32_767, 32_768, 1_000_000, 3_000_000])
def test_payloads_come_back_byte_for_byte(store: Store, size: int) -> None:
    for name, payload in (("random", secrets.token_bytes(size)), ("zeros", bytes(size)), ("utf-8?", b"\xff" * size)):
        came_back = store.get(put(store, name, payload))
        assert type(came_back) is bytes
        assert came_back == payload


def test_a_payload_that_is_put_again_is_the_new_one(store: Store) -> None:
    key = put(store, 1, b"old")
    put(store, 1, b"newer")
    assert store.get(key) == b"newer"


def test_half_an_emoji_in_a_row_costs_no_entry(store: Store) -> None:
    text = "\ud83d"  # a provider cut it in two; or a byte of a file's name that is not UTF-8
    key = key_of(1)
    store.put(key, b"payload", replace(row(key, text, "a.ipynb"), model=text, prompt=text, answer=text, tags=(text,)))
    assert store.get(key) == b"payload"


def test_an_entry_is_got_until_its_time_is_over(store: Store, clock: Clock) -> None:
    key, forever = put(store, 1, ttl=60), put(store, 2)
    clock.advance(59.9)
    assert store.get(key) == b"payload"
    clock.advance(0.1)
    assert store.get(key) is None
    assert store.get(key, include_expired=True) in {None, b"payload"}
    assert store.get(forever) == b"payload"


def test_an_entry_that_is_put_again_lives_as_long_as_was_said_last(store: Store, clock: Clock) -> None:
    longer, forever = put(store, 1, ttl=10), put(store, 2, ttl=10)
    shorter = put(store, 3)
    put(store, 1, ttl=100)
    put(store, 2)
    put(store, 3, ttl=10)
    clock.advance(50)
    assert (store.get(longer), store.get(forever), store.get(shorter)) == (b"payload", b"payload", None)
    clock.advance(51)
    assert (store.get(longer), store.get(forever)) == (None, b"payload")


def test_threads_put_and_get_at_the_same_time(store: Store) -> None:
    at_once = threading.Barrier(8)

    def of_a_thread(thread: int) -> None:
        at_once.wait(30)
        for number in range(25):
            payload = f"{thread} {number}".encode()
            assert store.get(put(store, payload, payload)) == payload

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(of_a_thread, range(8)))
    assert all(store.get(key_of(f"{thread} {number}".encode())) for thread in range(8) for number in range(25))


def test_a_closed_store_opens_again(store: Store) -> None:
    store.close()
    key = put(store, 1)
    assert store.get(key) == b"payload"
