"""What each command of `nbcache …` does with the entries that it is given. Each handler returns the exit code."""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nbcache.costs.ledger_sums import by_kind, by_model, total
from nbcache.costs.money import amount_text, saved, saved_text, spent, usd_text
from nbcache.entry.durations_and_sizes import bytes_text
from nbcache.entry.edit import Edit
from nbcache.entry.records import EntryMeta, Filter, Spending
from nbcache.entry.stats import Stats
from nbcache.errors import UnknownKeyError, harmless, one_line
from nbcache.keys.digests import KEY_LENGTH
from nbcache.replay.cassette_export import export_entries
from nbcache.replay.cassette_import import import_entries
from nbcache.replay.secrets.scrubber import Scrubber
from nbcache.session.entry_changes import check_chosen, checked_tags, expiry
from nbcache.stores.base import Remote, home_of
from nbcache.stores.entry_filters import EntryFilters
from nbcache.stores.location import cassette_path
from nbcache.stores.owners import notebook_of
from nbcache.stores.view import DIGITS_TO_EVICT, Contents
from nbcache.ui import entry_report, report
from nbcache.ui.cli import json_documents
from nbcache.ui.cli.confirmation import confirm
from nbcache.ui.cli.exit_codes import DONE, NOTHING
from nbcache.ui.commands import table
from nbcache.ui.printing import age, columns, complain, cut, is_terminal, say, say_json, say_result, say_table
from nbcache.ui.progress import progress

_SCREENFUL = 50  # entries that `ls` shows in a terminal
_SPARE = ("client", "tokens", "size", "hits")  # columns of `ls` that a narrow terminal does without, in this order
_DIGITS = 8  # of a key in a terminal, if they are enough
_DIGITS_ON_A_SERVER = 12  # which would be asked for each row. They are unique, as far as there is no bad luck


def _ls(args: argparse.Namespace, contents: Contents) -> int:
    limit = args.limit or (_SCREENFUL if is_terminal() and not args.json else None)
    rows: Sequence[EntryMeta]
    if args.match is None:
        which = EntryFilters(**table.filters(args)).filter()
        rows, number = contents.page(which, limit=limit), contents.totals_of(which).entries
    else:
        with progress("searched") as shown:
            matching = contents.matching(include_expired=False, progress=shown, **table.filters(args))
        rows, number = matching[:limit], len(matching)
    if args.json:
        say_json([json_documents.entry(meta) for meta in rows])
    elif rows:
        digits = _digits(contents, rows) if is_terminal() else None
        names = ("key", "age", "model", "tokens", "cost", "hits", "size", "client", "prompt")
        say_table(names, [_cells(meta, digits) for meta in rows], numbers=range(3, 7), spare=_SPARE)
        if is_terminal() and number > len(rows):
            say(f"{number - len(rows):,} more: `--limit {number}` lists all")
    else:
        complain(contents.unknown_values(table.filters(args)) or "no entries")
    return DONE


def _cells(meta: EntryMeta, digits: int | None) -> tuple[str, ...]:
    counts = (meta.input_tokens, meta.output_tokens)
    tokens = None if None in counts else f"{sum(count or 0 for count in counts):,}"
    cost = None if meta.cost_usd is None else usd_text(meta.cost_usd)
    model = meta.model if digits is None else cut(harmless(meta.model), columns() // 5)
    numbers = (tokens or "?", cost or "?", f"{meta.hits:,}", bytes_text(meta.size_bytes))
    return (meta.key[:digits], age(time.time() - meta.created), model, *numbers, report.client_text(meta), meta.prompt)


def _digits(contents: Contents, rows: Sequence[EntryMeta]) -> int:
    """The least number of digits with which each of these keys is unique in the store."""
    if isinstance(home_of(contents.store), Remote):
        return _DIGITS_ON_A_SERVER
    digits, whole = _DIGITS, Contents(contents.store)
    while digits < KEY_LENGTH and any(whole.totals_of(Filter(key=meta.key[:digits])).entries > 1 for meta in rows):
        digits += 1
    return digits


def _stats(args: argparse.Namespace, contents: Contents) -> int:
    rows = contents.spendings()
    if args.by:
        return _by(args, rows)
    stats, statuses = Stats.of(total(rows), contents.totals(), 0), report.status_counts(contents)
    text = report.aligned(report.stats_lines(stats, contents.store, "so far", statuses, rows))
    return _done(args, json_documents.stats(stats, statuses), text)


def _by(args: argparse.Namespace, rows: Sequence[Spending]) -> int:
    each_of = by_model(rows) if args.by == "model" else by_kind(rows)
    if args.json:
        say_json([{args.by: name, **json_documents.sums(row)} for name, row in each_of.items()])
    else:
        cells = [
            (name, f"{row.hits:,}", f"{row.misses:,}", amount_text(spent(row)), saved_text(saved(row)))
            for name, row in each_of.items()
        ]
        say_table((args.by, "hits", "misses", "paid", "saved"), cells, numbers=range(1, 5))
    return DONE


def _show(args: argparse.Namespace, contents: Contents) -> int:
    entry = contents.read(_key(args, contents))
    return _done(args, json_documents.record(entry), entry_report.record(entry))


def _evict(args: argparse.Namespace, contents: Contents) -> int:
    meta = contents.find(_key(args, contents, least=DIGITS_TO_EVICT))
    owners = f", which {', '.join(map(one_line, meta.notebooks))} have" if len(meta.notebooks) > 1 else ""
    confirm(args, contents.store, f"deletes the entry {report.entry(meta)}{owners}")
    meta = contents.evict(meta.key)
    return _done(args, json_documents.entry(meta), report.evicted(meta, contents.store))


def _key(args: argparse.Namespace, contents: Contents, *, least: int = 1) -> str:
    """The whole key of the entry, which `--notebook` has to own if it is given. Raises as `Contents.find`."""
    try:
        meta = contents.find(args.key, least=least)
    except UnknownKeyError as error:
        raise entry_report.unknown_key(error, contents, args.key, "nbcache ls") from None
    if contents.notebook not in {None, *meta.notebooks}:
        raise UnknownKeyError(f"no entry of {contents.notebook} has a key that begins with {args.key!r}")
    return meta.key


def _clear(args: argparse.Namespace, contents: Contents) -> int:
    with progress("searched") as shown:
        entries = contents.matching(progress=shown, **table.filters(args))
    done = contents.would_clear(entries)
    if entries and not args.dry_run:
        confirm(args, contents.store, report.would_clear(done))
        with progress("deleted") as shown:
            done = contents.clear_these(entries, shown)
    text = report.cleared(done, contents.store, dry_run=args.dry_run)
    if not entries and not args.json and (unknown := contents.unknown_values(table.filters(args))):
        complain(unknown)
    return _done(args, json_documents.cleared(done, dry_run=args.dry_run), text)


def _expire(args: argparse.Namespace, contents: Contents) -> int:
    if args.ttl is None:
        raise ValueError("expire: write --ttl with a time such as 7d, or `--ttl none` to keep the entries for good")
    return _change(args, contents, expiry(args.ttl), args.key)


def _tag(args: argparse.Namespace, contents: Contents) -> int:
    key, tags = table.key_and_tags(args)
    return _change(args, contents, Edit(add=checked_tags(tags)), key)


def _untag(args: argparse.Namespace, contents: Contents) -> int:
    key, tags = table.key_and_tags(args)
    return _change(args, contents, Edit(remove=checked_tags(tags)), key)


def _change(args: argparse.Namespace, contents: Contents, change: Edit, key: str | None) -> int:
    filters = table.filters(args)
    check_chosen(args.word, key, filters)
    if key is not None:
        key = _key(args, contents, least=DIGITS_TO_EVICT)
    with progress("searched") as searched, progress("changed") as edited:
        done = contents.edit(change, key=key, dry_run=args.dry_run, progress=searched, edited=edited, **filters)
    if not done.changed and key is None and not args.json and (unknown := contents.unknown_values(filters)):
        complain(unknown)
    text = report.changed(done, change, contents.store, dry_run=args.dry_run)
    return _done(args, json_documents.changed(done, dry_run=args.dry_run), text)


def _check(args: argparse.Namespace, contents: Contents) -> int:
    with progress("checked") as shown:
        problems = contents.check(fix=args.fix and args.yes, progress=shown)
    if problems and args.fix and not args.yes:
        confirm(
            args,
            contents.store,
            "\n".join([f"finds {len(problems):,} faults to mend:", *problems[:_SCREENFUL]])
            + "\nIt deletes damaged entries",
        )
        with progress("mended") as shown:
            problems = contents.check(fix=True, progress=shown)
    left = contents.check() if args.fix and problems else problems
    text = report.checked(problems, contents.store, fix=args.fix, command="nbcache check")
    _done(args, {"problems": problems, "left": left}, text)
    return NOTHING if left else DONE


def _export(args: argparse.Namespace, contents: Contents) -> int:
    with progress("exported") as shown:
        done = export_entries(
            contents, _cassette(args, contents), scrubber=Scrubber(args.secret), check=args.check, progress=shown
        )
    _done(args, json_documents.exported(done), report.exported(done))
    if args.check and done.changed:
        complain(f"{done.path} is out of date")
        return NOTHING
    return DONE


def _cassette(args: argparse.Namespace, contents: Contents) -> Path:
    """The file to write: from the command line, else from the environment, else beside the notebook. Raises ValueError."""
    if args.file is not None:
        return Path(args.file)
    notebook = None if contents.notebook is None else notebook_of(contents.notebook, home_of(contents.store))
    cassette = cassette_path(notebook)
    if cassette is None:
        raise ValueError("export: name the file to write, or the `--notebook` to write it beside")
    return cassette


def _import(args: argparse.Namespace, contents: Contents) -> int:
    do_import = partial(import_entries, contents, Path(args.file), prefer=args.prefer)
    with progress("read") as read, progress("stored") as stored:
        is_look = args.dry_run or (args.prefer == "file" and not args.yes)
        done = do_import(dry_run=is_look, progress=read, stored=stored)
    if args.prefer == "file" and not args.dry_run and not args.yes:
        if done.conflicting:
            confirm(args, contents.store, f"replaces {len(done.conflicting):,} of the store's answers by the file's")
        with progress("read") as read, progress("stored") as stored:
            done = do_import(progress=read, stored=stored)
    text = report.imported(done, contents.store, dry_run=args.dry_run)
    return _done(args, json_documents.imported(done, dry_run=args.dry_run), text)


def _done(args: argparse.Namespace, document: dict[str, Any], text: str) -> int:
    say_result(text, document, as_json=args.json)
    return DONE


HANDLERS: dict[str, Callable[[argparse.Namespace, Contents], int]] = {
    "ls": _ls,
    "stats": _stats,
    "show": _show,
    "evict": _evict,
    "clear": _clear,
    "expire": _expire,
    "tag": _tag,
    "untag": _untag,
    "check": _check,
    "export": _export,
    "import": _import,
}
