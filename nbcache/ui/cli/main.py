"""`nbcache …` in a terminal: what the magics do with a store, without a notebook."""

import argparse
import contextlib
import io
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbcache.costs.money import amount_text, saved, saved_text, spent, usd_text
from nbcache.entry.accounts import add_to, total
from nbcache.entry.models import EntryMeta, Filter, Spending, Stats
from nbcache.entry.quantities import bytes_text
from nbcache.errors import AmbiguousKeyError, NbcacheError, UnknownKeyError, harmless, one_line
from nbcache.keys.digests import KEY_LENGTH
from nbcache.stores.base import DiskStore
from nbcache.stores.location import CASSETTE_SUFFIX, cassette_path, checked_path, notebook_name
from nbcache.ui.cli import documents
from nbcache.ui.cli import store as cli_store
from nbcache.ui.cli.arguments import parser
from nbcache.ui.cli.asking import DeclinedError, confirm, refuse_below
from nbcache.ui.commands import table
from nbcache.ui.progress import progress
from nbcache.ui.terminal import age, columns, complain, cut, is_terminal, say, say_json, say_table

if TYPE_CHECKING:  # LangChain takes a second to import: `--help` and `where` don't wait for it
    from nbcache.stores.view import Contents

_DONE, _NOTHING, _FAILED, _INTERRUPTED = 0, 1, 2, 130  # `--help` says what they mean
_SCREENFUL = 50  # entries that `ls` shows in a terminal
_DIGITS = 8  # of a key in a terminal, if they are enough


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code. Raises SystemExit as argparse does."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        try:
            return _run(parser().parse_args(argv))
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # who reads has enough
        code = _DONE
    except OSError as error:
        complain(str(error))
        code = _FAILED
    with contextlib.suppress(OSError):  # else Python tries again when it ends, and says that it failed
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _run(args: argparse.Namespace) -> int:
    try:
        store = cli_store.named(args.store)
        if args.word == "where":
            return _where(args, store)
        with contextlib.closing(store), cli_store.warnings_told() as warnings:
            if args.word == "import":
                contents = cli_store.contents_to_fill(store, _owner(args, store), dry_run=args.dry_run)
            else:
                if args.word in {"clear", "evict"} or args.fix:
                    refuse_below(args, store)
                if args.fix and cli_store.is_damaged(store):
                    confirm(args, store, "sets the damaged file aside, and begins a new store")
                    args.yes = True
                contents = cli_store.contents(store, args.notebook, fix=args.fix)
            code = _DO[args.word](args, contents)
        replaced = warnings and not args.fix  # it was damaged: it has been set aside, and a new store begun
        return _FAILED if replaced else code
    except (cli_store.NothingError, DeclinedError, UnknownKeyError, AmbiguousKeyError) as error:
        complain(str(error))
        return _NOTHING
    except (NbcacheError, ValueError, OverflowError) as error:
        complain(str(error))
        return _FAILED


# The commands


def _ls(args: argparse.Namespace, contents: "Contents") -> int:
    which = Filter(model=args.model, tag=args.tag, status=args.status)
    limit = args.limit or (_SCREENFUL if is_terminal() and not args.json else None)
    if args.match is None:
        rows, number = contents.page(which, limit=limit), contents.totals_of(which).entries
    else:
        with progress("searched") as shown:
            matching = contents.saying(contents.page(which), args.match, shown)
        rows, number = matching[:limit], len(matching)
    if args.json:
        say_json([documents.entry(meta) for meta in rows])
    elif not rows:
        complain("no entries")
    else:
        digits = _digits(_disk(contents), rows) if is_terminal() else None
        names = ("key", "age", "model", "tokens", "cost", "hits", "size", "prompt")
        say_table(names, [_cells(meta, digits) for meta in rows], numbers=range(3, 7))
        if is_terminal() and number > len(rows):
            say(f"{number - len(rows):,} more: `--limit {number}` lists all")
    return _DONE


def _cells(meta: EntryMeta, digits: int | None) -> tuple[str, ...]:
    counts = (meta.input_tokens, meta.output_tokens)
    tokens = None if None in counts else f"{sum(count or 0 for count in counts):,}"
    cost = None if meta.cost_usd is None else usd_text(meta.cost_usd)
    model = meta.model if digits is None else cut(harmless(meta.model), columns() // 5)
    numbers = (tokens or "?", cost or "?", f"{meta.hits:,}", bytes_text(meta.size_bytes))
    return (meta.key[:digits], age(time.time() - meta.created), model, *numbers, meta.prompt)


def _digits(store: DiskStore, rows: Sequence[EntryMeta]) -> int:
    """How many digits of its key tell each of these entries from every other in the store."""
    digits = _DIGITS
    while digits < KEY_LENGTH and any(store.totals(Filter(key=meta.key[:digits])).entries > 1 for meta in rows):
        digits += 1
    return digits


def _stats(args: argparse.Namespace, contents: "Contents") -> int:
    from nbcache.ui import report  # noqa: PLC0415 - as above

    rows = contents.spendings()
    if args.by:
        return _by_model(args, rows)
    stats = Stats.of(total(rows), contents.totals(), 0)
    statuses = {name: contents.totals_of(Filter(status=name)).entries for name in table.STATUSES if name != "ok"}
    lines = dict(report.stats_lines(stats, contents.store, "so far"))
    lines["stored"] += report.statuses_text(statuses)
    return _tell(args, documents.stats(stats, statuses), "\n".join(f"{name + ':':<10} {lines[name]}" for name in lines))


def _by_model(args: argparse.Namespace, rows: Sequence[Spending]) -> int:
    models: dict[str, Spending] = {}
    for row in rows:
        add_to(models, row.model, row)
    if args.json:
        say_json([{"model": model, **documents.sums(models[model])} for model in sorted(models)])
    else:
        cells = [
            (model, f"{row.hits:,}", f"{row.misses:,}", amount_text(spent(row)), saved_text(saved(row)))
            for model, row in sorted(models.items())
        ]
        say_table(("model", "hits", "misses", "paid", "saved"), cells, numbers=range(1, 5))
    return _DONE


def _show(args: argparse.Namespace, contents: "Contents") -> int:
    from nbcache.ui import report  # noqa: PLC0415 - as above

    entry = contents.read(_key(args, contents))
    return _tell(args, documents.record(entry), report.record(entry))


def _evict(args: argparse.Namespace, contents: "Contents") -> int:
    from nbcache.ui import report  # noqa: PLC0415 - as above

    meta = contents.find(_key(args, contents))
    others = f", which {', '.join(map(one_line, meta.notebooks))} have" if len(meta.notebooks) > 1 else ""
    confirm(args, _disk(contents), f"deletes the entry {report.entry(meta)}{others}")
    meta = contents.evict(meta.key)
    return _tell(args, documents.entry(meta), report.evicted(meta, contents.store))


def _disk(contents: "Contents") -> DiskStore:
    assert isinstance(contents.store, DiskStore)
    return contents.store


def _key(args: argparse.Namespace, contents: "Contents") -> str:
    """The whole key of the entry; where a notebook is named, of one of its own. Raises as `Contents.find`."""
    meta = contents.find(args.key)
    if contents.notebook not in {None, *meta.notebooks}:
        raise UnknownKeyError(f"no entry of {contents.notebook} has a key that begins with {args.key!r}")
    return meta.key


def _clear(args: argparse.Namespace, contents: "Contents") -> int:
    from nbcache.ui import report  # noqa: PLC0415 - as above

    with progress("searched") as shown:
        entries = contents.matching(progress=shown, **table.filters(args))
    done = contents.would_clear(entries)
    if entries and not args.dry_run:
        confirm(args, _disk(contents), report.would_clear(done))
        done = contents.clear_these(entries)
    text = report.cleared(done, contents.store, dry_run=args.dry_run)
    return _tell(args, documents.cleared(done, dry_run=args.dry_run), text)


def _check(args: argparse.Namespace, contents: "Contents") -> int:
    from nbcache.ui import report  # noqa: PLC0415 - as above

    with progress("checked") as shown:
        problems = contents.check(fix=args.fix and args.yes, progress=shown)
    if problems and args.fix and not args.yes:
        confirm(
            args,
            _disk(contents),
            "\n".join([f"finds {len(problems):,} faults to mend:", *problems[:_SCREENFUL]])
            + "\nIt deletes damaged entries",
        )
        with progress("mended") as shown:
            problems = contents.check(fix=True, progress=shown)
    left = contents.check() if args.fix and problems else problems
    text = report.checked(problems, contents.store, fix=args.fix, command="nbcache check")
    _tell(args, {"problems": problems, "left": left}, text)
    return _NOTHING if left else _DONE


def _export(args: argparse.Namespace, contents: "Contents") -> int:
    from nbcache.replay.import_export import export_entries  # noqa: PLC0415 - as above
    from nbcache.replay.secrets.scrubber import Scrubber  # noqa: PLC0415 - as above
    from nbcache.ui import report  # noqa: PLC0415 - as above

    with progress("exported") as shown:
        done = export_entries(
            contents, _cassette(args, contents), scrubber=Scrubber(args.secret), check=args.check, progress=shown
        )
    _tell(args, documents.exported(done), report.exported(done))
    if args.check and done.changed:
        complain(f"{done.path} is out of date")
        return _NOTHING
    return _DONE


def _cassette(args: argparse.Namespace, contents: "Contents") -> Path:
    """The file to write: what was named, here or in the environment, else the one beside the notebook. Raises ValueError."""
    if args.file is not None:
        return Path(args.file)
    assert isinstance(contents.store, DiskStore)
    notebook = None if contents.notebook is None else contents.store.folder.parent / contents.notebook
    cassette = cassette_path(notebook)
    if cassette is None:
        raise ValueError("export: name the file to write, or the `--notebook` to write it beside")
    return cassette


def _import(args: argparse.Namespace, contents: "Contents") -> int:
    from nbcache.replay.import_export import import_entries  # noqa: PLC0415 - as above
    from nbcache.ui import report  # noqa: PLC0415 - as above

    bring = partial(import_entries, contents, Path(args.file), prefer=args.prefer)
    with progress("read") as shown:
        done = bring(dry_run=args.dry_run or (args.prefer == "file" and not args.yes), progress=shown)
    if args.prefer == "file" and not args.dry_run and not args.yes:
        if done.conflicting:
            confirm(args, _disk(contents), f"replaces {len(done.conflicting):,} of the store's answers by the file's")
        done = bring()
    text = report.imported(done, contents.store, dry_run=args.dry_run)
    return _tell(args, documents.imported(done, dry_run=args.dry_run), text)


def _owner(args: argparse.Namespace, store: DiskStore) -> str | None:
    """Whose the imported entries are: the notebook that was named, else the one that the file is beside."""
    if args.notebook is not None:
        named = checked_path("--notebook", args.notebook)
        return notebook_name(named, store.folder) if named.exists() else str(args.notebook)
    notebook = checked_path("file", args.file)
    notebook = notebook.with_name(notebook.name.removesuffix(CASSETTE_SUFFIX) + ".ipynb")
    return notebook_name(notebook, store.folder) if notebook.exists() else None


def _where(args: argparse.Namespace, store: DiskStore) -> int:
    exists = cli_store.exists(store)
    _tell(args, {"store": str(store.folder), "exists": exists}, f"store: {store.folder}")
    if not exists:
        complain("nothing was cached there yet")
    return _DONE if exists else _NOTHING


_DO = {"ls": _ls, "stats": _stats, "show": _show, "evict": _evict, "clear": _clear, "check": _check}
_DO |= {"export": _export, "import": _import}


def _tell(args: argparse.Namespace, document: dict[str, Any], text: str) -> int:
    if args.json:
        say_json(document)
    else:
        say(text)
    return _DONE
