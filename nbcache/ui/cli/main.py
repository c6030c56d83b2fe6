"""`nbcache …` in a terminal: what the magics do with a store, without a notebook."""

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbcache.errors import AmbiguousKeyError, NbcacheError, UnknownKeyError
from nbcache.stores.sqlite.opening_modes import notes_on
from nbcache.stores.sqlite.store import DiskStore
from nbcache.ui.cli.arguments import parser
from nbcache.ui.cli.confirmation import DeclinedError, confirm, refuse_below
from nbcache.ui.cli.exit_codes import DONE, FAILED, INTERRUPTED, NOTHING
from nbcache.ui.cli.store import (
    NothingError,
    contents_to_fill,
    exists,
    find_store,
    is_damaged,
    open_contents,
    owner_of_import,
    shown_warnings,
)
from nbcache.ui.printing import complain, say_result

if TYPE_CHECKING:
    from nbcache.stores.view import Contents


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out a command line. Returns the exit code; raises SystemExit as argparse does."""
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
        return INTERRUPTED
    except BrokenPipeError:  # the reader wants no more
        code = DONE
    except OSError as error:
        complain(str(error))
        code = FAILED
    with contextlib.suppress(OSError):  # else Python tries again when it ends, and says that it failed
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _run(args: argparse.Namespace) -> int:
    try:
        store = find_store(args.store)
        if args.word == "where":
            return _where(args, store)
        with contextlib.closing(store), shown_warnings() as warnings:
            contents = _open(args, store)
            from nbcache.ui.cli.handlers import HANDLERS  # noqa: PLC0415 - they import LangChain, which takes a second

            code = HANDLERS[args.word](args, contents)
        replaced = warnings and not args.fix  # a damaged store has been set aside, and a new one begun
        return FAILED if replaced else code
    except (NothingError, DeclinedError, UnknownKeyError, AmbiguousKeyError) as error:
        complain(str(error))
        return NOTHING
    except (NbcacheError, ValueError, OverflowError) as error:
        complain(str(error))
        return FAILED


def _open(args: argparse.Namespace, store: DiskStore) -> "Contents":
    """The entries that the command is about, as far as the user agrees to what it destroys."""
    if args.word == "import":
        return contents_to_fill(store, owner_of_import(store, args.file, args.notebook), dry_run=args.dry_run)
    if args.word in {"clear", "evict", "expire", "tag", "untag"} or args.fix:
        refuse_below(args, store)
    if args.fix and is_damaged(store):
        confirm(args, store, "sets the damaged file aside, and begins a new store")
        args.yes = True
    return open_contents(store, args.notebook, fix=args.fix)


def _where(args: argparse.Namespace, store: DiskStore) -> int:
    is_there = exists(store)
    notes = notes_on(store.folder)
    document = {"store": str(store.folder), "exists": is_there, "notes": notes}
    lines = [f"store: {store.folder}", *(f"  it is {note}" for note in notes)]
    say_result("\n".join(lines), document, as_json=args.json)
    if not is_there:
        complain("nothing was cached there yet")
    return DONE if is_there else NOTHING
