"""The URL of a Redis or Valkey server: `redis://host:6379/0?prefix=vision`."""

import os
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from nbcache.errors import one_line
from nbcache.stores.location import REDIS_PASSWORD

_EXAMPLE = "redis://localhost:6379/0?prefix=team"
_OPTIONS = ("prefix", "db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_PREFIX = re.compile(r"[^:{}\s]+")
_PORT = 6379


@dataclass(frozen=True, slots=True)
class Address:
    """A server, and the beginning of the keys that a store has there. `url` has no password: it is printed."""

    url: str
    prefix: str
    is_encrypted: bool
    options: dict[str, Any] = field(repr=False)  # of redis-py's connections


def address(url: str) -> Address:
    """The address that a URL says. Its password, or else `NBCACHE_REDIS_PASSWORD`, is used. Raises ValueError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"store={without_password(url)!r}: write a URL such as {_EXAMPLE}") from None
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    shown = without_password(url)
    if unknown := sorted(set(query) - set(_OPTIONS)):
        raise ValueError(
            f"store={shown!r}: a URL has no {unknown[0]!r}; write some of {', '.join(_OPTIONS)} after the `?`"
        )
    prefix = query.pop("prefix", "nbcache")
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"store={shown!r}: write a prefix without colons, braces and blanks, such as ?prefix=team")
    is_unix = parts.scheme == "unix"
    db = _database(query.pop("db", "0" if is_unix else parts.path.strip("/") or "0"), shown)
    if is_unix and (not parts.path.strip("/") or host):
        raise ValueError(
            f"store={shown!r}: write the path of the server's socket, such as unix:///run/redis/redis.sock"
        )
    options: dict[str, Any] = {"db": db, **query}
    options |= (
        {"path": unquote(parts.path)} if is_unix else {"host": unquote(host or "localhost"), "port": port or _PORT}
    )
    if parts.username:
        options["username"] = unquote(parts.username)
    if password := unquote(parts.password or "") or os.environ.get(REDIS_PASSWORD):
        options["password"] = password
    place = f"unix://{parts.path}" if is_unix else f"{parts.scheme}://{_name(host or 'localhost')}:{port or _PORT}"
    named = f"{place}?db={db}&prefix={quote(prefix)}" if is_unix else f"{place}/{db}?prefix={quote(prefix)}"
    return Address(one_line(named), prefix, parts.scheme == "rediss", options)


def has_password(url: str) -> bool:
    """Whether a text is a URL with a password in it."""
    return without_password(url) != url


def without_password(url: str) -> str:
    """A URL as it can be printed. Whatever stands before an `@` in it may be a password."""
    scheme, separator, rest = url.partition("://")
    user, _, after = rest.rpartition("@")
    name, has, _ = user.partition(":")
    return f"{scheme}://{name}:…@{after}" if separator and has else url


def _name(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _database(text: str, shown: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"store={shown!r}: write a number for the database, such as {_EXAMPLE}")
    return int(text)
