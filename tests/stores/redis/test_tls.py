"""Servers by TLS: those that are trusted are used, and of others a line says what to do."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import nbcache
from nbcache import NbcacheWarning
from nbcache.errors import StoreError
from nbcache.stores import RedisStore
from tests.servers.certificates import Authority
from tests.servers.redis_server import Cluster, RedisServer, program
from tests.stores.contract.entries import key_of, put
from tests.stores.redis.outages import LIMIT, Lost, answer_on, model, used


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@contextlib.contextmanager
def by_tls(authority: Authority, host: str = "127.0.0.1", *, expired: bool = False) -> Iterator[RedisServer]:
    with RedisServer(program(), tls=authority.sign(host, expired=expired)) as running:
        yield running


def failure_of(url: str) -> str:
    """What an install on this server warns of."""
    with pytest.warns(NbcacheWarning) as warned:
        assert answer_on(url) == "right"
    assert len(warned) == 1
    text = str(warned[0].message)
    assert "\n" not in text
    assert "Traceback" not in text
    return text


def test_a_server_by_tls_is_used_if_its_authority_is_named(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBCACHE_OWNER", "ann")
    with by_tls(authority) as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        nbcache.install(f"{server.url()}&ssl_ca_certs={authority.file}")
        for _ in range(2):
            assert model().invoke("q").content == "right"
        assert nbcache.stats().hits == 1
        assert str(authority.file) not in used().url
        nbcache.uninstall()


def test_a_certificate_that_is_not_trusted_is_said(authority: Authority, tmp_path: Path) -> None:
    another = Authority(tmp_path, "another")
    with by_tls(authority) as server:
        for url in (server.url(), f"{server.url()}&ssl_ca_certs={another.file}"):
            text = failure_of(url)
            assert "is not trusted" in text
            assert "?ssl_ca_certs=FILE" in text
    with by_tls(authority, expired=True) as server:
        assert "certificate has expired" in failure_of(f"{server.url()}&ssl_ca_certs={authority.file}")
    with by_tls(authority, "elsewhere.lab") as server:
        text = failure_of(f"{server.url()}&ssl_ca_certs={authority.file}")
        assert "certificate is not valid for '127.0.0.1'" in text


def test_a_server_without_tls_and_one_with_it_are_told_apart(authority: Authority, own_server: RedisServer) -> None:
    text = failure_of(own_server.url().replace("redis://", "rediss://"))
    assert "if it speaks no TLS, write redis:// instead of rediss://" in text
    with by_tls(authority) as server:
        text = failure_of(server.url().replace("rediss://", "redis://"))
        assert "write rediss:// instead of redis://" in text


def test_a_server_by_tls_that_is_frozen_costs_as_little(authority: Authority, lost: Lost) -> None:
    with by_tls(authority) as server:
        store = RedisStore(f"{server.url()}&ssl_ca_certs={authority.file}")
        server.freeze()
        with pytest.raises(StoreError, match="does not answer"):
            store.get(key_of(1))
        assert max(lost.limits) <= LIMIT
        assert len(lost.threads(store)) == 1
        server.go_on()
        store.close()


def test_a_cluster_can_speak_tls(authority: Authority) -> None:
    among_nodes = ("--tls-cluster", "yes", "--tls-ca-cert-file", str(authority.file))
    with Cluster(program(), *among_nodes, tls=authority.sign()) as cluster:
        store = RedisStore(f"{cluster.url()}&ssl_ca_certs={authority.file}")
        store.connect()
        put(store, 1)
        assert store.get(key_of(1)) == b"payload"
        store.close()
