"""Rows as they are written: a JSON list of what describes an answer. Owners, hits, size and expiry stand beside it."""

import json
import math
import struct
from decimal import Decimal
from typing import Any, cast

from nbcache.entry.records import EntryMeta

_FIELDS = (
    *("model", "prompt", "answer", "status", "created", "tags", "cell", "provider", "input_tokens", "output_tokens"),
    *("cost_usd", "seconds", "charged", "client", "streamed", "kind", "function"),
)
_NUMBER = struct.Struct("<d")
NEVER_HIT = (_NUMBER.pack(0.0), _NUMBER.pack(math.nan))  # hits, and the last of them, as the scripts return them
_LONGEST = 10**14  # milliseconds that a server takes for a time to live


def written(row: EntryMeta) -> bytes:
    """A row as the scripts keep it."""
    values = [getattr(row, name) for name in _FIELDS]
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.encode(errors="surrogatepass")


def field_of(owner: str) -> bytes:
    """The field of an entry that says that `owner` owns it."""
    return b"o:" + owner.encode(errors="surrogatepass")


def read(parts: list[Any]) -> EntryMeta:
    """The row that the script `rows` returns."""
    key, row, expires, cost, hits, last_hit, size, owners, _ = parts
    values = dict(zip(_FIELDS, json.loads(row.decode(errors="surrogatepass")), strict=False))
    if cost:
        values |= {"cost_usd": cost[1:].decode(), "charged": cost[:1] == b"1"}
    values["tags"] = tuple(values["tags"])
    values["cost_usd"] = None if values["cost_usd"] is None else Decimal(values["cost_usd"])
    last = _float(last_hit)
    return EntryMeta(
        key=key.decode(),
        notebooks=tuple(owner.decode(errors="surrogatepass") for owner in owners),
        hits=int(_float(hits)),
        last_hit=None if math.isnan(last) else last,
        size_bytes=size,
        expires=float(expires) if expires else None,
        **values,
    )


def expiry_arguments(expires: float | None, now: float) -> tuple[str, int]:
    """An expiry as the scripts take it: seconds since the epoch, and milliseconds from now on."""
    if expires is None:
        return "", 0
    return repr(expires), min(max(int((expires - now) * 1000), 0), _LONGEST)


def _float(data: bytes) -> float:
    return cast("float", _NUMBER.unpack(data)[0])
