"""The calls of a session by their keys: how often each was made, and what one costs.

A session may make hundreds of thousands. So each is a few bytes, and an object only when somebody reads it. Rows of a database
take as little, but each of its statements hands the interpreter's lock to a busy main thread, and may wait for milliseconds
to get it back: the sums were not done before the cell was.
"""

import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from nbcache.costs.events import NOT_KEPT
from nbcache.entry.records import EXACT, CallRecord, SessionCall

_ROW = struct.Struct("<dIBqb")  # of `_Row`: its price as digits and exponent
# Flags. A price that is `_LONG` is kept elsewhere. Calls are `_OPEN` while no answer to one of them has come whole.
_PRICED, _ESTIMATED, _USED, _LONG, _OPEN = 1, 2, 4, 8, 16
_NUMBER, _KEY = 2, 20  # bytes of a model's number, and of a key
_DIGITS = 18
# A call: the number of its model with its key, packed if the key is one of ours.
_Of = bytes | tuple[int, str]


class _Row(NamedTuple):
    """The calls of one key: when the last was, how many there were, and what one costs."""

    when: float = 0.0
    calls: int = 0
    flags: int = 0
    usd: Decimal | None = None


class SessionCalls:
    """How often each key was called in this session, and what one such call costs."""

    def __init__(self) -> None:
        self._rows: dict[_Of, bytes] = {}
        self._long_prices: dict[_Of, Decimal] = {}
        self._without_key: dict[str, SessionCall] = {}  # by model
        self._open = Counter[str]()  # calls with a key that are open, by model
        self._models: dict[str, int] = {}
        self._unwritten: set[_Of] = set()
        self._unwritten_models: set[str] = set()  # of calls without a key
        self._unkept: dict[str, str] = {}  # why the answer of a key was not kept: it can't be, or isn't wanted

    def note(self, call: CallRecord) -> None:
        """One more call."""
        if not call.key:
            self._note_without_key(call)
            return
        of = self._of(call.key, call.model)
        row = self._row(of)
        flags = row.flags
        if call.owes and not row.calls:
            flags |= _OPEN
        if flags & _OPEN:
            self._add_open(call.model, 1)
        when = max(row.when, call.when) if row.calls else call.when
        self._write(of, row._replace(calls=row.calls + 1, when=when, flags=flags))

    def _add_open(self, model: str, calls: int) -> None:
        self._open[model] += calls
        self._unwritten_models.add(model)

    def _note_without_key(self, call: CallRecord) -> None:
        model = call.model
        made = self._without_key.get(model) or SessionCall("", model, 0, when=call.when)
        unpriced = made.unpriced + 1  # until `price` says what it cost
        self._without_key[model] = replace(
            made, calls=made.calls + 1, when=max(made.when, call.when), unpriced=unpriced
        )
        self._unwritten_models.add(model)

    def price(self, call: CallRecord, usd: Decimal | None, *, estimated: bool, unkept: str = "") -> None:
        """Note what a call of this key costs: the last one counts. If it is `unkept`, it counts as a call without a key.

        `unkept` says why.
        """
        row = self._row(of := self._of(call.key, call.model)) if call.key else _Row()
        if row.flags & _OPEN:
            self._add_open(call.model, -1 if unkept else -row.calls)
        if call.key and row.calls and not unkept:
            flags = row.flags & _USED | (_ESTIMATED if estimated else 0)
            self._write(of, row._replace(flags=flags, usd=usd))
            return
        if call.key and row.calls:
            self._unkept[call.key] = unkept
            self._write(of, row._replace(calls=row.calls - 1))
            self._note_without_key(call)
        if call.key and not row.calls:
            return
        made = self._without_key.get(call.model)
        if made is not None and usd is not None:  # all of them together
            total, estimated = EXACT.add(made.usd or 0, usd), estimated or made.estimated
            self._without_key[call.model] = replace(made, usd=total, estimated=estimated, unpriced=made.unpriced - 1)
            self._unwritten_models.add(call.model)

    def is_priced(self, call: CallRecord) -> bool:
        """Whether it is known what a call of this key costs."""
        return call.key is not None and bool(self._row(self._of(call.key, call.model)).flags & _PRICED)

    def use(self, key: str, model: str) -> None:
        """Note that the entry of this key was hit or stored."""
        self._unkept.pop(key, None)
        of = self._of(key, model)
        row = self._row(of)
        if not row.flags & _USED:
            self._rows[of] = self._packed(of, row._replace(flags=row.flags | _USED))

    def used(self) -> set[str]:
        """The keys of entries that were hit or stored."""
        return {self._key_of(of) for of in self._rows if self._row(of).flags & _USED}

    def unkept(self, key: str, model: str) -> str:
        """Why no answer of this call was kept, though it was made: it can't be, isn't wanted, or never came whole.

        An empty text if it was not made, or an answer was kept.
        """
        return self._unkept.get(key) or (NOT_KEPT if self._row(self._of(key, model)).flags & _OPEN else "")

    def all(self) -> list[SessionCall]:
        """One for each key."""
        models = map(self._calls_without_key, {**self._without_key, **self._open})
        return [call for call in (*models, *self._calls(self._rows)) if call.calls]

    def take(self) -> list[SessionCall]:
        """The calls that have changed since this was last called."""
        changed, self._unwritten = self._unwritten, set()
        models, self._unwritten_models = self._unwritten_models, set()
        return [*map(self._calls_without_key, models), *self._calls(changed)]

    def _of(self, key: str, model: str) -> _Of:
        number = self._models.setdefault(model, len(self._models))
        if len(key) == 2 * _KEY:
            try:
                packed = bytes.fromhex(key)
                if packed.hex() == key:
                    return number.to_bytes(_NUMBER, "big") + packed
            except (ValueError, OverflowError):
                pass
        return number, key

    def _key_of(self, of: _Of) -> str:
        return of[_NUMBER:].hex() if isinstance(of, bytes) else of[1]

    def _calls_without_key(self, model: str) -> SessionCall:
        """The calls of a model that have no key, or are open: none of them is a hit when it is made again."""
        made = self._without_key.get(model) or SessionCall("", model, 0)
        waiting = self._open[model]
        return replace(made, calls=made.calls + waiting, unpriced=made.unpriced + waiting) if waiting else made

    def _calls(self, which: Iterable[_Of]) -> Iterable[SessionCall]:
        models = list(self._models)
        for of in which:
            row, number = self._row(of), int.from_bytes(of[:_NUMBER], "big") if isinstance(of, bytes) else of[0]
            estimated = bool(row.flags & _ESTIMATED)
            calls = 0 if row.flags & _OPEN else row.calls
            yield SessionCall(self._key_of(of), models[number], calls, row.usd, estimated, row.when)

    def _row(self, of: _Of) -> _Row:
        written = self._rows.get(of)
        if written is None:
            return _Row()
        when, calls, flags, digits, exponent = _ROW.unpack(written)
        if flags & _LONG:
            return _Row(when, calls, flags, self._long_prices[of])
        return _Row(when, calls, flags, Decimal(digits).scaleb(exponent, EXACT) if flags & _PRICED else None)

    def _write(self, of: _Of, row: _Row) -> None:
        self._rows[of] = self._packed(of, row)
        self._unwritten.add(of)

    def _packed(self, of: _Of, row: _Row) -> bytes:
        flags = row.flags & (_ESTIMATED | _USED | _OPEN)
        if row.usd is None:
            return _ROW.pack(row.when, row.calls, flags, 0, 0)
        _, digits, exponent = row.usd.as_tuple()
        if len(digits) > _DIGITS or not isinstance(exponent, int) or not -100 < exponent < 100:
            self._long_prices[of] = row.usd
            return _ROW.pack(row.when, row.calls, flags | _PRICED | _LONG, 0, 0)
        number = int(row.usd.scaleb(-exponent, EXACT))
        return _ROW.pack(row.when, row.calls, flags | _PRICED, number, exponent)
