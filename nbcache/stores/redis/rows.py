"""Rows as they are written: a JSON list of what describes an answer. Owners, hits, size and expiry stand beside it."""

import json
import math
import struct
from decimal import Decimal
from typing import Any, cast

from nbcache.entry.records import EntryMeta
from nbcache.errors import DamagedError

_TEXT, _NUMBER_OR_NONE, _TEXT_OR_NONE = str, int | float | None, str | None
# In the order in which they are written. Others may have written a row: what is of another type is damage.
_TYPES: dict[str, Any] = {
    "model": _TEXT,
    "prompt": _TEXT,
    "answer": _TEXT,
    "status": _TEXT,
    "created": int | float,
    "tags": list,
    "cell": _TEXT_OR_NONE,
    "provider": _TEXT_OR_NONE,
    "input_tokens": int | None,
    "output_tokens": int | None,
    "cost_usd": _TEXT_OR_NONE,
    "seconds": _NUMBER_OR_NONE,
    "charged": bool,
    "client": _TEXT_OR_NONE,
    "streamed": bool,
    "kind": _TEXT,
    "function": _TEXT_OR_NONE,
}
_NUMBER = struct.Struct("<d")
NEVER_HIT = (_NUMBER.pack(0.0), _NUMBER.pack(math.nan))  # hits, and the last of them, as the scripts return them
_LONGEST = 10**14  # milliseconds that a server takes for a time to live


def written(row: EntryMeta) -> bytes:
    """A row as the scripts keep it."""
    values = [getattr(row, name) for name in _TYPES]
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.encode(errors="surrogatepass")


def field_of(owner: str) -> bytes:
    """The field of an entry that says that `owner` owns it."""
    return b"o:" + owner.encode(errors="surrogatepass")


def read(parts: list[Any], ahead: float = 0.0) -> EntryMeta:
    """The row that the script `rows` returns; its times are by a clock that the server's is ahead of. Raises DamagedError if it is none."""
    key, row, expires, cost, hits, last_hit, size, owners, _ = parts
    try:
        values = _values(row)
        if cost:
            values |= {"cost_usd": cost[1:].decode(), "charged": cost[:1] == b"1"}
        values["cost_usd"] = None if values["cost_usd"] is None else Decimal(values["cost_usd"])
        values["created"] -= ahead
        when = float(expires) - ahead if expires else None
    except (ValueError, TypeError, ArithmeticError, RecursionError):
        raise DamagedError(f"the row of entry {key[:8].decode(errors='replace')} is damaged") from None
    last = _float(last_hit)
    return EntryMeta(
        key=key.decode(),
        notebooks=tuple(owner.decode(errors="surrogatepass") for owner in owners),
        hits=int(_float(hits)),
        last_hit=None if math.isnan(last) else last - ahead,
        size_bytes=size,
        expires=when,
        **values,
    )


def read_or_none(parts: list[Any], ahead: float = 0.0) -> EntryMeta | None:
    """As `read`; None if the row is damaged, which `check` says."""
    try:
        return read(parts, ahead)
    except DamagedError:
        return None


def texts(row: bytes) -> tuple[str, str]:
    """The beginnings of the prompt and the answer in a row that is written. Raises DamagedError."""
    try:
        _, prompt, answer, *_ = json.loads(row.decode(errors="surrogatepass"))
    except (ValueError, TypeError, RecursionError):
        raise DamagedError("the row of an entry is damaged") from None
    return str(prompt), str(answer)


def expiry_arguments(expires: float | None, now: float) -> tuple[str, int]:
    """An expiry as the scripts take it: seconds since the epoch, and milliseconds from now on."""
    if expires is None:
        return "", 0
    return repr(expires), min(max(int((expires - now) * 1000), 0), _LONGEST)


def _values(row: bytes) -> dict[str, Any]:
    written_values = json.loads(row.decode(errors="surrogatepass"))
    if not isinstance(written_values, list):
        raise TypeError("a row is a list")
    values = dict(zip(_TYPES, written_values, strict=False))  # those that a newer nbcache adds stand at the end
    if len(values) < len(_TYPES) or not all(isinstance(values[name], wanted) for name, wanted in _TYPES.items()):
        raise TypeError("a field is of another type")
    if not all(isinstance(tag, str) for tag in values["tags"]):
        raise TypeError("a tag is no text")
    values["tags"] = tuple(values["tags"])
    return values


def _float(data: bytes) -> float:
    return cast("float", _NUMBER.unpack(data)[0])
