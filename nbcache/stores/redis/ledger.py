"""The lifetime ledger, and what the last sessions of each notebook called: lists and hashes for each notebook, without any text."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from nbcache.entry.records import SessionCall, Spending
from nbcache.stores.redis.scripts import run

if TYPE_CHECKING:
    from nbcache.stores.redis.store import RedisStore

_MONEY = [name for name in Spending.__slots__ if name.endswith("_usd")]
_WHICH = ("session", "execution", "notebook", "cell", "model", "kind")


def record(store: "RedisStore", rows: Iterable[Spending]) -> None:
    """Add rows to the ledger."""
    store.batches.write("spend", [(_owner(row.notebook), _text(row)) for row in rows])


def spendings(store: "RedisStore", notebook: str | None) -> list[Spending]:
    """A row for each model and kind of call in each execution of a cell, oldest first."""
    client: Any = store.server.listing
    owners = sorted(client.smembers(store.root + "spenders")) if notebook is None else [_owner(notebook)]
    summed: dict[object, Spending] = {}
    for owner in owners:
        for text in client.lrange(store.root.encode() + b"spent:" + owner, 0, -1):
            row = _spending(json.loads(text), _notebook(owner))
            which = tuple(getattr(row, name) for name in _WHICH)
            if which in summed:
                summed[which].add(row)
                summed[which].when = min(summed[which].when, row.when)
            else:
                summed[which] = row
    return sorted(summed.values(), key=attrgetter("when"))


def record_calls(store: "RedisStore", session: str, notebook: str | None, calls: Iterable[SessionCall]) -> None:
    """Record calls of a session; a key replaces its earlier row. The last two sessions of the notebook are kept."""
    values: list[str] = []
    for call in calls:
        whole = asdict(call)
        values += [json.dumps([whole.pop("key"), whole.pop("model")]), json.dumps(whole, default=str)]
    run(store.server.calls, store.root, "calls", [_owner(notebook), session, *values])


def last_calls(store: "RedisStore", notebook: str | None, but: str | None) -> list[SessionCall]:
    """What the last session of a notebook called, other than the session `but`, in the order of the calls."""
    client: Any = store.server.listing
    owner = _owner(notebook)
    sessions = client.lrange(store.root.encode() + b"sessions:" + owner, 0, -1)
    others = [session for session in sessions if but is None or session != but.encode()]
    if not others:
        return []
    there = client.hgetall(store.root.encode() + b"calls:" + owner + b":" + others[-1])
    calls = [_call(tuple(json.loads(key)), json.loads(text)) for key, text in there.items()]
    return sorted((call for call in calls if call.calls), key=attrgetter("when", "key"))


def rename(store: "RedisStore", notebook: str, new: str) -> None:
    """Move a notebook's rows and calls to its new name."""
    run(store.server.listing, store.root, "rename", [_owner(notebook), _owner(new)])


def _owner(notebook: str | None) -> bytes:
    return b"-" if notebook is None else b"=" + notebook.encode(errors="surrogatepass")


def _notebook(owner: bytes) -> str | None:
    return owner[1:].decode(errors="surrogatepass") if owner[:1] == b"=" else None


def _text(row: Spending) -> str:
    return json.dumps({name: value for name, value in asdict(row).items() if name != "notebook"}, default=str)


def _spending(values: dict[str, Any], notebook: str | None) -> Spending:
    """A row from its values; those that a newer version added are left out."""
    known = {name: value for name, value in values.items() if name in Spending.__slots__}
    known |= {name: Decimal(known[name]) for name in _MONEY if name in known}
    return Spending(**known, notebook=notebook)


def _call(key_and_model: tuple[str, str], values: dict[str, Any]) -> SessionCall:
    known = {name: value for name, value in values.items() if name in SessionCall.__slots__}
    usd = known.get("usd")
    key, model = key_and_model
    return SessionCall(key, model, **{**known, "usd": None if usd is None else Decimal(usd)})
