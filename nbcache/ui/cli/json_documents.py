"""The documents that `nbcache … --json` prints. Programs read them: fields may be added, but none changes its meaning."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nbcache.costs.money import Money, amount_text, saved, saved_by_provider, spent
from nbcache.entry.edit import Changed
from nbcache.entry.records import Cleared, EntryMeta, Record, Spending
from nbcache.entry.stats import Stats, known
from nbcache.stores.selection import Selection

if TYPE_CHECKING:  # they import LangChain
    from nbcache.replay.export_import_results import Exported, Imported

_ENTRY = """\
key, model, provider, prompt and answer (their beginnings), status, tags, notebooks, cell, created, last_hit, hits,
size_bytes, expires, input_tokens, output_tokens, cost_usd, seconds, charged (whether the provider itself told the cost),
client (`langchain`, or an API such as `openai`), streamed (whether the answer came in chunks), kind (`call`,
`embedding`, `function` or `tool`), function (its name, or that of the tool)"""
_SUMS = """\
hits, misses, spent_usd and saved_usd (null where no call has a price), saved_seconds (of waiting; null where it isn't
known), unpriced_hits, unpriced_misses, estimated_hits, estimated_misses, charged_hits, charged_misses, model_seconds,
untimed_hits, provider_saved_usd (by the providers' own prompt caches, in misses, less what writing to them cost; null where it
isn't known), provider_priced_misses and provider_unpriced_misses (misses of which it is known, and isn't)"""
FIELDS = {
    "ls": f"a list of entries, each with {_ENTRY}",
    "stats": f"{_SUMS}, entries, size_bytes, evictions, statuses; by model or kind a list, each with its name and the first sixteen",
    "show": "the fields of ls, prompt and answer whole, call: its class, endpoint and parameters, versions: of what stored it, calls: the keys of those inside of a function, gone: those of them that are no longer stored, and functions: those around this call, each with its key and function",
    "evict": "the deleted entry, with the fields of ls",
    "clear": "deleted, size_bytes, kept (because other notebooks own them too), keys (of the deleted), dry_run",
    **dict.fromkeys(
        ("expire", "tag", "untag"),
        "changed, usd (what paying again would cost, as far as it is known), keys (of the changed), dry_run",
    ),
    "export": "path, entries, size_bytes, changed, scrubbed and left_out (by key, why), gone (keys), unknown (lines)",
    "import": "path, new, same, conflicting (keys), preferred, dry_run",
    "check": "problems, left (those that were not mended)",
    "where": "store, exists",
}
UNITS = "times are ISO 8601 in UTC, sizes bytes, money US dollars in a string; what isn't known is null"


def entry(meta: EntryMeta) -> dict[str, Any]:
    """One entry, with the beginnings of its prompt and answer."""
    row = {field.name: getattr(meta, field.name) for field in fields(meta)}
    times = {name: _time(row[name]) for name in ("created", "last_hit", "expires")}
    return {**row, **times, "cost_usd": None if meta.cost_usd is None else f"{meta.cost_usd:f}"}


def record(whole: Record) -> dict[str, Any]:
    """One entry whole."""
    return {
        **entry(whole.meta),
        "prompt": whole.prompt,
        "answer": whole.answer,
        "call": whole.identity,
        "versions": whole.versions,
        "calls": list(whole.calls),
        "gone": list(whole.gone),
        "functions": [{"key": row.key, "function": row.function} for row in whole.functions],
    }


def stats(numbers: Stats, statuses: dict[str, int]) -> dict[str, Any]:
    """The numbers of `stats`: calls, money, time, and what is stored."""
    stored = {name: getattr(numbers, name) for name in ("entries", "size_bytes", "evictions")}
    return {**sums(numbers), **stored, "statuses": statuses}


def sums(numbers: Stats | Spending) -> dict[str, Any]:
    """Calls, money and time."""
    names = ("unpriced_hits", "unpriced_misses", "estimated_hits", "estimated_misses", "charged_hits", "charged_misses")
    calls = {"hits": numbers.hits, "misses": numbers.misses}
    money = {"spent_usd": _usd(spent(numbers)), "saved_usd": _usd(saved(numbers))}
    waited, model = known(numbers.saved_seconds or 0.0, numbers.hits, numbers.untimed_hits), numbers.model_seconds
    counts = {name: getattr(numbers, name) for name in names}
    times = {
        "model_seconds": model or known(0.0, numbers.hits, numbers.untimed_hits),
        "untimed_hits": numbers.untimed_hits,
    }
    provider = {
        "provider_saved_usd": _usd(saved_by_provider(numbers)),
        "provider_priced_misses": numbers.provider_priced_misses,
        "provider_unpriced_misses": numbers.provider_unpriced_misses,
    }
    return {**calls, **money, "saved_seconds": waited, **counts, **times, **provider}


def cleared(done: Cleared, *, dry_run: bool) -> dict[str, Any]:
    """What a clear has deleted, or would delete."""
    counts = {name: getattr(done, name) for name in ("deleted", "size_bytes", "kept")}
    return {**counts, "keys": _keys(done.entries), "dry_run": dry_run}


def changed(done: Changed, *, dry_run: bool) -> dict[str, Any]:
    """What `expire`, `tag` or `untag` has changed, or would change."""
    usd = None if done.usd is None else f"{done.usd:f}"
    return {"changed": done.changed, "usd": usd, "keys": _keys(done.entries), "dry_run": dry_run}


def exported(done: "Exported") -> dict[str, Any]:
    """What an export has written."""
    return {**asdict(done), "path": str(done.path)}


def imported(done: "Imported", *, dry_run: bool) -> dict[str, Any]:
    """What an import has stored, or would store."""
    return {**asdict(done), "path": str(done.path), "dry_run": dry_run}


def _keys(entries: Sequence[EntryMeta]) -> list[str]:
    return entries.keys() if isinstance(entries, Selection) else [meta.key for meta in entries]


def _time(when: float | None) -> str | None:
    return None if when is None else datetime.fromtimestamp(when, UTC).isoformat()


def _usd(money: Money) -> str | None:
    return None if amount_text(money) == "unknown" else f"{money.usd:f}"
