"""Stores behind Sentinels and in clusters: the keys are found, all of them on one server, and found again when it fails."""

import warnings
from collections.abc import Iterator

import pytest
from langchain_core.language_models import FakeListChatModel

import nbcache
from nbcache import NbcacheWarning
from nbcache.errors import StoreError
from nbcache.stores import RedisStore
from tests.servers.redis_server import Cluster, RedisServer, Sentinel, program, replicated, until
from tests.stores.contract.entries import key_of, put
from tests.stores.redis.outages import exercise, is_used


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(program()) as running:
        yield running


@pytest.mark.parametrize("prefix", ["a", "b", "c", "d"])
def test_a_store_in_a_cluster_has_its_keys_on_one_node_and_can_do_all(cluster: Cluster, prefix: str) -> None:
    store = RedisStore(cluster.url(prefix))
    store.connect()
    exercise(store)
    counts = [len(node.client.keys(f"{{{prefix}}}*")) for node in cluster.nodes]
    assert sum(count > 0 for count in counts) == 1
    assert cluster.node_of(prefix).client.exists(f"{{{prefix}}}:2:e:{key_of(3)}")
    store.close()


def test_a_url_of_a_node_says_that_it_is_one_of_a_cluster(cluster: Cluster) -> None:
    other = next(node for node in cluster.nodes if node is not cluster.node_of("nbcache"))
    store = RedisStore(other.url())
    with pytest.raises(StoreError, match=r"write redis\+cluster:// instead of redis://"):
        store.get(key_of(1))
    store.close()


def test_a_server_that_is_in_no_cluster_says_so(server: RedisServer) -> None:
    with RedisServer(program(), tcp=True) as alone:
        store = RedisStore(alone.url().replace("redis://", "redis+cluster://").replace("/0?", "?"))
        with pytest.raises(StoreError, match="cluster support disabled"):
            store.get(key_of(1))
        store.close()


def test_a_node_that_was_killed_and_started_again_is_used_again() -> None:
    with Cluster(program()) as own:
        store, node = RedisStore(own.url()), own.node_of("nbcache")
        put(store, 1)
        node.stop()
        with pytest.raises(StoreError, match="does not answer"):
            store.get(key_of(1))
        with pytest.raises(StoreError, match="asked again"):
            store.get(key_of(1))
        node.start()
        until(lambda: is_used(store))
        exercise(store)
        store.close()


def test_a_replica_in_a_cluster_takes_the_place_of_a_node_that_was_killed() -> None:
    with Cluster(program(), replica_for="team") as own:
        store = RedisStore(own.url("team"))
        put(store, 1)
        until(lambda: own.nodes[3].client.dbsize() == own.node_of("team").client.dbsize())
        own.node_of("team").stop()
        until(lambda: is_used(store))
        assert store.get(key_of(1)) == b"payload"
        exercise(store)
        store.close()


def test_keys_that_move_to_another_node_are_found_there() -> None:
    with Cluster(program(), "--cluster-require-full-coverage", "no") as own:
        from redis.crc import key_slot

        store, slot = RedisStore(own.url()), key_slot(b"{nbcache}")
        assert is_used(store)
        old = own.node_of("nbcache")
        new = next(node for node in own.nodes if node is not old)
        store.clear([key_of("probe")])
        for name in old.client.keys("{nbcache}*"):
            old.client.unlink(name)
        for node in (new, old, *own.nodes):
            node.client.execute_command(
                "CLUSTER SETSLOT", slot, "NODE", new.client.execute_command("CLUSTER MYID").decode()
            )
        with pytest.raises(StoreError, match="another node"):
            store.get(key_of(1))
        assert is_used(store)
        assert new.client.exists(f"{{nbcache}}:2:e:{key_of('probe')}")
        store.close()


def test_a_store_behind_a_sentinel_follows_when_its_server_is_killed() -> None:
    with replicated(program()) as (main, replica, sentinel):
        store = RedisStore(sentinel.url())
        store.connect()
        exercise(store)
        put(store, "kept")
        until(lambda: replica.client.exists(f"{{nbcache}}:2:e:{key_of('kept')}"))
        main.stop()
        until(lambda: is_used(store))
        assert store.get(key_of("kept")) == b"payload"
        assert replica.client.info("replication")["role"] == "master"
        store.close()


def test_a_server_that_was_frozen_is_left_for_its_replica_and_nothing_is_written_to_it_later() -> None:
    with replicated(program()) as (main, replica, sentinel):
        store = RedisStore(sentinel.url())
        assert is_used(store)
        main.freeze()
        until(lambda: is_used(store))
        main.go_on()
        until(lambda: main.client.info("replication")["role"] == "slave")
        put(store, "later")
        assert replica.client.exists(f"{{nbcache}}:2:e:{key_of('later')}")
        store.close()


def test_calls_go_on_while_the_servers_change_and_one_warning_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBCACHE_OWNER", "ann")
    with replicated(program()) as (main, _, sentinel):
        nbcache.install(sentinel.url())
        model = FakeListChatModel(responses=["kept"])
        model.invoke("q")
        main.stop()
        with pytest.warns(NbcacheWarning, match="does not answer") as warned:
            assert [model.invoke(f"q{number}").content for number in range(5)] == ["kept"] * 5
        assert len(warned) == 1
        store = nbcache.installed().store
        assert isinstance(store, RedisStore)
        until(lambda: is_used(store))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert model.invoke("afterwards").content == "kept"
            model.invoke("afterwards")
        assert bool(nbcache.last().hit.iloc[-1])
        nbcache.uninstall()


def test_a_sentinel_that_is_down_is_passed_by() -> None:
    with replicated(program()) as (_, _, sentinel), RedisServer(program(), tcp=True) as gone:
        gone.stop()
        store = RedisStore(f"redis+sentinel://127.0.0.1:{gone.port},127.0.0.1:{sentinel.port}/main")
        store.connect()
        assert is_used(store)
        store.close()


def test_a_sentinel_that_is_frozen_is_asked_last_from_then_on() -> None:
    with replicated(program()) as (main, _, sentinel), Sentinel(program(), main) as frozen:
        frozen.freeze()
        store = RedisStore(f"redis+sentinel://127.0.0.1:{frozen.port},127.0.0.1:{sentinel.port}/main")
        until(lambda: is_used(store))
        frozen.go_on()
        store.close()


def test_a_name_that_sentinel_does_not_know_is_said() -> None:
    with replicated(program()) as (_, _, sentinel):
        store = RedisStore(sentinel.url().replace("/main/", "/vision/"))
        with pytest.raises(StoreError, match="Sentinel knows no server 'vision'"):
            store.connect()
        store.close()


def test_the_password_is_for_the_server_and_for_a_sentinel_that_wants_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBCACHE_REDIS_PASSWORD", "hunter2")
    with RedisServer(program(), "--requirepass", "hunter2", tcp=True) as main:
        for options in ((), ("requirepass hunter2",)):
            with Sentinel(program(), main, "sentinel auth-pass main hunter2", *options) as sentinel:
                store = RedisStore(sentinel.url())
                store.connect()
                assert is_used(store)
                store.close()
