"""Which server has the keys of a store, where Sentinels or the nodes of a cluster say it: a store's keys are all on one."""

import time
from contextlib import closing
from typing import Any

import redis
from redis.crc import key_slot

from nbcache.stores.redis.address import Address, Place

_PARTS = 3  # of the time that is left: for the connection, the password and the answer


class Topology:
    """Asks Sentinels or nodes where a store's server is now."""

    def __init__(self, address: Address, connection_class: type, options: dict[str, Any]) -> None:
        self._address, self._class = address, connection_class
        self._options = {name: value for name, value in options.items() if name not in {"db", "find"}}
        self._places = list(address.places)

    def find(self, ends: float) -> Place:
        """The server's host and port, asked of one after the other until `ends` (`time.monotonic`). Raises redis.RedisError."""
        failure: redis.RedisError = redis.ConnectionError("no server says where the keys are")
        for place in tuple(self._places):
            if time.monotonic() >= ends:
                break
            try:
                return self._ask(place, ends)
            except redis.RedisError as error:
                failure = error
                if place in self._places:  # the next one is asked first, next time: this one may be silent for long
                    self._places.remove(place)
                    self._places.append(place)
        raise failure

    def _ask(self, place: Place, ends: float) -> Place:
        is_sentinel = self._address.kind == "sentinel"
        options = self._options
        if is_sentinel:  # most have no password, and those refuse one
            options = {name: value for name, value in options.items() if name not in {"username", "password"}}
        try:
            return self._answer(place, options, ends)
        except redis.AuthenticationError:
            if not is_sentinel or "password" not in self._options:
                raise
            return self._answer(place, self._options, ends)

    def _answer(self, place: Place, options: dict[str, Any], ends: float) -> Place:
        seconds = max((ends - time.monotonic()) / _PARTS, 0.001)
        host, port = place
        timeouts = {"socket_timeout": seconds, "socket_connect_timeout": seconds}
        pool = redis.ConnectionPool(connection_class=self._class, **{**options, **timeouts}, host=host, port=port)
        with closing(pool):
            client: Any = redis.Redis(connection_pool=pool)
            return self._master(client) if self._address.kind == "sentinel" else self._node(client, place)

    def _master(self, client: Any) -> Place:
        found = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._address.service)
        if not found:
            raise redis.ConnectionError(f"Sentinel knows no server {self._address.service!r}")
        return _text(found[0]), int(found[1])

    def _node(self, client: Any, asked: Place) -> Place:
        slot = key_slot(f"{{{self._address.prefix}}}".encode())
        for first, last, node, *_ in client.execute_command("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return _text(node[0] or b"") or asked[0], int(node[1])  # without a host it is the one that was asked
        raise redis.ConnectionError(f"no node of the cluster has the slot {slot}")


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
