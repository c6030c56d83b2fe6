"""The command line asks before it deletes or replaces something."""

import argparse
import os
import sys
from pathlib import Path

from nbcache.errors import NbcacheError, one_line
from nbcache.stores.base import Store, home_of, tiers_of
from nbcache.stores.location import elsewhere, from_here
from nbcache.stores.sqlite.store import DiskStore
from nbcache.ui.printing import complain, prompt_for
from nbcache.ui.tier_texts import store_text

_LISTED = 5  # other stores that a question names


class DeclinedError(NbcacheError):
    """The user declined."""


def confirm(args: argparse.Namespace, store: Store, what: str) -> None:
    """Ask whether to go on, unless `--yes` was typed. `what` says what would be done to `store`.

    Raises DeclinedError if the user declines, and ValueError, with what to type, if nobody can be asked.
    """
    if args.yes:
        return
    place = store_text(store)
    if sys.stdin is None or not sys.stdin.isatty() or _is_in_notebook():
        look = ", or look first with `--dry-run`" if "dry_run" in args else ""
        raise ValueError(
            f"{args.word} in {place} {what}. Nothing was changed: nobody can be asked here, so add `--yes`{look}"
        )
    used = {tier.folder for tier in tiers_of(store) if isinstance(tier, DiskStore)}
    others = [folder for folder in _others() if folder not in used]
    for folder in others[:_LISTED]:
        complain(f"{one_line(str(from_here(folder)))} is another store, and not touched")
    if prompt_for(f"{args.word} in {place} {what}. Go on? [y/N] ").strip().lower() not in {"y", "yes"}:
        raise DeclinedError("nothing was changed")


def _is_in_notebook() -> bool:
    """Whether a cell runs the command, as in `!nbcache clear`: its input looks like a terminal, but nobody can type there."""
    return "JPY_PARENT_PID" in os.environ or "inline" in os.environ.get("MPLBACKEND", "")


def refuse_below(args: argparse.Namespace, store: Store) -> None:
    """Protect a store below the working directory unless `--store` names it. Raises ValueError."""
    try:
        here = Path.cwd()
    except OSError:  # it was deleted
        return
    home = home_of(store)
    if args.store is None and isinstance(home, DiskStore) and here in home.folder.parent.parents:
        place = one_line(str(from_here(home.folder)))
        raise ValueError(
            f"there is no store in this folder, and {args.word} takes none below it: add `--store {place}`"
        )


def _others() -> list[Path]:
    try:
        return elsewhere(Path.cwd())
    except OSError:  # as above
        return []
