"""The lifetime ledger, and what the last sessions of each notebook called: lists and hashes for each notebook, without any text."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from redis import ResponseError

from nbcache.entry.believable import believed
from nbcache.entry.records import SessionCall, Spending
from nbcache.stores.redis.rows import owner_argument
from nbcache.stores.redis.scripts import run

if TYPE_CHECKING:
    from nbcache.stores.redis.store import RedisStore

_UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
_MONEY = [name for name in Spending.__slots__ if name.endswith("_usd")]
_WHICH = ("session", "execution", "notebook", "cell", "model", "kind")


def record(store: "RedisStore", rows: Iterable[Spending]) -> None:
    """Add rows to the ledger."""
    store.batches.write("spend", [(_owner(row.notebook), _text(row)) for row in rows])


def spendings(store: "RedisStore", notebook: str | None) -> list[Spending]:
    """A row for each model and kind of call in each execution of a cell, oldest first."""
    client: Any = store.server.listing
    owners = sorted(_there(client.smembers, store.root + "spenders")) if notebook is None else [_owner(notebook)]
    summed: dict[object, Spending] = {}
    for owner in owners:
        for row in _spent(client, store.root, owner):
            which = tuple(getattr(row, name) for name in _WHICH)
            if which in summed:
                summed[which].add(row)
                summed[which].when = min(summed[which].when, row.when)
            else:
                summed[which] = row
    return sorted((row for row in summed.values() if _is_whole(row)), key=attrgetter("when"))


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
    sessions = _there(client.lrange, store.root.encode() + b"sessions:" + owner, 0, -1)
    others = [session for session in sessions if but is None or session != but.encode()]
    if not others:
        return []
    there: Any = dict(_there(client.hgetall, store.root.encode() + b"calls:" + owner + b":" + others[-1]))
    calls = [call for key, text in there.items() if (call := _call(key, text)) is not None]
    return sorted((call for call in calls if call.calls > 0), key=attrgetter("when", "key"))


def rename(store: "RedisStore", notebook: str, new: str) -> None:
    """Move a notebook's rows and calls to its new name."""
    run(store.server.listing, store.root, "rename", [_owner(notebook), _owner(new)])


def _owner(notebook: str | None) -> bytes:
    return owner_argument(notebook) or b"-"


def _text(row: Spending) -> str:
    return json.dumps({name: value for name, value in asdict(row).items() if name != "notebook"}, default=str)


def _there(command: Callable[..., Any], name: bytes | str, *arguments: int) -> Any:
    """What a key has; nothing if it has another type, since somebody else has written it."""
    try:
        return command(name, *arguments)
    except ResponseError:
        return ()


def _spent(client: Any, root: str, owner: bytes) -> Iterator[Spending]:
    """The rows of an owner. What nbcache would not write is passed over."""
    for text in _there(client.lrange, root.encode() + b"spent:" + owner, 0, -1):
        with suppress(*_UNREADABLE):
            notebook = owner[1:].decode(errors="surrogatepass") if owner[:1] == b"=" else None
            known = _known(Spending, text)
            known |= {name: Decimal(str(known[name])) for name in _MONEY if name in known}
            yield believed(Spending(**known | {"notebook": notebook}))


def _is_whole(row: Spending) -> bool:
    """Whether a sum is one of calls that were made: only what is added later may be below zero."""
    return min(row.hits, row.misses) >= 0 and min(row.spent_usd, row.saved_usd) >= 0


def _call(key_and_model: bytes, text: bytes) -> SessionCall | None:
    """A call of a session. None if it is none that nbcache would write."""
    with suppress(*_UNREADABLE):
        key, model = json.loads(key_and_model)
        known = _known(SessionCall, text)
        usd = known.get("usd")
        return believed(
            SessionCall(**known | {"key": key, "model": model, "usd": None if usd is None else Decimal(str(usd))})
        )
    return None


def _known(cls: type[Spending | SessionCall], text: bytes) -> dict[str, Any]:
    """The values of a record; those that a newer version added are left out."""
    return {name: value for name, value in json.loads(text).items() if name in cls.__slots__}
