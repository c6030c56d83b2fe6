"""`nbcache …` in a terminal: what the magics do with a store, without a notebook."""

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbcache.errors import AmbiguousKeyError, NbcacheError, StoreReadOnlyError, UnknownKeyError
from nbcache.stores.base import Remote, Store
from nbcache.stores.sqlite.store import DiskStore
from nbcache.stores.tiers.store import TieredStore
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
    own_contents,
    owner_of_import,
    reach,
    shown_warnings,
)
from nbcache.ui.commands import table
from nbcache.ui.folder_notes import notes_on_store
from nbcache.ui.printing import complain, say_result
from nbcache.ui.tier_texts import store_text

if TYPE_CHECKING:
    from nbcache.stores.view import Contents

_CHANGES = ("clear", "evict", "expire", "tag", "untag")


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
        store = find_store(args.store, only_reads=not args.fix and args.word not in {*_CHANGES, "import", "where"})
        with shown_warnings() as warnings, contextlib.closing(store):
            reach(store)
            if args.word == "where":
                return _where(args, store)
            contents = _open(args, store)
            from nbcache.ui.cli.handlers import HANDLERS  # noqa: PLC0415 - they import LangChain, which takes a second

            code = HANDLERS[args.word](args, contents)
        replaced = (
            warnings and not args.fix and not isinstance(store, Remote)
        )  # a damaged store has been set aside, and a new one begun
        return FAILED if replaced else code
    except (NothingError, DeclinedError, UnknownKeyError, AmbiguousKeyError) as error:
        complain(str(error))
        return NOTHING
    except (NbcacheError, ValueError, OverflowError) as error:
        complain(str(error))
        return FAILED


def _open(args: argparse.Namespace, store: Store) -> "Contents":
    """The entries that the command is about, as far as the user agrees to what it destroys."""
    if args.word == "import":
        return contents_to_fill(store, owner_of_import(store, args.file, args.notebook), dry_run=args.dry_run)
    if args.word in _CHANGES or args.fix:
        if isinstance(store, TieredStore) and not store.writable:
            raise StoreReadOnlyError(f"{store_text(store)} can only be read")
        refuse_below(args, store)
    if args.fix and is_damaged(store):
        confirm(args, store, "sets the damaged file aside, and begins a new store")
        args.yes = True
    if args.scope is not None and args.notebook is not None:
        raise ValueError(f"{args.word}: write --notebook or --scope {args.scope}")
    if args.notebook is None and args.scope is None and _chooses(args) and isinstance(store, Remote):
        return own_contents(store)
    return open_contents(store, args.notebook, fix=args.fix)


def _chooses(args: argparse.Namespace) -> bool:
    """Whether the command changes what filters choose: on a server only the user's own, if nothing else is typed."""
    if args.word not in {"clear", "expire", "tag", "untag"}:
        return False
    return args.word == "clear" or any(value not in (None, False) for value in table.filters(args).values())


def _where(args: argparse.Namespace, store: Store) -> int:
    is_there = exists(store)
    notes = [line.strip() for line in notes_on_store(store)]
    place = str(store.folder) if isinstance(store, DiskStore) else store_text(store)
    document = {"store": place, "exists": is_there, "notes": notes}
    say_result("\n".join([f"store: {place}", *(f"  {note}" for note in notes)]), document, as_json=args.json)
    if not is_there:
        complain("nothing was cached there yet")
    return DONE if is_there else NOTHING
