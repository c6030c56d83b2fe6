"""URLs of servers: what they mean, and that a password is never shown."""

import traceback
from pathlib import Path

import pytest

from nbcache.stores import RedisStore, open_store
from nbcache.stores.redis.address import address, has_password

AUTHORITY = Path(__file__).parents[2] / "servers" / "authority.pem"


@pytest.mark.parametrize(
    ("url", "shown", "options"),
    [
        ("redis://", "redis://localhost:6379/0?prefix=nbcache", {"host": "localhost", "port": 6379, "db": 0}),
        ("redis://lab:7000/3", "redis://lab:7000/3?prefix=nbcache", {"host": "lab", "port": 7000, "db": 3}),
        ("valkey://lab?prefix=a", "valkey://lab:6379/0?prefix=a", {"host": "lab", "port": 6379, "db": 0}),
        ("redis://[::1]:1/0", "redis://[::1]:1/0?prefix=nbcache", {"host": "::1", "port": 1, "db": 0}),
        ("unix:///run/r.sock?db=2", "unix:///run/r.sock?db=2&prefix=nbcache", {"path": "/run/r.sock", "db": 2}),
        (
            "redis://ann:p%40ss@lab/0?prefix=a",
            "redis://lab:6379/0?prefix=a",
            {"host": "lab", "port": 6379, "db": 0, "username": "ann", "password": "p@ss"},
        ),
        (
            f"rediss://lab?ssl_ca_certs={AUTHORITY}",
            "rediss://lab:6379/0?prefix=nbcache",
            {"host": "lab", "port": 6379, "db": 0, "ssl_ca_certs": str(AUTHORITY)},
        ),
        ("redis+sentinel://lab/main", "redis+sentinel://lab:26379/main/0?prefix=nbcache", {"db": 0}),
        (
            "rediss+sentinel://ann:p%40ss@a:1,[::1],b/main/2?prefix=x",
            "rediss+sentinel://a:1,[::1]:26379,b:26379/main/2?prefix=x",
            {"db": 2, "username": "ann", "password": "p@ss"},
        ),
        ("redis+cluster://a,b:7000?prefix=x", "redis+cluster://a:6379,b:7000?prefix=x", {"db": 0}),
    ],
)
def test_a_url_says_where_the_store_is(url: str, shown: str, options: dict[str, object]) -> None:
    found = address(url)
    assert (found.url, found.options) == (shown, options)
    assert found.is_encrypted == url.startswith("rediss")


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("redis://lab/first", "a number for the database"),
        ("redis://lab:port/0", "write a URL such as redis://"),
        ("redis://lab?prefix=a:b", "prefix without colons"),
        ("redis://lab?prefix=", "prefix without colons"),
        ("redis://lab?timeout=3", "no 'timeout'; write some of prefix, db"),
        ("unix://", "path of the server's socket"),
        ("redis://a,b/0", "several for Sentinel, such as redis"),
        ("redis+sentinel://lab", "name that Sentinel has for the server, such as redis.sentinel://"),
        ("redis+sentinel://lab/main/x", "number for the database, such as redis.sentinel://"),
        ("redis+cluster://lab/3", "the database 0 only"),
        ("redis+cluster://lab:x", "write a URL such as redis://"),
        ("redis+else://lab/0", "such as redis://.*redis.sentinel://.*redis.cluster://"),
        (f"rediss://lab?ssl_ca_certs={__file__}", "holds no certificates"),
        ("rediss://lab?ssl_ca_certs=/nowhere/ca.pem", "there is no file /nowhere/ca.pem"),
    ],
)
def test_a_wrong_url_raises_at_once_and_says_what_to_write(url: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        open_store(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@lab/first",
        "redis://a:hunter2@lab:x",
        "redis://a:hunter2@lab?x=1",
        "reddis://a:hunter2@lab",
        "redis+sentinel://a:hunter2@lab,lab2",
        "redis+cluster://a:hunter2@lab,lab2:x",
    ],
)
def test_the_error_of_a_wrong_url_does_not_show_its_password(url: str) -> None:
    with pytest.raises(ValueError) as raised:
        open_store(url)
    assert "hunter2" not in "".join(traceback.format_exception_only(raised.value))
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_a_password_comes_from_the_environment_unless_the_url_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBCACHE_REDIS_PASSWORD", "from outside")
    assert address("redis://lab").options["password"] == "from outside"
    assert address("redis://:own@lab").options["password"] == "own"


@pytest.mark.parametrize("url", ["redis://{}lab/0", "redis+sentinel://{}lab,lab2/main", "redis+cluster://{}lab,lab2"])
def test_a_store_shows_its_password_nowhere(url: str) -> None:
    store = RedisStore(url.format("ann:hunter2@"))
    assert "hunter2" not in f"{store.url} {store!r} {store.server.address!r} {store.server.calls!r}"


@pytest.mark.parametrize(
    ("url", "has"),
    [("redis://lab/0", False), ("redis://ann@lab", False), ("redis://:x@lab", True), ("rediss://a:b@c/0", True)],
)
def test_a_url_with_a_password_is_known_as_such(url: str, has: bool) -> None:
    assert has_password(url) is has
