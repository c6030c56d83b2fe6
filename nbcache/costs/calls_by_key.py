"""How often each key was called in a session, and what one such call costs, for as many keys as there are.

They are rows of a database in memory. As objects they would take five times as much of it: 50 MB for 100,000 keys.
"""

import sqlite3
import weakref
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from nbcache.entry.records import EXACT, CallRecord, SessionCall

# Keys are stored as bytes, and models by their numbers. A row is `used` if its entry was hit or stored, and `unkept` if the answers
# of its key can't be kept, or aren't wanted. Its `number` says which was called first; it is null for a row without a call.
_TABLE = (
    "CREATE TABLE calls (key, model INTEGER, calls INTEGER DEFAULT 0, usd TEXT, estimated INTEGER, last REAL DEFAULT 0,"
    " number INTEGER, used INTEGER, unkept INTEGER, PRIMARY KEY (key, model)) WITHOUT ROWID"
)
_NOTE = (
    "INSERT INTO calls (key, model, calls, last, number) VALUES (?, ?, 1, ?, ?) ON CONFLICT DO UPDATE SET calls = calls + 1,"
    " last = max(last, excluded.last), number = coalesce(number, excluded.number)"
)
_PRICE = "UPDATE calls SET usd = ?, estimated = ? WHERE key = ? AND model = ? AND number"
_TAKE_BACK = "UPDATE calls SET calls = calls - 1, unkept = 1 WHERE key = ? AND model = ? AND calls"
_USE = "INSERT INTO calls (key, model, used) VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET used = 1"
_ONE = "SELECT key, model, calls, usd, estimated, last FROM calls WHERE key = ? AND model = ? AND number"
_ALL = "SELECT key, model, calls, usd, estimated, last FROM calls WHERE calls ORDER BY number"
_DIGITS = 40  # of a key


class SessionCalls:
    """The calls of one session. Safe to use from several threads, one at a time."""

    def __init__(self) -> None:
        self._database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        # Not at the end of the process: what was called just before has still to be written down.
        weakref.finalize(self, self._database.close).atexit = False
        self._sql = self._database.execute
        self._sql(_TABLE)
        self._models: list[str] = []
        self._number = 0
        self._keyless: dict[str, SessionCall] = {}  # calls without a key, by model
        self._unwritten: set[tuple[str, str]] = set()  # keys and models, until `take`

    def note(self, call: CallRecord) -> None:
        """One more call."""
        if not call.key:
            made = self._keyless.get(call.model) or SessionCall("", call.model, 0, when=call.when)
            when, unpriced = max(made.when, call.when), made.unpriced + 1  # until `price` says what it cost
            self._keyless[call.model] = replace(made, calls=made.calls + 1, when=when, unpriced=unpriced)
        else:
            self._number += 1
            self._sql(_NOTE, (_packed(call.key), self._model(call.model), call.when, self._number))
        self._unwritten.add((call.key or "", call.model))

    def price(self, call: CallRecord, usd: Decimal | None, *, estimated: bool, unkept: bool = False) -> None:
        """Note what a call of this key costs: the last one counts. If it is `unkept`, it counts as a call without a key."""
        key, model = call.key or "", call.model
        if key and unkept and self._sql(_TAKE_BACK, (_packed(key), self._model(model))).rowcount:
            self._unwritten.add((key, model))
            key = ""
            self.note(replace(call, key=None))
        if key:
            price = None if usd is None else str(usd)
            self._sql(_PRICE, (price, estimated, _packed(key), self._model(model)))
        elif usd is None or model not in self._keyless:
            return
        else:  # all of them together
            row = self._keyless[model]
            total = EXACT.add(row.usd or 0, usd)
            estimated = estimated or row.estimated
            self._keyless[model] = replace(row, usd=total, estimated=estimated, unpriced=row.unpriced - 1)
        self._unwritten.add((key, model))

    def use(self, key: str, model: str) -> None:
        """Note that the entry of this key was hit or stored."""
        self._sql(_USE, (_packed(key), self._model(model)))

    def used(self) -> set[str]:
        """The keys of entries that were hit or stored."""
        return {_unpacked(key) for (key,) in self._sql("SELECT key FROM calls WHERE used")}

    def is_unkept(self, key: str) -> bool:
        """Whether the answers of this key can't be kept, or aren't wanted."""
        return self._sql("SELECT 1 FROM calls WHERE key = ? AND unkept", (_packed(key),)).fetchone() is not None

    def all(self) -> list[SessionCall]:
        """One for each key, in the order in which they were first called; those without a key come last."""
        return [*map(self._session_call, self._sql(_ALL)), *self._keyless.values()]

    def take(self) -> list[SessionCall]:
        """The calls that have changed since this was last called."""
        changed, self._unwritten = self._unwritten, set()
        return [call for of in changed if (call := self._call(*of)) is not None]

    def put_back(self, calls: Iterable[SessionCall]) -> None:
        """Let `take` return these calls again: they could not be written down."""
        self._unwritten |= {(call.key, call.model) for call in calls}

    def _call(self, key: str, model: str) -> SessionCall | None:
        if not key:
            return self._keyless.get(model)
        row = self._sql(_ONE, (_packed(key), self._model(model))).fetchone()
        return None if row is None else self._session_call(row)

    def _session_call(self, row: tuple[Any, ...]) -> SessionCall:
        key, model, calls, usd, estimated, last = row
        price = None if usd is None else Decimal(usd)
        return SessionCall(_unpacked(key), self._models[model], calls, price, bool(estimated), last)

    def _model(self, name: str) -> int:
        """The number of a model: a session calls few."""
        if name not in self._models:
            self._models.append(name)
        return self._models.index(name)


def _packed(key: str) -> bytes | str:
    """A key as it is stored: its bytes if it is one of ours."""
    try:
        packed = bytes.fromhex(key) if len(key) == _DIGITS else b""
    except ValueError:
        return key
    return packed if packed.hex() == key else key


def _unpacked(key: Any) -> str:
    return key.hex() if isinstance(key, bytes) else str(key)
