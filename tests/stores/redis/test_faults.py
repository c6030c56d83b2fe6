"""Servers that fail, while a user's calls go on: each call is right, one warning says what to do, and little time is lost.

How long a server is waited for is not measured, as machines are busy: each wait has a limit, and each thread waits once.
"""

import asyncio
import contextlib
import logging
import math
import os
import socket
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

import nbcache
from nbcache import NbcacheWarning
from nbcache.errors import StoreError
from nbcache.stores import RedisStore
from nbcache.stores.circuit_breaker import CircuitBreaker
from nbcache.stores.redis.server import Server
from tests.servers.delaying_proxy import DelayingProxy
from tests.servers.redis_server import RedisServer, until
from tests.stores.contract.entries import key_of, put
from tests.stores.redis.outages import LIMIT, Begin, Lost, a_server, answer_on, model, used

_THREADS = 16


# Faults: each yields a URL, and what lets the fault begin.


@contextlib.contextmanager
def killed() -> Iterator[tuple[str, Begin]]:
    with a_server() as server:
        yield server.url(), server.stop


@contextlib.contextmanager
def frozen() -> Iterator[tuple[str, Begin]]:
    with a_server() as server:
        yield server.url(), server.freeze


@contextlib.contextmanager
def slow() -> Iterator[tuple[str, Begin]]:
    with a_server() as server, DelayingProxy(server.port) as proxy:
        yield f"redis://127.0.0.1:{proxy.port}", lambda: setattr(proxy, "delay", 0.5)


@contextlib.contextmanager
def full() -> Iterator[tuple[str, Begin]]:
    with a_server("--maxmemory-policy", "noeviction") as server:
        yield server.url(), lambda: server.client.config_set("maxmemory", "1kb")


@contextlib.contextmanager
def read_only() -> Iterator[tuple[str, Begin]]:
    with a_server() as server:
        yield server.url(), lambda: server.client.replicaof("127.0.0.1", "1")


@contextlib.contextmanager
def password_changed() -> Iterator[tuple[str, Begin]]:
    with a_server("--requirepass", "hunter2") as server:
        client = server.client
        client.connection_pool.connection_kwargs["password"] = "hunter2"

        def change() -> None:
            client.config_set("requirepass", "another")
            client.client_kill_filter(_type="normal", skipme=True)

        yield server.url().replace("redis://", "redis://:hunter2@"), change


@contextlib.contextmanager
def without_rights() -> Iterator[tuple[str, Begin]]:
    with a_server() as server:
        server.client.acl_setuser("ann", enabled=True, passwords=["+hunter2"], categories=["+@all"], keys=["*"])
        yield (
            server.url().replace("redis://", "redis://ann:hunter2@"),
            lambda: server.client.execute_command("ACL SETUSER", "ann", "resetkeys", "~other:*"),
        )


@contextlib.contextmanager
def loading() -> Iterator[tuple[str, Begin]]:
    with a_server() as server:

        def load() -> None:
            client = server.client
            client.mset(
                {f"key {number}": os.urandom(2_000) for number in range(2_000)}
            )  # more than is read between two answers
            client.save()
            server.stop()
            server.start("--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024", waits=False)
            until(lambda: _is_loading(server))

        yield server.url(), load


def _is_loading(server: RedisServer) -> bool:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    client = server.client
    client.set_retry(Retry(NoBackoff(), 0))  # redis-py's own asks a server that is loading for five seconds
    try:
        client.ping()
    except redis.BusyLoadingError:
        return True
    except redis.ConnectionError:
        pass
    return False


@contextlib.contextmanager
def too_many_clients() -> Iterator[tuple[str, Begin]]:
    with a_server() as server, contextlib.ExitStack() as stack:

        def fill() -> None:
            client = server.client
            client.config_set("maxclients", 1)
            client.client_kill_filter(_type="normal", skipme=True)
            stack.callback(client.close)  # its own connection stays

        yield server.url(), fill


@contextlib.contextmanager
def another_protocol() -> Iterator[tuple[str, Begin]]:
    """A server whose place is taken by one that speaks something else."""
    with a_server() as server, contextlib.ExitStack() as stack:

        def replace() -> None:
            server.stop()
            listening = stack.enter_context(socket.create_server(("127.0.0.1", server.port)))

            def answer() -> None:
                with contextlib.suppress(OSError):
                    while True:
                        taken, _ = listening.accept()
                        with taken:
                            taken.recv(1000)
                            taken.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

            threading.Thread(target=answer, daemon=True).start()

        yield server.url(), replace


FAULTS = {
    killed: "does not answer: ",
    frozen: "does not answer: Timeout",
    slow: "does not answer: Timeout",
    full: "is full: raise its maxmemory",
    read_only: "can only be read: it is a replica",
    password_changed: "refuses the user or the password: set NBCACHE_REDIS_PASSWORD",
    without_rights: r"the user may not do this: give it the rights to ~\{nbcache\}:\*",
    loading: "does not answer: .*loading",
    too_many_clients: "does not answer: .*clients",
    another_protocol: "does not answer as Redis does: if it speaks TLS, write rediss://",
}
faults = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)


@faults
@pytest.mark.parametrize("threads", [1, _THREADS])
def test_calls_go_on_when_a_server_fails(
    fault: Any, threads: int, lost: Lost, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with fault() as (url, begin):
        nbcache.install(url)
        assert model().invoke("before").content == "right"
        store = used()
        begin()
        lost.limits.clear()
        questions = [f"q{number}" for number in range(40)]
        with pytest.warns(NbcacheWarning, match=FAULTS[fault]) as warned:
            answers = model().batch(questions, {"max_concurrency": threads})
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            nbcache.installed().leave_cell()
            nbcache.uninstall()  # the end of a kernel waits no longer
    assert [answer.content for answer in answers] == ["right"] * 40
    texts = [str(each.message) for each in warned]
    assert len(texts) == 1, texts
    assert "\n" not in texts[0]
    assert "hunter2" not in texts[0]
    assert max([0.0, *lost.limits]) <= LIMIT
    # Each of them waited once at most, as may the one that writes down in the background what was counted.
    waited = lost.threads(store)
    assert len(waited) == len(set(waited)) <= threads + 1
    assert not [record for record in caplog.records if not record.name.startswith(("nbcache", "asyncio"))]
    assert "hunter2" not in caplog.text


@faults
def test_an_event_loop_goes_on_when_a_server_fails(fault: Any, lost: Lost, monkeypatch: pytest.MonkeyPatch) -> None:
    request, begun = Server.request, list[int]()

    def noted(of: Server) -> Any:
        begun.append(threading.get_ident())
        return request(of)

    async def calls() -> list[str]:
        monkeypatch.setattr(Server, "request", noted)
        answers = await asyncio.gather(*(model().ainvoke(f"q{number}") for number in range(20)))
        monkeypatch.setattr(Server, "request", request)
        return [str(answer.content) for answer in answers]

    with fault() as (url, begin):
        nbcache.install(url)
        model().invoke("before")
        begin()
        with pytest.warns(NbcacheWarning, match=FAULTS[fault]):
            assert asyncio.run(calls()) == ["right"] * 20
        nbcache.uninstall()
    assert begun
    assert threading.get_ident() not in begun


@faults
def test_install_goes_on_when_a_server_fails_unless_the_password_is_refused(fault: Any, lost: Lost) -> None:
    with fault() as (url, begin):
        begin()
        if fault is password_changed:
            with pytest.raises(ValueError, match="NBCACHE_REDIS_PASSWORD"):
                nbcache.install(url)
            return
        lost.limits.clear()
        with pytest.warns(NbcacheWarning, match=FAULTS[fault]) as warned:
            assert answer_on(url) == "right"
    assert len(warned) == 1
    assert max([0.0, *lost.limits]) <= 0.33  # to connect, for a password and for an answer


def test_a_server_that_was_restarted_empty_is_used_at_once_and_nobody_is_warned(lost: Lost) -> None:
    with a_server() as server:
        nbcache.install(server.url())
        model().invoke("q")
        nbcache.installed().flush()  # what is written down in the background would find it stopped
        server.stop()
        server.start()
        for _ in range(2):  # the scripts and the lists are gone
            assert model().invoke("q").content == "right"
        nbcache.installed().flush()
        assert used().totals().entries == 1
        assert used().check() == []
        assert nbcache.stats().hits == 1
        assert not lost.threads(used())
        nbcache.uninstall()


@pytest.mark.parametrize("fault", [killed, frozen, slow], ids=lambda fault: fault.__name__)
def test_calls_use_a_server_again_by_themselves_when_it_is_back(fault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbcache.stores.circuit_breaker._FIRST", 0.05)
    monkeypatch.setattr("nbcache.stores.circuit_breaker._LONGEST", 0.1)
    with a_server() as server, DelayingProxy(server.port) as proxy:
        nbcache.install(f"redis://127.0.0.1:{proxy.port}" if fault is slow else server.url())
        model().invoke("before")
        begin: dict[Any, Begin] = {
            killed: server.stop,
            frozen: server.freeze,
            slow: lambda: setattr(proxy, "delay", 0.5),
        }
        end: dict[Any, Begin] = {
            killed: server.start,
            frozen: server.go_on,
            slow: lambda: setattr(proxy, "delay", 0),
        }
        begin[fault]()
        with pytest.warns(NbcacheWarning, match="does not answer"):
            model().invoke("meanwhile")
        end[fault]()

        def is_hit() -> bool:
            model().invoke("afterwards")
            return bool(nbcache.stats().hits)

        until(is_hit)
        nbcache.uninstall()


def test_an_outage_costs_no_more_however_often_the_server_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbcache.stores.circuit_breaker._FIRST", 0.001)
    monkeypatch.setattr("nbcache.stores.circuit_breaker._LONGEST", 0.001)
    failed, by = CircuitBreaker.failed, list[int]()

    def noted(of: CircuitBreaker, begun: float) -> None:
        by.append(threading.get_ident())
        failed(of, begun)

    monkeypatch.setattr(CircuitBreaker, "failed", noted)
    with a_server() as server:
        store = RedisStore(server.url())
        put(store, 1)
        server.freeze()

        def is_tried() -> bool:
            with contextlib.suppress(StoreError):
                store.get(key_of(1))
            return len(by) > 3

        until(is_tried)
        assert by.count(threading.get_ident()) == 1  # the first one: the others wait in the background
        server.go_on()
        store.close()


def test_a_name_that_is_not_known_is_said(lost: Lost) -> None:
    store = RedisStore("redis://nowhere.invalid/0")
    with pytest.raises(StoreError, match=r"does not answer: .*nowhere\.invalid"):
        store.get(key_of(1))
    store.close()


def test_a_name_that_takes_long_to_look_up_costs_no_more_than_a_silent_server(
    lost: Lost, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, look_up = threading.Event(), socket.getaddrinfo

    def slowly(host: Any, *arguments: Any, **options: Any) -> Any:
        if host == "slow.lab" and not options.get("flags"):
            answered.wait(60)
            return look_up("127.0.0.1", *arguments, **options)
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    store = RedisStore("redis://slow.lab/0")
    with pytest.raises(StoreError, match=r"the name slow\.lab takes too long to look up"):
        store.get(key_of(1))
    with pytest.raises(StoreError, match="asked again"):
        store.get(key_of(1))
    assert len(lost.threads(store)) == 1
    answered.set()
    store.close()


def test_a_name_with_several_addresses_is_tried_at_each_within_the_same_time(
    own_server: RedisServer, lost: Lost, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo

    def two(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        if host == "two.lab" and not options.get("flags"):
            with socket.create_server(("127.0.0.1", 0)) as gone:
                nobody = gone.getsockname()[1]
            return [*look_up("127.0.0.1", nobody, **options), *look_up("127.0.0.1", port, **options)]
        return look_up(host, port, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", two)
    store = RedisStore(own_server.url().replace("127.0.0.1", "two.lab"))
    lost.limits.clear()
    put(store, 1)
    assert store.get(key_of(1)) == b"payload"
    assert sum(lost.limits[:1]) <= LIMIT / 2
    store.close()


@pytest.mark.parametrize("size", [100, 20_000_000])
def test_an_answer_of_any_size_waits_for_a_silent_server_as_shortly(size: int, lost: Lost) -> None:
    with a_server() as server:
        store = RedisStore(server.url())
        put(store, 1)
        server.freeze()
        lost.limits.clear()
        with pytest.raises(StoreError, match="does not answer"):
            put(store, 2, b"x" * size)
        assert max([0.0, *lost.limits]) <= LIMIT
        server.go_on()
        store.close()


def test_a_large_answer_over_a_slow_network_is_not_taken_for_silence() -> None:
    payload = bytes(range(256)) * 40_000
    with a_server() as server, DelayingProxy(server.port, 0.01) as proxy:  # 64 kB in 10 ms: 2 s in all
        store = RedisStore(f"redis://127.0.0.1:{proxy.port}")
        put(store, 1, payload)
        assert store.get(key_of(1)) == payload
        store.close()


def test_lists_of_a_frozen_server_are_given_up_as_soon(lost: Lost, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_server() as server:
        store = RedisStore(server.url())
        put(store, 1)
        assert len(store.page()) == 1
        monkeypatch.setattr("nbcache.stores.redis.connections.time.monotonic", lambda: math.inf)
        server.freeze()
        with pytest.raises(StoreError, match="does not answer"):
            store.page()
        assert lost.limits[-1] <= LIMIT
        server.go_on()
        store.close()
