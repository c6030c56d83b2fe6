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

# What `--json` prints for each command: the kind of document, and its fields, in groups with a note on each.
_ENTRY = {
    "key, model, provider, status, tags, notebooks, cell": "",
    "prompt, answer": "their beginnings",
    "created, last_hit, expires": "times",
    "hits, size_bytes, input_tokens, output_tokens, seconds": "",
    "cost_usd, charged": "what it cost, and whether the provider itself told that",
    "client": "`langchain`, or an API such as `openai`",
    "streamed": "whether the answer came in chunks",
    "kind": "`call`, `embedding`, `function` or `tool`",
    "function": "its name, or that of the tool",
}
_STATS = {
    "hits, misses": "",
    "spent_usd, saved_usd": "null where no call has a price",
    "unpriced_hits, unpriced_misses": "those without a price",
    "estimated_hits, estimated_misses": "those whose price is estimated",
    "charged_hits, charged_misses": "those whose cost the provider itself told",
    "saved_seconds, model_seconds": "of waiting, and of the models' own time",
    "untimed_hits": "those whose time isn't known",
    "provider_saved_usd": "by the providers' own prompt caches, in misses, less what writing to them cost",
    "provider_priced_misses, provider_unpriced_misses": "misses of which that is known, and isn't",
    "entries, size_bytes, evictions, statuses": "what is stored; not with `--by`",
}
_RECORD = {
    "prompt, answer": "whole",
    "call": "its class, endpoint and parameters",
    "versions": "of what stored it",
    "calls, gone": "the keys of the calls inside of a function, and those of them that are no longer stored",
    "functions": "those around this call, each with its key and function",
}
_CHANGED = {
    "changed, dry_run": "",
    "usd": "what paying again would cost, as far as it is known",
    "keys": "of the changed entries",
}
FIELDS: dict[str, tuple[str, dict[str, str]]] = {
    "ls": ("a list of entries, each with", _ENTRY),
    "stats": ("one object, or with `--by` a list of them, each with its `model` or `kind`", _STATS),
    "show": ("the fields of `ls`, and", _RECORD),
    "evict": ("the deleted entry, with the fields of `ls`", {}),
    "clear": (
        "",
        {
            "deleted, size_bytes, dry_run": "",
            "kept": "because other notebooks own them too",
            "keys": "of the deleted entries",
        },
    ),
    **dict.fromkeys(("expire", "tag", "untag"), ("", _CHANGED)),
    "export": (
        "",
        {
            "path, entries, size_bytes, changed": "",
            "scrubbed, left_out": "by key, why",
            "gone": "keys",
            "unknown": "lines",
        },
    ),
    "import": ("", {"path, new, same, preferred, dry_run": "", "conflicting": "keys"}),
    "check": ("", {"problems": "", "left": "those that were not mended"}),
    "where": ("", {"store, exists": "", "notes": "how it is kept"}),
}
UNITS = "times are ISO 8601 in UTC, sizes bytes, money US dollars in a string; what isn't known is null"


def printed(word: str) -> str:
    """What `--json` prints for a command, on one line."""
    document, fields_of = FIELDS[word]
    parts = [f"{names} ({note})" if note else names for names, note in fields_of.items()]
    return " ".join(filter(None, [document + (":" if document and parts else ""), ", ".join(parts)]))


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
