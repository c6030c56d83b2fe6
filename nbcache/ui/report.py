"""The texts that the magics, the panel and the command line share, in plain words."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from nbcache.cache.modes import NOTEBOOK, REPLAY
from nbcache.costs.ledger_sums import by_kind
from nbcache.costs.money import (
    Money,
    amount_text,
    note_text,
    provider_note,
    saved,
    saved_by_provider,
    saved_text,
    spent,
    usd_text,
    waited_text,
)
from nbcache.entry.durations_and_sizes import bytes_text, counted, duration_text, seconds_text
from nbcache.entry.filter import FUNCTIONS
from nbcache.entry.records import CALL, STATUSES, Cleared, EntryMeta, Filter, Spending
from nbcache.entry.stats import Stats
from nbcache.entry.status import OK
from nbcache.errors import CassetteError, one_line
from nbcache.replay.secrets.scrubber import SECRET
from nbcache.stores.base import Listable, Store, home_of
from nbcache.stores.location import from_here
from nbcache.stores.sealed.mark import not_opened
from nbcache.stores.selection import Selection
from nbcache.ui.folder_notes import notes_on_store
from nbcache.ui.tier_texts import hits_text, place_text, read_only_text, store_text

if TYPE_CHECKING:  # what a command line need not import
    from nbcache.cache.notebook_cache import NotebookCache
    from nbcache.entry.edit import Changed, Edit
    from nbcache.replay.export_import_results import Exported, Imported
    from nbcache.session.plans import Plan
    from nbcache.stores.view import Contents

_LISTED = 50  # entries that a dry run names


def status(cache: "NotebookCache") -> str:
    """The mode, where entries go, and the session's numbers."""
    lines = [*stats_lines(cache.stats(), cache.store, rows=cache.ledger.rows()), *passed_lines(cache)]
    return f"{mode(cache)}\n{aligned(lines, max(10, *(len(name) + 1 for name, _ in lines)))}"


def mode(cache: "NotebookCache") -> str:
    """The mode with its options, and the notebook or folder it is for."""
    settings = cache.settings_now
    options = [f"ttl {duration_text(settings.ttl)}"] if settings.ttl is not None else []
    options += [counted(len(cache.rules.ttl_rules), "TTL rule")] if cache.rules.ttl_rules else []
    options += [f"tag {one_line(tag)}" for tag in settings.tags]
    options += _minimums(cache)
    text = ", ".join([str(settings.mode), *options, *filter(None, [bounds(cache)])])
    text += " (set from outside by NBCACHE_MODE, and so it stays)" if cache.is_locked else ""
    return f"nbcache: {text}, {played(cache) if settings.mode == REPLAY else f'for {whose(cache)}'}"


def _minimums(cache: "NotebookCache") -> list[str]:
    """What an answer has to have taken or cost to be kept, if the settings say so."""
    rules = cache.rules
    minimums = [] if rules.min_seconds is None else [f"takes at least {duration_text(rules.min_seconds)}"]
    minimums += [] if rules.min_usd is None else [f"costs at least ${rules.min_usd:f}"]
    return [f"keeps what {' or '.join(minimums)}"] if minimums else []


def no_key(names: Sequence[str]) -> str:
    """What to type where variables with API keys are missing, and `replay` needs none."""
    return f'no key is needed. {", ".join(names)} not set: a client that asks for a key takes any text, as in api_key="none"'


def played(cache: "NotebookCache") -> str:
    """The cassette that `replay` plays."""
    try:
        cassette = cache.recordings.cassette()
    except (CassetteError, OSError) as error:
        return f"from nothing: {error}"
    if cassette is None:
        path = cache.recordings.path
        why = "this notebook's name isn't known here" if path is None else f"there is no {from_here(path)}"
        return f"from the store, as {why}"
    return f"from {from_here(cassette.path)}, {counted(len(cassette.recordings), 'recording')}"


def whose(cache: "NotebookCache") -> str:
    """The scope: the notebook's name, or the whole folder."""
    if cache.scope != NOTEBOOK or cache.notebook is None:
        return "the whole folder"
    return f"the notebook {one_line(PurePosixPath(cache.notebook).name)}"


def bounds(cache: "NotebookCache") -> str:
    """The store's bounds; empty if it has none."""
    parts = [] if cache.max_bytes is None else [bytes_text(cache.max_bytes)]
    parts += [] if cache.max_entries is None else [entries_text(cache.max_entries)]
    return f"at most {' and '.join(parts)}" if parts else ""


def status_counts(contents: "Contents") -> dict[str, int]:
    """How many entries have each status but `ok`: they are recorded, and their calls are made again. Raises StoreError."""
    return {status: contents.totals_of(Filter(status=status)).entries for status in STATUSES if status != OK}


def aligned(lines: Iterable[tuple[str, str]], width: int = 10) -> str:
    """Names and their values in two columns, the first `width` wide."""
    return "\n".join(f"{name + ':':<{width}} {value}" for name, value in lines)


def stats_lines(
    sums: Stats,
    store: Store,
    of: str = "this session",
    statuses: Mapping[str, int] | None = None,
    rows: Iterable[Spending] = (),
) -> list[tuple[str, str]]:
    """Calls, money and time, and what is stored, in pairs of a name and a text.

    `statuses` counts the entries by status. `rows` are those of which `sums` are the sum: they tell which calls were functions.
    """
    calls = sums.hits + sums.misses
    rate = f" ({sums.hit_rate:.0%} hits)" if calls else ""
    lines = [
        ("calls", f"{of}: {counted(sums.hits, 'hit')}, {counted(sums.misses, 'miss')}{rate}"),
        *([("tiers", f"hits of {tiers}")] if (tiers := hits_text(sums.by_tier, store)) else []),
        *_function_lines(rows),
        ("paid", _joined(amount_text(spent(sums)), note_text(spent(sums), "miss"))),
        ("saved", _joined(saved_text(saved(sums)), note_text(saved(sums), "hit"), _and_seconds(sums))),
        *_provider_lines(sums),
        ("stored", " · ".join([stored_text(sums, store), *_status_texts(statuses or {})])),
    ]
    if sums.errors:
        lines.append(("failures", f"{sums.errors:,} of the cache itself"))
    if sums.evictions:
        lines.append(("evicted", f"{entries_text(sums.evictions)} by the store's bounds so far"))
    return lines


def _function_lines(rows: Iterable[Spending]) -> list[tuple[str, str]]:
    """How many of the calls were functions and tools of the user's own, where there were any."""
    return [
        (f"{kind}s", f"{counted(row.hits, 'hit')}, {counted(row.misses, 'miss')}, among the calls")
        for kind, row in by_kind(rows).items()
        if kind in FUNCTIONS
    ]


def _provider_lines(sums: Stats) -> list[tuple[str, str]]:
    """What the providers' own prompt caches saved, where that isn't nothing."""
    money = saved_by_provider(sums)
    if not (money.usd or money.unpriced):
        return []
    if money.unpriced == money.calls:
        text = "unknown what its own prompt cache saved"
    elif money.usd < 0:
        text = f"its own prompt cache cost {usd_text(-money.usd)} more to write than it saved"
    else:
        text = f"saved {usd_text(money.usd)} by its own prompt cache"
    return [("provider", _joined(text, provider_note(money)))]


def passed_lines(cache: "NotebookCache") -> list[tuple[str, str]]:
    """The requests of this session that went past the cache: those that it can't answer, and those that it could."""
    uncached, left_out = cache.ledger.uncached(), cache.ledger.left_out()
    lines = [("not cached", f"{_numbers(uncached)}, among the misses")] if uncached else []
    if left_out:
        text = f"{_numbers(left_out)}, by the setting `clients`: `%config NBCache.clients = 'all'` caches such calls"
        lines.append(("left out", text))
    return lines


def _numbers(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in sorted(counts.items()))


def _status_texts(counts: Mapping[str, int]) -> list[str]:
    parts = [f"{count:,} {status}" for status, count in counts.items() if count]
    return [", ".join(parts)] if parts else []


def stored_text(sums: Stats, store: Store) -> str:
    """How much the scope holds: `12 entries, 3.4 kB`."""
    if sums.entries is None or sums.size_bytes is None:
        return f"unknown: {why_unknown(store)}"
    return f"{entries_text(sums.entries)}, {bytes_text(sums.size_bytes)}"


def why_unknown(store: Store) -> str:
    """Why it is unknown what the store holds."""
    return "the store can't be read" if isinstance(store, Listable) else "this store can't list its entries"


def footer(sums: Spending) -> str:
    """One line about a cell: `12 calls · 11 hits · paid $0.004 · saved up to $0.041 and 38 s`."""
    calls = sums.hits + sums.misses
    parts = [f"{counted(calls, 'call')}", f"{counted(sums.hits, 'hit')}"]
    parts += [_joined(f"paid {amount_text(spent(sums))}", note_text(spent(sums), "miss"))] if sums.misses else []
    if sums.hits:
        waited = f" and {waited_text(sums)}" if sums.saved_seconds else ""
        parts.append(_joined(f"saved {saved_text(saved(sums))}{waited}", note_text(saved(sums), "hit")))
    return " · ".join(parts)


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def _and_seconds(sums: Stats) -> str:
    """The time of waiting that was saved; also the models' own time, if it is more."""
    if not sums.saved_seconds:
        return "an unknown time of waiting" if sums.hits and sums.untimed_hits >= sums.hits else ""
    waited, model = f"{waited_text(sums)} of waiting", seconds_text(sums.model_seconds or 0.0)
    return waited if model == seconds_text(sums.saved_seconds) else f"{waited} ({model} of the models' time)"


def client_text(meta: EntryMeta) -> str:
    """The client of an entry, what it is unless it is a call, and whether its answer came in chunks: `openai, streamed`."""
    kind = "" if meta.kind == CALL else one_line(meta.kind)
    return ", ".join(filter(None, (one_line(meta.client or ""), kind, "streamed" if meta.streamed else "")))


def versions_text(versions: Mapping[str, str] | None) -> str:
    """The versions that stored an entry: `nbcache 0.5.0, langchain-core 1.1.0`."""
    return one_line(", ".join(f"{name} {version}" for name, version in (versions or {}).items()))


def evicted(meta: EntryMeta, store: Store) -> str:
    """What was evicted, and what its answer would cost again."""
    return f"evicted {entry(meta)}, of {place_text(store)}{to_pay_again([meta])}"


def entry(meta: EntryMeta) -> str:
    """An entry on one line."""
    return f"{meta.key[:8]} ({one_line(meta.model)}, {bytes_text(meta.size_bytes)}): {one_line(meta.prompt)}"


def would_clear(done: Cleared) -> str:
    """What a clear would delete, and what the answers would cost again."""
    stay = f"; {done.kept:,} stay, which other notebooks own too" if done.kept else ""
    return f"deletes {entries_text(done.deleted)} ({bytes_text(done.size_bytes)}){stay}{to_pay_again(done.entries)}"


def cleared(done: Cleared, store: Store, *, dry_run: bool) -> str:
    """What a clear has deleted, or would delete."""
    verb = "would delete" if dry_run else "deleted"
    line = f"{verb} {entries_text(done.deleted)} ({bytes_text(done.size_bytes)}) of {place_text(home_of(store))}"
    if done.kept:
        line += f"; {'would keep' if dry_run else 'kept'} {done.kept} that other notebooks own too"
    line += to_pay_again(done.entries)
    if done.deleted and (read_only := read_only_text(store)):
        line += f"; what {read_only} has of them stays there, and is a hit"
    return _with_list(line, done.entries) if dry_run else line


def changed(done: "Changed", change: "Edit", store: Store, *, dry_run: bool) -> str:
    """What `tag`, `untag` or `expire` has changed, or would change."""
    entries = f"{entries_text(done.changed)} of {place_text(store)}"
    if change.sets_expiry and change.expires is None:
        line = f"{'would keep' if dry_run else 'kept'} {entries} for good"
    elif change.sets_expiry:
        left = duration_text(round((change.expires or 0.0) - time.time()))
        line = f"{'would let' if dry_run else 'let'} {entries} expire in {left}"
    else:
        verbs = ("would tag", "tagged") if change.add else ("would untag", "untagged")
        line = f"{verbs[not dry_run]} {entries}: {one_line(', '.join(change.add or change.remove))}"
    line += to_pay_again(done.entries)
    return _with_list(line, done.entries) if dry_run else line


def _with_list(line: str, entries: Sequence[EntryMeta]) -> str:
    """What a dry run says, and the entries that it is about."""
    shown = [f"  {meta.key[:8]}  {one_line(meta.model)}  {one_line(meta.prompt)}" for meta in entries[:_LISTED]]
    more = [f"  and {len(entries) - _LISTED:,} more"] if len(entries) > _LISTED else []
    return "\n".join([f"{line}; nothing was changed", *shown, *more])


def to_pay_again(entries: Sequence[EntryMeta]) -> str:
    """What the answers of `entries` would cost again, as far as that is known; empty without entries."""
    money = Money()
    for cost in entries.costs() if isinstance(entries, Selection) else (meta.cost_usd for meta in entries):
        money = money.add(cost)
    if not entries:
        return ""
    if money.unpriced == money.calls:
        return "; the cost of paying again is unknown"
    notes = note_text(money, "answer")
    return f"; {amount_text(money)} to pay again{f' ({notes})' if notes else ''}"


def where(cache: "NotebookCache") -> str:
    """Where the entries are kept, and whose they are."""
    lines = [f"store: {store_text(cache.store)}", *notes_on_store(cache.store), f"scope: {whose(cache)}"]
    lines += [f"owner: {one_line(cache.notebook)}"] if cache.notebook else []
    return "\n".join([*lines, *not_opened(cache.store), *filter(None, [cache.contents().unlisted])])


def plan(costs: "Plan") -> str:
    """How many calls would be hits, and what the others would cost, by the reason for their misses."""
    of = "this session's calls" if costs.session == "this" else "the calls of this notebook's last session"
    if costs.mode == REPLAY:
        return f"{of}: nothing to pay, as `replay` makes none"
    head = f"{of}, made again in mode `on`: {counted(costs.hits, 'hit')}"
    if not costs.misses:
        return f"{head}, nothing to pay"
    money = Money(costs.usd or Decimal(0), costs.calls, costs.unpriced, costs.estimated)
    paid = _joined(amount_text(money), note_text(money, "call"))
    reasons = Counter[tuple[str, str]]()
    for miss in costs.misses:
        reasons[miss.why, miss.model] += miss.calls
    return "\n".join(
        [
            f"{head}, {counted(costs.calls, 'miss')}",
            f"to pay: {paid}, if they cost what they did then",
            *(
                f"  {calls:,} {why}: {one_line(model) or 'unknown model'}"
                for (why, model), calls in reasons.most_common()
            ),
        ]
    )


def exported(done: "Exported") -> str:
    """What an export has written, and what it left out."""
    size = f"{bytes_text(done.size_bytes)}{'' if done.changed else ', as it was'}"
    lines = [f"{done.path}: {counted(done.entries, 'recording')}, {size if done.entries else 'and nothing is written'}"]
    lines += [
        f"  {key[:8]}: {', '.join(kinds)} in the call is written as {SECRET}" for key, kinds in done.scrubbed.items()
    ]
    lines += [f"  {key[:8]} is left out: {why}" for key, why in done.left_out.items()]
    if done.unknown:
        lines.append(
            f"  no recordings with a key: {counted(done.unknown, 'line')} of the file, edited by hand, of a conflict or of another "
            f"program. The file before is kept as {done.backup.name}"
        )
    if done.gone:
        lines.append(
            f"  no longer in it: {counted(len(done.gone), 'recording')} ({_some(done.gone)}). The file before is kept as "
            f"{done.backup.name}: where they are missed, import that and export again"
        )
    return "\n".join(lines)


def _some(keys: Sequence[str]) -> str:
    """The first few keys, by their first digits."""
    return ", ".join(key[:8] for key in keys[:5]) + (", …" if len(keys) > 5 else "")


def imported(done: "Imported", store: Store, *, dry_run: bool) -> str:
    """What an import has stored, or would store."""
    parts = [f"{done.new:,} new", f"{done.same:,} the same", f"{len(done.conflicting):,} conflicting"]
    verb = "would import" if dry_run else "imported"
    lines = [f"{verb} {one_line(str(done.path))} into {place_text(store)}: {', '.join(parts)}"]
    if done.conflicting and done.preferred == "store":
        stay = "would stay" if dry_run else "stay"
        lines.append(f"  of {_some(done.conflicting)} the store's answers {stay}; `--prefer file` takes the others")
    elif done.conflicting:
        take = "would take" if dry_run else "took"
        lines.append(f"  of {_some(done.conflicting)} the file's answers {take} the place of the store's")
    if done.by_hand:
        lines.append(f"  {done.by_hand:,} only for a cache set by hand: the file doesn't tell where those calls went")
    if done.left_out:
        lines.append(f"  left out: {'; '.join(f'{count:,}, {why}' for why, count in done.left_out.items())}")
    return "\n".join(lines)


def checked(problems: list[str], store: Store, *, fix: bool, command: str) -> str:
    """What a check has found. `command` is what the user typed."""
    if not problems:
        return f"nothing is wrong with the store {place_text(store)}"
    end = (
        f"mended {place_text(store)}: damaged entries were deleted, those of a newer nbcache or another secret left"
        if fix
        else f"`{command} --fix` mends damage: it deletes damaged entries, and no others"
    )
    return "\n".join([*problems, end])


def entries_text(number: int) -> str:
    """A count of entries."""
    return f"{number:,} {'entry' if number == 1 else 'entries'}"
