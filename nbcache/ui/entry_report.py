"""The text of one whole entry, for magics and the command line."""

import contextlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime

from nbcache.costs.money import cost_text
from nbcache.entry.durations_and_sizes import bytes_text, plural, seconds_text
from nbcache.entry.records import EntryMeta, Record
from nbcache.errors import NbcacheError, UnknownKeyError, one_line
from nbcache.stores.base import Listable
from nbcache.stores.view import DIGITS_TO_EVICT, Contents
from nbcache.ui.report import aligned, client_text, versions_text

_DIGITS = 8  # of a key that is proposed, at least
_LISTED = 10  # functions around a call


def unknown_key(error: UnknownKeyError, contents: Contents, key: str, ls: str) -> UnknownKeyError:
    """The same error, which also says which key was meant, if one begins as `key` does, and what lists them all: `ls`."""
    if not isinstance(contents.store, Listable):
        return error
    beginning, meant = key.strip()[:DIGITS_TO_EVICT], ""
    if len(beginning) == DIGITS_TO_EVICT < len(key):
        with contextlib.suppress(NbcacheError):  # none, or several
            meant = f"; did you mean {contents.find(beginning).key[: max(len(key), _DIGITS)]}?"
    return UnknownKeyError(f"{error}{meant or '.'} `{ls}` lists the keys")


def record(entry: Record) -> str:
    """One entry, whole: prompt, answer, model, parameters, where and when."""
    meta = entry.meta
    values = {
        "key": meta.key,
        "model": one_line(meta.model),
        "client": client_text(meta),
        "function": one_line(meta.function or ""),
        "status": one_line(meta.status),
        "tags": one_line(", ".join(meta.tags)),
        "notebooks": one_line(", ".join(meta.notebooks)),
        "cell": one_line(meta.cell or ""),
        "stored": _time(meta.created),
        "stored by": versions_text(entry.versions),
        "last hit": f"{_time(meta.last_hit)} ({meta.hits} {plural(meta.hits, 'hit')})" if meta.last_hit else None,
        "expires": _time(meta.expires),
        "size": bytes_text(meta.size_bytes),
        "tokens": f"{_count_text(meta.input_tokens)} in, {_count_text(meta.output_tokens)} out",
        "price": cost_text(meta.cost_usd, charged=meta.charged),
        "took": None if meta.seconds is None else seconds_text(meta.seconds),
        "calls inside": ", ".join(key[:8] + (" (gone)" if key in entry.gone else "") for key in entry.calls),
        "inside of": _around(entry.functions),
        "call": json.dumps(entry.identity, indent=2, ensure_ascii=False),
    }
    head = aligned((name, value) for name, value in values.items() if value)
    return f"{head}\n\n--- prompt ---\n{entry.prompt}\n\n--- answer ---\n{entry.answer}"


def _around(functions: Sequence[EntryMeta]) -> str:
    """The functions inside of which a call was made: `judge (3f9a12c4)`."""
    names = [f"{one_line(row.function or row.model)} ({row.key[:8]})" for row in functions[:_LISTED]]
    return ", ".join([*names, *(["…"] if len(functions) > _LISTED else [])])


def _count_text(tokens: int | None) -> str:
    return "unknown" if tokens is None else f"{tokens:,}"


def _time(when: float | None) -> str | None:
    return None if when is None else datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
