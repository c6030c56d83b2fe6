"""Leases on the server: of identical calls in several processes one makes the request.

A lease is kept by the server's clock, and with the entry of its key in one transaction. So a call that lost its lease, because its
process stood still, can't replace what was stored meanwhile.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbcache.stores.redis.scripts import run

if TYPE_CHECKING:
    from nbcache.stores.redis.store import RedisStore

_OTHERS, _OURS = 0, 1  # what the script returns in place of a payload
_UNSHARED = 5.0  # seconds for which nobody waits after an answer that was not stored


def lease(store: "RedisStore", key: str, token: str, seconds: float) -> bytes | bool | None:
    """The payload of `key`; without one, whether the lease is the token's now. None if nobody needs it."""
    found: Any = run(
        store.server.calls, store.root, "lease", [key, token, _milliseconds(seconds), repr(store.server.now())]
    )
    if isinstance(found, bytes):
        return found
    return {_OTHERS: False, _OURS: True}.get(found)


def renew(store: "RedisStore", leases: Mapping[str, str], seconds: float) -> None:
    """Let these keys' leases last for so many seconds from now, or take them again."""
    pairs = [text for pair in leases.items() for text in pair]
    run(store.server.calls, store.root, "renew", [_milliseconds(seconds), repr(store.server.now()), *pairs])


def release(store: "RedisStore", key: str, token: str, *, failed: bool) -> None:
    """End the token's lease without an answer."""
    run(store.server.calls, store.root, "release", [key, token, int(failed), _milliseconds(_UNSHARED)])


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)
