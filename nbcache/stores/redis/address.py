"""The URL of a Redis or Valkey server: `redis://host:6379/0?prefix=vision`, or of Sentinels or a cluster."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from nbcache.errors import one_line
from nbcache.stores.location import REDIS_PASSWORD

_EXAMPLES = {
    "": "redis://localhost:6379/0?prefix=team",
    "sentinel": "redis+sentinel://host:26379,host2:26379/mymaster/0?prefix=team",
    "cluster": "redis+cluster://host:6379,host2:6379?prefix=team",
    "unix": "unix:///run/redis/redis.sock?prefix=team",
}
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_OPTIONS = ("prefix", "db", *_FILES)
_PREFIX = re.compile(r"[^:{}\s]+")
_PORTS = {"": 6379, "sentinel": 26379, "cluster": 6379}
Place = tuple[str, int]  # a host and a port


@dataclass(frozen=True, slots=True)
class Address:
    """A server, and the beginning of the keys that a store has there. `url` has no password: it is printed.

    `kind` is `sentinel` or `cluster` where `places` only say which server has the keys; `service` is its name with Sentinel.
    """

    url: str
    prefix: str
    kind: str
    is_encrypted: bool
    options: dict[str, Any] = field(repr=False)  # of redis-py's connections
    places: tuple[Place, ...] = ()
    service: str = ""


def address(url: str) -> Address:
    """The address that a URL says. Its password, or else `NBCACHE_REDIS_PASSWORD`, is used. Raises ValueError."""
    shown = without_password(url)
    try:
        parts = urlsplit(url)
        scheme, _, kind = parts.scheme.partition("+")
        user, places = _user_and_places(parts, _PORTS.get(kind, 0))
    except ValueError:
        raise ValueError(f"store={shown!r}: write a URL such as {_EXAMPLES['']}") from None
    if kind not in _PORTS:
        raise ValueError(
            f"store={shown!r}: write a URL such as {_EXAMPLES['']}, {_EXAMPLES['sentinel']} or {_EXAMPLES['cluster']}"
        )
    is_unix = scheme == "unix"
    example = _EXAMPLES.get("unix" if is_unix else kind, "")
    query = _query(parts, shown)
    prefix = query.pop("prefix", "nbcache")
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"store={shown!r}: write a prefix without colons, braces and blanks, such as ?prefix=team")
    path = parts.path.strip("/")
    if is_unix and (not path or parts.hostname):
        raise ValueError(f"store={shown!r}: write the path of the server's socket, such as {example}")
    if not kind and len(places) > 1:
        raise ValueError(f"store={shown!r}: write one server, or several for Sentinel, such as {_EXAMPLES['sentinel']}")
    service, _, path = path.partition("/") if kind == "sentinel" else ("", "", "" if is_unix else path)
    if kind == "sentinel" and not service:
        raise ValueError(f"store={shown!r}: write the name that Sentinel has for the server, such as {example}")
    db = _database(query.pop("db", path or "0"), shown, example)
    if kind == "cluster" and db:
        raise ValueError(f"store={shown!r}: a cluster has the database 0 only, so write none, such as {example}")
    options: dict[str, Any] = {"db": db, **user, **query}
    if is_unix:
        options["path"] = unquote(parts.path)
        named = f"unix://{parts.path}?db={db}&prefix={quote(prefix)}"
    else:
        hosts = ",".join(f"{f'[{host}]' if ':' in host else host}:{port}" for host, port in places)
        where = {"": f"/{db}", "sentinel": f"/{service}/{db}", "cluster": ""}[kind]
        named = f"{parts.scheme}://{hosts}{where}?prefix={quote(prefix)}"
    if not kind and not is_unix:
        options["host"], options["port"] = places[0]
    seeds = tuple(places) if kind else ()
    return Address(one_line(named), prefix, kind, scheme == "rediss", options, seeds, unquote(service))


def has_password(url: str) -> bool:
    """Whether a text is a URL with a password in it."""
    return without_password(url) != url


def without_password(url: str) -> str:
    """A URL as it can be printed. Whatever stands before an `@` in it may be a password."""
    scheme, separator, rest = url.partition("://")
    user, _, after = rest.rpartition("@")
    name, has, _ = user.partition(":")
    return f"{scheme}://{name}:…@{after}" if separator and has else url


def _user_and_places(parts: SplitResult, port: int) -> tuple[dict[str, str], list[Place]]:
    """The user and the password, and where the servers are. Raises ValueError."""
    user, _, hosts = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    places = []
    for host in hosts.split(","):
        one = urlsplit(f"//{host}")
        places.append((unquote(one.hostname or "localhost"), one.port or port))
    given = {"username": unquote(name), "password": unquote(password) or os.environ.get(REDIS_PASSWORD, "")}
    return {option: value for option, value in given.items() if value}, places


def _query(parts: SplitResult, shown: str) -> dict[str, str]:
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(set(query) - set(_OPTIONS)):
        raise ValueError(
            f"store={shown!r}: a URL has no {unknown[0]!r}; write some of {', '.join(_OPTIONS)} after the `?`"
        )
    for name in _FILES:
        if name in query and not Path(query[name]).is_file():
            raise ValueError(f"store={shown!r}: there is no file {one_line(query[name])} ({name})")
    if "ssl_ca_certs" in query:
        _check_authority(query["ssl_ca_certs"], shown)
    return query


def _check_authority(file: str, shown: str) -> None:
    import ssl  # noqa: PLC0415 - few URLs name one

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except OSError:
        raise ValueError(f"store={shown!r}: {one_line(file)} holds no certificates (ssl_ca_certs)") from None


def _database(text: str, shown: str, example: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"store={shown!r}: write a number for the database, such as {example}")
    return int(text)
