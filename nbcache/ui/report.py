"""What `%llmcache` says, in plain words."""

import json
from datetime import UTC, datetime

from nbcache.cache import NotebookCache
from nbcache.entry import Cleared, EntryMeta, Record, Stats
from nbcache.stores import DiskStore, Store
from nbcache.units import bytes_text


def status(cache: NotebookCache) -> str:
    """What is on, where, and what it did so far."""
    settings = cache.settings
    options = [f"ttl {settings.ttl:g} s"] if settings.ttl is not None else []
    options += [f"tag {tag}" for tag in settings.tags]
    mode = ", ".join([str(settings.mode), *options])
    return f"nbcache: {mode}, for {whose(cache)}\n{stats(cache.stats())}"


def whose(cache: NotebookCache) -> str:
    """The scope, by name."""
    return f"the notebook {cache.notebook}" if cache.scope == "notebook" else "the whole folder"


def stats(found: Stats) -> str:
    """The counts, a line each."""
    lines = [
        f"this session: {found.hits} {_s(found.hits, 'hit')}, {found.misses} {_s(found.misses, 'miss')}"
        + (f" ({found.hit_rate:.0%} hits)" if found.hits + found.misses else "")
    ]
    if found.errors:
        lines.append(f"failures of the cache itself: {found.errors}")
    lines.append(f"stored: {entries_text(found.entries)}, {bytes_text(found.size_bytes)}")
    if found.evictions:
        lines.append(f"evicted by the store's bounds so far: {entries_text(found.evictions)}")
    return "\n".join(lines)


def record(found: Record) -> str:
    """One entry, whole: prompt, answer, model, parameters, where and when."""
    meta = found.meta
    facts = {
        "key": meta.key,
        "model": meta.model,
        "status": meta.status,
        "tags": ", ".join(meta.tags),
        "notebooks": ", ".join(meta.notebooks),
        "cell": meta.cell,
        "stored": _time(meta.created),
        "last hit": f"{_time(meta.last_hit)} ({meta.hits} {_s(meta.hits, 'hit')})" if meta.last_hit else None,
        "expires": _time(meta.expires),
        "size": bytes_text(meta.size_bytes),
        "call": json.dumps(found.identity, indent=2, ensure_ascii=False),
    }
    head = "\n".join(f"{name + ':':<10} {value}" for name, value in facts.items() if value)
    return f"{head}\n\n--- prompt ---\n{found.prompt}\n\n--- answer ---\n{found.answer}"


def evicted(meta: EntryMeta) -> str:
    """What was evicted."""
    return f"evicted {meta.key[:8]} ({meta.model}, {bytes_text(meta.size_bytes)}): {meta.prompt}"


def cleared(done: Cleared, *, dry_run: bool) -> str:
    """What a clear did, or would do."""
    verb = "would delete" if dry_run else "deleted"
    line = f"{verb} {entries_text(done.deleted)} ({bytes_text(done.size_bytes)})"
    if done.kept:
        line += f"; {'would keep' if dry_run else 'kept'} {done.kept} that other notebooks own too"
    return line + ("; nothing was changed" if dry_run else "")


def where(cache: NotebookCache) -> str:
    """Where the entries are kept, and whose they are."""
    return f"store: {store_text(cache.store)}\nscope: {whose(cache)}"


def store_text(store: Store) -> str:
    """The store's folder, or its URL."""
    return str(store.folder) if isinstance(store, DiskStore) else store.url


def checked(problems: list[str], *, fix: bool) -> str:
    """What a check found."""
    if not problems:
        return "nothing is wrong with the store"
    end = (
        "mended: damaged entries were deleted" if fix else "`%llmcache check --fix` mends it, deleting damaged entries"
    )
    return "\n".join([*problems, end])


def entries_text(number: int) -> str:
    """A count of entries."""
    return f"{number:,} {'entry' if number == 1 else 'entries'}"


def _s(number: int, word: str) -> str:
    return word if number == 1 else word + ("es" if word.endswith("s") else "s")


def _time(when: float | None) -> str | None:
    return None if when is None else datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
