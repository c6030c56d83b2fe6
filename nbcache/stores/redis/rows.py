"""Entries as they are written: a head, the row, what the answer cost, its owners and its payload, one after the other.

A row is a JSON list of what describes an answer, compressed. The scripts write the rest: `common.lua` has the same head.
"""

import json
import math
import struct
import zlib
from contextlib import suppress
from decimal import Decimal
from typing import Any, cast

from nbcache.entry.believable import believed, is_moment, is_name
from nbcache.entry.durations_and_sizes import LAST_SECOND
from nbcache.entry.records import EntryMeta
from nbcache.errors import DamagedError

# In the order in which they are written.
_NAMES = (
    *("model", "prompt", "answer", "status", "created", "tags", "cell", "provider", "input_tokens", "output_tokens"),
    *("cost_usd", "seconds", "charged", "client", "streamed", "kind", "function"),
)
_NUMBER = struct.Struct("<d")
NEVER_HIT = (_NUMBER.pack(0.0), _NUMBER.pack(math.nan))  # hits, and the last of them, as the scripts return them
# When it expires, where the payload starts, the row's length, whether it has explained a miss, the length of the cost.
_HEAD = struct.Struct("<d4xIIBB")
_DICTIONARY = (  # what many rows have in common, and therefore take little space for. Another one can't read what this one wrote.
    b"the of and to in is that for it with as was on be by this are from or an at not which you have but can all use when code "
    b"data how what does write explain value list return function class string file object test error name type None True False"
    b'["sealed, to be read with NBCACHE_SECRET: ","sealed-","unfinished","filtered","empty","cut off","embedding","tool",'
    b'"function","anthropic","google","mistral","ollama","openai","local",["claude-","gemini-","mistral-","llama","gpt-4o-mini","'
    b'","ok",17","ok",18,[],"In [],null,"]","openai",0,null,null,1.,true,"langchain",true,"call",null]'
    b',null,0.5,false,"langchain",false,"call",null]'
)
_WINDOW = 12  # bits: a row is short, and less memory to set up takes less time
_LARGEST = 1_000_000  # bytes of a row, decompressed: what is larger is damage
_MOST = 2**53
_LONGEST = 10**14  # milliseconds that a server takes for a time to live


def written(row: EntryMeta) -> bytes:
    """A row as the scripts keep it."""
    values = [getattr(row, name) for name in _NAMES]
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), default=str)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -_WINDOW, zdict=_DICTIONARY)
    return deflate.compress(text.encode(errors="surrogatepass")) + deflate.flush()


def owner_argument(owner: str | None) -> bytes:
    """An owner as the scripts take it, which may be none."""
    return b"" if owner is None else b"=" + owner.encode(errors="surrogatepass")


def payload_in(entry: bytes) -> bytes:
    """The payload of an entry. What is no entry is taken for a payload, which can't be read either."""
    return entry[_HEAD.unpack_from(entry)[1] :] if len(entry) >= _HEAD.size else entry


def expiry_in(entry: bytes) -> float | None:
    """When an entry expires."""
    expires = _float(entry[: _NUMBER.size]) if len(entry) >= _HEAD.size else math.inf
    return expires if math.isfinite(expires) else None


def row_in(entry: bytes) -> bytes:
    """The row of an entry, as it is written."""
    return entry[_HEAD.size :][: _HEAD.unpack_from(entry)[2]] if len(entry) >= _HEAD.size else b""


def parts_of(key: str, entry: bytes) -> list[Any]:
    """An entry as `read` takes it, without owners and hits."""
    head = entry[: _HEAD.size].ljust(_HEAD.size, b"\0")
    _, start, length, _, cost_length = _HEAD.unpack(head)
    cost = entry[_HEAD.size + length :][:cost_length]
    return [key.encode(), row_in(entry), head[:8], cost, *NEVER_HIT, len(entry) - start, [], payload_in(entry)]


def read(parts: list[Any], ahead: float = 0.0) -> EntryMeta:
    """The row that the script `rows` returns; its times are by a clock that the server's is ahead of.

    Others may have written it. Raises DamagedError if it is none.
    """
    key, row, expires, cost, hits, last_hit, size, owners, _ = parts
    try:
        values = _values(row)
        if cost:
            values |= {"cost_usd": cost[1:].decode(), "charged": cost[:1] == b"1"}
        if (usd := values["cost_usd"]) is not None:
            values["cost_usd"] = Decimal(str(usd))
        values["created"] -= ahead
        last, expiry = _count(last_hit), _float(expires)
        return believed(
            EntryMeta(
                key=key.decode(),
                notebooks=tuple(owner.decode(errors="surrogatepass") for owner in owners),
                hits=int(_count(hits) or 0),
                last_hit=None if last is None else last - ahead,
                size_bytes=size,
                expires=min(expiry - ahead, float(LAST_SECOND)) if math.isfinite(expiry) else None,
                **values,
            )
        )
    except (ValueError, TypeError, ArithmeticError, RecursionError):
        raise DamagedError(f"the row of entry {key[:8].decode(errors='replace')} is damaged") from None


def read_or_none(parts: list[Any], ahead: float = 0.0) -> EntryMeta | None:
    """As `read`; None if the row is damaged, which `check` says."""
    try:
        return read(parts, ahead)
    except DamagedError:
        return None


def texts(row: bytes) -> tuple[str, str]:
    """The beginnings of the prompt and the answer in a row that is written. Raises DamagedError."""
    try:
        _, prompt, answer, *_ = _json(row)
    except (ValueError, TypeError, RecursionError):
        raise DamagedError("the row of an entry is damaged") from None
    return str(prompt), str(answer)


def tombstone(gone: list[bytes], ahead: float) -> tuple[str, float] | None:
    """Why and when an entry was removed, by a clock that the server's is ahead of. None if that is no text, or no time."""
    with suppress(ValueError):
        why, when = gone[0].decode(), float(gone[1]) - ahead
        return (why, when) if is_name(why) and is_moment(when) else None
    return None


def expiry_arguments(expires: float | None, now: float) -> tuple[str, int]:
    """An expiry as the scripts take it: seconds since the epoch, and milliseconds from now on."""
    if expires is None:
        return "", 0
    return repr(expires), min(max(int((expires - now) * 1000), 0), _LONGEST)


def _values(row: bytes) -> dict[str, Any]:
    written_values = _json(row)
    if not isinstance(written_values, list):
        raise TypeError("a row is a list")
    values = dict(zip(_NAMES, written_values, strict=False))  # those that a newer nbcache adds stand at the end
    if len(values) < len(_NAMES) or not isinstance(values["tags"], list):
        raise TypeError("a field is missing, or of another type")
    values["tags"] = tuple(values["tags"])
    return values


def _json(row: bytes) -> Any:
    """The value in a row. Raises ValueError, also for one that is larger than any that is written."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS, zdict=_DICTIONARY)
    try:
        text = inflate.decompress(row, _LARGEST)
    except zlib.error:
        raise ValueError("a row is compressed") from None
    if not inflate.eof:
        raise ValueError("a row is longer or shorter than what was written")
    return json.loads(text.decode(errors="surrogatepass"))


def _count(data: bytes) -> float | None:
    """A number of a column. None if it isn't known, or is none that the scripts write."""
    value = _float(data)
    return value if 0 <= value <= _MOST else None


def _float(data: bytes) -> float:
    return cast("float", _NUMBER.unpack(data)[0])
