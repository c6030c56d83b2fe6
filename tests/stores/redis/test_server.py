"""A server that fails, refuses or is silent: errors say so, soon, and the store works again when the server does."""

import contextlib
import math
import re
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nbcache.errors import MissingPackageError, NbcacheWarning, StoreError, StoreReadOnlyError, TooLargeError
from nbcache.stores import RedisStore, open_store
from tests.servers.redis_server import RedisServer, program
from tests.stores.contract.entries import key_of, put
from tests.stores.redis.outages import exercise


@pytest.fixture
def own(own_server: RedisServer) -> Iterator[RedisStore]:
    made = RedisStore(own_server.url())
    yield made
    made.close()


def heal(monkeypatch: pytest.MonkeyPatch, store: RedisStore) -> None:
    """Let the pause after a failure be over, and wait until the server has been tried."""
    now = time.monotonic() + 31
    monkeypatch.setattr(time, "monotonic", lambda: now)
    tried = threading.Event()
    server = store.server

    def noted() -> None:
        server._attempt()
        tried.set()

    server._breaker._attempt = noted
    with contextlib.suppress(StoreError):
        store.get(key_of(1))
    assert tried.wait(30)


def test_a_store_heals_after_its_server_was_killed_and_started_again(
    own: RedisStore, own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(own, 1)
    own_server.stop()
    with pytest.raises(StoreError, match="does not answer"):
        own.get(key_of(1))
    with pytest.raises(StoreError, match="asked again in 1 s"):
        own.get(key_of(1))
    own_server.start()
    heal(monkeypatch, own)
    assert own.get(key_of(1)) is None  # the server lost what it had
    put(own, 1)
    assert own.get(key_of(1)) == b"payload"
    assert own.check() == []


class Waits:
    """How long the program is ready to wait for a server: for each connection that it tries, and for each answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.connections, self.seconds = 0, [0.0]
        connect, set_timeout = socket.socket.connect, socket.socket.settimeout

        def counted(of: socket.socket, address: object) -> None:
            self.connections += 1
            connect(of, address)  # type: ignore[arg-type]  # whatever it is

        def noted(of: socket.socket, seconds: float | None) -> None:
            self.seconds.append(math.inf if seconds is None else seconds)
            set_timeout(of, seconds)

        monkeypatch.setattr(socket.socket, "connect", counted)
        monkeypatch.setattr(socket.socket, "settimeout", noted)


def lookups(store: RedisStore) -> int:
    return int(store.server.listing.info("commandstats").get("cmdstat_get", {"calls": 0})["calls"])


def test_a_frozen_server_costs_a_call_a_quarter_of_a_second_and_the_next_ones_nothing(
    own: RedisStore, own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = RedisStore(own_server.url())
    watching.totals()
    waits = Waits(monkeypatch)
    put(own, 1)
    before, waits.connections, waits.seconds = lookups(watching), 0, [0.0]
    own_server.freeze()
    for _ in range(20):
        with pytest.raises(StoreError):
            own.get(key_of(1))
    assert max(waits.seconds) == 0.25
    assert waits.connections == 0  # the one that was open was used, and none after it
    own_server.go_on()
    assert lookups(watching) - before == 1  # what it was sent meanwhile is done now
    watching.close()


def test_connections_that_the_server_has_closed_are_opened_again(own: RedisStore, own_server: RedisServer) -> None:
    put(own, 1)
    own_server.stop()
    own_server.start()
    assert own.get(key_of(1)) is None


def test_a_process_that_was_forked_has_connections_of_its_own(own_server: RedisServer) -> None:
    script = f"""
import os, sys
from nbcache.stores import RedisStore
from tests.stores.contract.entries import key_of, put
from tests.stores.redis.outages import exercise
store = RedisStore({own_server.url()!r})
put(store, 0, b"0")
children = []
for number in range(1, 4):
    if not (child := os.fork()):
        for _ in range(200):
            put(store, number, b"%d" % number)
            assert store.get(key_of(number)) == b"%d" % number
        os._exit(0)
    children.append(child)
for _ in range(200):
    assert store.get(key_of(0)) == b"0"
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_threads_touch_the_same_entry_and_no_hit_is_lost(store: RedisStore) -> None:
    from nbcache.entry.records import Touch

    key, at_once = put(store, 1), threading.Barrier(8)

    def of_a_thread(number: int) -> None:
        at_once.wait(30)
        for _ in range(25):
            store.touch([Touch(key, f"{number}.ipynb", 1, time.time())])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(of_a_thread, range(8)))
    row = store.page()[0]
    assert (row.hits, len(row.notebooks)) == (200, 8)


@pytest.fixture
def guarded() -> Iterator[RedisServer]:
    with RedisServer(program(), "--requirepass", "hunter2", tcp=True) as running:
        yield running


def test_a_password_comes_from_the_url_or_the_environment(
    guarded: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_password = RedisStore(guarded.url().replace("redis://", "redis://:hunter2@"))
    with_password.connect()
    monkeypatch.setenv("NBCACHE_REDIS_PASSWORD", "hunter2")
    from_environment = RedisStore(guarded.url())
    from_environment.connect()
    put(with_password, 1)
    assert from_environment.get(key_of(1)) == b"payload"
    for each in (with_password, from_environment):
        each.close()


def test_a_user_with_the_rights_that_the_page_names_can_do_all(
    own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "teams.md").read_text("utf-8")
    rights = re.search(r"`user (team on >a-long-password [^`]*)`", page)
    assert rights is not None
    own_server.client.execute_command("ACL SETUSER", *rights[1].split())
    own_server.client.execute_command("ACL SETUSER", "default", "off")
    monkeypatch.setenv("NBCACHE_REDIS_PASSWORD", "a-long-password")
    store = RedisStore(own_server.url("vision").replace("redis://", "redis://team@"))
    store.connect()
    exercise(store)
    store.close()
    other = RedisStore(own_server.url("other").replace("redis://", "redis://team@"))
    with pytest.raises(StoreError, match=r"may not do this: give it the rights to ~\{other\}:\*"):
        other.get(key_of(1))
    other.close()


@pytest.mark.parametrize("user", ["", ":wr0ng@", "ann:wr0ng@"])
def test_a_server_that_refuses_the_password_is_a_wrong_setting(guarded: RedisServer, user: str) -> None:
    refused = RedisStore(guarded.url().replace("redis://", f"redis://{user}"))
    with pytest.raises(ValueError, match="NBCACHE_REDIS_PASSWORD") as raised:
        refused.connect()
    assert "wr0ng" not in str(raised.value)
    with pytest.raises(StoreError):
        refused.get(key_of(1))


def test_a_silent_server_takes_at_most_a_second_at_install(
    own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_server.freeze()
    silent, waits = RedisStore(own_server.url()), Waits(monkeypatch)
    with pytest.raises(StoreError, match="does not answer"):
        silent.connect()
    assert (waits.connections, max(waits.seconds)) == (1, 0.33)  # to connect, for the password and for an answer


def test_a_replica_can_be_read_only(own: RedisStore, own_server: RedisServer) -> None:
    put(own, 1)
    own.server.calls.replicaof("127.0.0.1", "1")  # a server that isn't there
    try:
        assert own.get(key_of(1)) == b"payload"
        with pytest.raises(StoreReadOnlyError, match="can only be read"):
            put(own, 2)
        assert own.get(key_of(1)) == b"payload"
    finally:
        own.server.calls.replicaof("NO", "ONE")


def test_a_full_server_refuses_new_entries_and_keeps_the_others() -> None:
    with RedisServer(program(), "--maxmemory", "6mb", "--maxmemory-policy", "noeviction") as full:
        store = RedisStore(full.url())
        stored: list[str] = []
        with pytest.raises(StoreError, match="is full"):
            stored.extend(put(store, number, b"x" * 100_000) for number in range(100))
        assert all(store.get(key) is not None for key in stored)
        assert store.totals().entries == len(stored)
        store.clear(stored)  # what frees memory is done
        put(store, "new")
        assert store.check() == []
        store.close()


def test_a_server_that_may_evict_anything_is_warned_of() -> None:
    with RedisServer(program(), "--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru") as evicting:
        store = RedisStore(evicting.url())
        with pytest.warns(NbcacheWarning, match="allkeys-lru"):
            store.connect()
        store.close()
    with RedisServer(program(), "--maxmemory", "50mb", "--maxmemory-policy", "volatile-lru") as careful:
        store = RedisStore(careful.url())
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            store.connect()
        store.close()


def test_without_the_package_the_error_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(MissingPackageError, match=r'pip install "nbcache\[redis\]"') as raised:
        open_store("redis://localhost")
    assert isinstance(raised.value, ImportError)


def test_an_answer_that_no_server_takes_is_refused_and_the_others_are_kept(own: RedisStore) -> None:
    with pytest.raises(TooLargeError, match="larger than Redis takes"):
        put(own, "large", bytes(512 * 2**20 + 1))
    assert own.get(put(own, "small")) == b"payload"  # the server was not asked, and is not taken for silent
