"""Momento's own client against a local server that speaks its protocol: what is kept, and that no failure stops a call."""

import asyncio
import multiprocessing
import pickle
import sys
import time
import warnings
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import grpc
import momento
import pytest
from langchain_core.language_models import FakeListChatModel
from momento import CacheClient, CacheClientAsync, Configurations

import nbcache
from nbcache import NbcacheWarning
from nbcache.errors import MissingPackageError, StoreBusyError, StoreError, TooLargeError
from nbcache.stores import MomentoStore, momento_cache
from tests.servers.momento_server import MomentoProcess, MomentoServer
from tests.stores.contract.entries import key_of, put

HOUR, DAY = timedelta(hours=1), timedelta(hours=24)
PATIENT = Configurations.Laptop.latest()  # waits for 15 seconds: the machine may be busy


@pytest.fixture
def server() -> Iterator[MomentoServer]:
    with MomentoServer() as running:
        yield running


@pytest.fixture
def client(server: MomentoServer) -> Iterator[CacheClient]:
    with CacheClient(PATIENT, server.credentials("k"), HOUR) as made:
        yield made


@pytest.fixture
def store(client: CacheClient) -> MomentoStore:
    return MomentoStore(client, "team")


@pytest.fixture
def own_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[MomentoProcess]:
    """A server that the test may kill and freeze. What `from_client_params` makes is connected to it."""
    with MomentoProcess() as running:
        at(running, monkeypatch)
        yield running


def at(server: MomentoServer | MomentoProcess, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """Have every key lead to this server. Returns the keys and endpoints that are used from now on."""
    used: list[tuple[str, str | None]] = []

    def credentials(key: str, endpoint: str | None = None) -> momento.CredentialProvider:
        used.append((key, endpoint))
        return server.credentials(key)

    for name in ("from_api_key_v2", "from_disposable_token"):
        monkeypatch.setattr(momento.CredentialProvider, name, staticmethod(credentials))
    return used


def heal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pause after a failure be over."""
    now = time.monotonic() + 31
    monkeypatch.setattr(time, "monotonic", lambda: now)


def model(*answers: str) -> FakeListChatModel:
    return FakeListChatModel(responses=list(answers or ("one", "two", "three")))


# What it is made of


def test_the_cache_is_made_where_it_is_missing(server: MomentoServer, client: CacheClient) -> None:
    MomentoStore(client, "team")
    MomentoStore(client, "team")
    assert list(server.state.caches) == ["team"]
    assert server.state.requests["CreateCache"] == 1
    MomentoStore(client, "other", ensure_cache_exists=False)
    assert list(server.state.caches) == ["team"]


def test_a_cache_that_is_missing_and_not_to_be_made_is_said(client: CacheClient) -> None:
    store = MomentoStore(client, "other", ensure_cache_exists=False)
    with pytest.raises(StoreError, match="not found"):
        store.get(key_of(1))
    with pytest.raises(StoreError, match="not found"):  # the service itself works, so that it is asked again
        store.get(key_of(1))


def test_a_cache_that_somebody_has_deleted_is_made_again(server: MomentoServer, store: MomentoStore) -> None:
    server.state.caches.clear()
    assert store.get(put(store, 1)) == b"payload"


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(seconds=-1), DAY + timedelta(seconds=1)])
def test_a_ttl_that_the_service_does_not_know_is_refused(ttl: timedelta, client: CacheClient) -> None:
    with pytest.raises(ValueError, match="24 hours at most"):
        MomentoStore(client, "team", ttl=ttl)
    with pytest.raises(ValueError, match="24 hours at most"):
        MomentoStore.from_client_params("team", ttl, api_key="k")


def test_what_is_no_client_or_no_name_is_refused(client: CacheClient) -> None:
    wrong: Any = "MOMENTO_API_KEY"
    with pytest.raises(TypeError, match=r"momento\.CacheClient"):
        MomentoStore(wrong, "team")
    with pytest.raises(ValueError, match="name of a cache"):
        MomentoStore(client, "")
    seconds: Any = 3600
    with pytest.raises(TypeError, match="timedelta"):
        MomentoStore(client, "team", ttl=seconds)


def test_without_the_package_the_error_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "momento", None)
    with pytest.raises(MissingPackageError, match=r'pip install "nbcache\[momento\]"') as raised:
        MomentoStore.from_client_params("team", HOUR)
    assert isinstance(raised.value, ImportError)


def test_a_key_that_is_given_wins_over_the_environment(server: MomentoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    used = at(server, monkeypatch)

    def key(**given: str) -> tuple[str, str | None]:
        MomentoStore.from_client_params("team", HOUR, configuration=PATIENT, **given).close()
        return used[-1]

    with pytest.raises(ValueError, match="set MOMENTO_API_KEY"):
        MomentoStore.from_client_params("team", HOUR)
    monkeypatch.setenv("MOMENTO_AUTH_TOKEN", "token of the environment")
    assert key() == ("token of the environment", None)
    monkeypatch.setenv("MOMENTO_API_KEY", "key of the environment")
    assert key() == ("key of the environment", None)
    assert key(auth_token="token") == ("token", None)
    assert key(auth_token="token", api_key="key") == ("key", None)
    assert key(endpoint="cell-1") == ("key of the environment", "cell-1")
    monkeypatch.setenv("MOMENTO_ENDPOINT", "cell-2")
    assert key() == ("key of the environment", "cell-2")


def test_a_key_without_its_endpoint_is_told_what_is_missing_and_shown_nowhere() -> None:
    import jwt

    key = jwt.encode({"t": "g"}, "x" * 32)
    with pytest.raises(ValueError, match=r"needs endpoint=.*MOMENTO_ENDPOINT") as raised:
        MomentoStore.from_client_params("team", HOUR, api_key=key)
    assert key not in str(raised.value)
    with pytest.raises(ValueError, match=r"can't be read$"):
        MomentoStore.from_client_params("team", HOUR, api_key="n0nsense", endpoint="cell-1")


def test_a_key_that_is_refused_raises_when_the_store_is_made_and_at_install(
    server: MomentoServer, store: MomentoStore, client: CacheClient
) -> None:
    server.state.keys = {"another"}
    with pytest.raises(StoreError, match="refuses the API key"):
        MomentoStore(client, "team")
    again = MomentoStore(client, "team", ensure_cache_exists=False)
    with pytest.raises(ValueError, match="refuses the API key"):
        nbcache.install(again)


def test_its_name_and_its_looks_show_no_key(server: MomentoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    at(server, monkeypatch)
    store = MomentoStore.from_client_params("team", HOUR, api_key="s3cret", configuration=PATIENT)
    assert store.url == "momento://team"
    assert "s3cret" not in repr(store) + repr(vars(store))
    store.close()


# What is kept


def test_a_ttl_is_kept_up_to_24_hours_and_a_longer_one_is_said_once(server: MomentoServer, client: CacheClient) -> None:
    plain, own = MomentoStore(client, "team"), MomentoStore(client, "team", ttl=timedelta(minutes=5))
    put(plain, 1)
    put(own, 1)
    put(own, 1, ttl=7_200)
    put(own, 1, ttl=0.000_1)
    assert server.state.ttls == [3_600, 300, 7_200, 0.001]
    with pytest.warns(NbcacheWarning, match="24 hours at most") as caught:
        _ = [put(own, 1, ttl=7 * 86_400) for _ in range(2)]
    assert len(caught) == 1
    assert server.state.ttls[-2:] == [86_400, 86_400]


def test_an_answer_that_is_too_large_is_not_kept_and_no_older_one_stays(
    server: MomentoServer, store: MomentoStore
) -> None:
    key = put(store, 1, b"old")
    for size in (1_000_001, 6_000_000):  # refused by the service, and by its client
        with pytest.raises(TooLargeError, match="larger than an item"):
            put(store, 1, bytes(size))
        assert store.get(key) is None
        assert store.get(put(store, 1)) == b"payload"


def test_an_answer_that_is_too_large_is_one_warning_and_no_failure(server: MomentoServer, store: MomentoStore) -> None:
    server.state.max_item = 10
    nbcache.install(store)
    with pytest.warns(NbcacheWarning, match="larger than an item") as caught:
        assert [model().invoke(f"q{number}").content for number in range(3)] == ["one"] * 3
    assert len(caught) == 1
    assert nbcache.stats().misses == 3


def test_an_entry_is_deleted(store: MomentoStore) -> None:
    key = put(store, 1)
    assert store.delete(key)
    assert not store.delete(key)
    assert store.get(key) is None


def test_it_is_asked_in_a_thread(store: MomentoStore) -> None:
    with pytest.raises(StoreBusyError):
        store.get(key_of(1), wait=False)


def test_what_one_has_paid_is_a_hit_for_another_session(store: MomentoStore, client: CacheClient) -> None:
    nbcache.install(store)
    paid = model().invoke("q").content
    nbcache.uninstall()
    nbcache.install(MomentoStore(client, "team"))
    before, llm = nbcache.stats().hits, model()
    assert [llm.invoke("q").content for _ in range(3)] == [paid] * 3
    assert nbcache.stats().hits - before == 3


async def test_a_sync_client_serves_async_calls(store: MomentoStore) -> None:
    nbcache.install(store)
    llm = model()
    paid = (await llm.ainvoke("q")).content
    answers = await asyncio.gather(*(llm.ainvoke("q") for _ in range(20)))
    assert {answer.content for answer in answers} == {paid}


# An async client


async def test_an_async_client_serves_async_calls_and_makes_the_cache_at_first_use(
    server: MomentoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(momento_cache, "_AWAITED", 60.0)  # the machine may be busy
    async with CacheClientAsync(PATIENT, server.credentials(), HOUR) as client:
        nbcache.install(MomentoStore(client, "team"))
        assert not server.state.requests
        llm = model()
        paid = (await llm.ainvoke("q")).content
        assert server.state.requests["CreateCache"] == 1
        assert [(await llm.ainvoke("q")).content for _ in range(3)] == [paid] * 3
        answers = await asyncio.gather(*(llm.ainvoke("q") for _ in range(20)))
        assert {answer.content for answer in answers} == {paid}
        assert nbcache.stats().hits == 23
        nbcache.uninstall()


async def test_with_an_async_client_sync_calls_pass_by_with_one_warning(server: MomentoServer) -> None:
    async with CacheClientAsync(PATIENT, server.credentials(), HOUR) as client:
        nbcache.install(MomentoStore(client, "team"))
        llm = model()
        with pytest.warns(NbcacheWarning, match=r"make the store of a momento\.CacheClient") as caught:
            answers = [llm.invoke("q").content, await asyncio.to_thread(llm.invoke, "q"), *llm.batch(["q"])]
        assert len(answers) == 3
        assert len(caught) == 1
        assert not server.state.requests
        nbcache.uninstall()


async def test_an_async_client_that_gets_no_answer_is_not_waited_for_as_long_as_it_would(
    server: MomentoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(momento_cache, "_AWAITED", 0.05)
    server.state.delay = 1.0
    async with CacheClientAsync(PATIENT, server.credentials(), HOUR) as client:
        nbcache.install(MomentoStore(client, "team"))
        with pytest.warns(NbcacheWarning, match="no answer"):
            assert (await model().ainvoke("q")).content == "one"
        assert server.state.requests["Get"] == 1
        nbcache.uninstall()
        server.state.delay = 0.0


# When the service fails


def test_a_call_goes_on_while_the_service_is_down_and_is_kept_again_when_it_is_back(
    own_process: MomentoProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MomentoStore.from_client_params("team", HOUR, api_key="k", configuration=PATIENT)
    nbcache.install(store)
    own_process.kill()
    with pytest.warns(NbcacheWarning) as caught:
        assert [model().invoke(f"q{number}").content for number in range(5)] == ["one"] * 5
    assert len(caught) == 1
    with pytest.raises(StoreError, match="asked again"):
        store.get(key_of(1))
    own_process.start()
    until(lambda: answers(store, monkeypatch))
    assert store.get(put(store, 1)) == b"payload"
    nbcache.uninstall()


def answers(store: MomentoStore, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the service answers, where no pause has to be over first. gRPC tries to connect again after a while."""
    heal(monkeypatch)
    try:
        store.get(key_of(1))
    except StoreError:
        return False
    return True


def until(happens: Any) -> None:
    for _ in range(600):
        if happens():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def test_a_frozen_service_is_waited_for_once(own_process: MomentoProcess) -> None:
    store = MomentoStore.from_client_params("team", HOUR, api_key="k", configuration=PATIENT)
    store.close()
    store._params = momento_cache._ClientParams(HOUR, None, "k", None)  # with the settings of its own
    own_process.freeze()
    began = time.perf_counter()
    for _ in range(40):
        with pytest.raises(StoreError):
            store.get(key_of(1))
    assert time.perf_counter() - began < 8  # 40 timeouts would take 10 s at least
    own_process.go_on()
    store.close()


def test_a_slow_service_is_waited_for_once(server: MomentoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    at(server, monkeypatch)
    store = MomentoStore.from_client_params("team", HOUR, api_key="k", configuration=PATIENT)
    store.close()
    store._params = momento_cache._ClientParams(HOUR, None, "k", None)
    server.state.delay = 0.5
    before = server.state.requests.total()
    for number in range(10):
        with pytest.raises(StoreError, match="asked again" if number else "failed"):
            store.get(key_of(1))
    assert server.state.requests.total() <= before + 1
    store.close()


def test_a_service_that_is_silent_or_down_when_the_store_is_made_raises(
    own_process: MomentoProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(momento_cache, "_CONNECT", timedelta(seconds=0.2))
    own_process.freeze()
    with pytest.raises(StoreError):
        MomentoStore.from_client_params("team", HOUR, api_key="k")
    own_process.kill()
    with pytest.raises(StoreError):
        MomentoStore.from_client_params("team", HOUR, api_key="k")


@pytest.mark.parametrize(
    ("status", "pauses"),
    [
        (grpc.StatusCode.UNAVAILABLE, True),
        (grpc.StatusCode.UNAUTHENTICATED, True),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, True),
        (grpc.StatusCode.INTERNAL, True),
        (grpc.StatusCode.INVALID_ARGUMENT, False),
    ],
)
def test_an_error_of_the_service_is_a_miss_and_one_warning(
    status: grpc.StatusCode, pauses: bool, server: MomentoServer, store: MomentoStore
) -> None:
    nbcache.install(store)
    server.state.fails = status
    before = server.state.requests.total()
    with pytest.warns(NbcacheWarning) as caught:
        assert [model().invoke(f"q{number}").content for number in range(4)] == ["one"] * 4
    assert len(caught) == 1
    assert "by the test" in str(caught[0].message)
    assert (server.state.requests.total() - before < 6) is pauses


# Processes


def test_a_worker_process_gets_a_client_of_its_own(own_process: MomentoProcess) -> None:
    store = MomentoStore.from_client_params("team", HOUR, api_key="k", configuration=PATIENT)
    key = put(store, 1)
    copy = pickle.loads(pickle.dumps(store))
    assert (copy.url, copy.get(key)) == (store.url, b"payload")
    nbcache.install(store)
    process = multiprocessing.get_context("spawn").Process(target=time.time)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        process.start()
    process.join(60)
    nbcache.uninstall()
    for each in (copy, store):
        each.close()


def test_a_client_of_the_users_is_of_one_process(store: MomentoStore) -> None:
    with pytest.raises(TypeError, match="use from_client_params"):
        pickle.dumps(store)
