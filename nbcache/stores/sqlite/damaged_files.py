"""Damaged databases: set aside in the store's folder under a new name, listed, and deleted."""

import contextlib
import itertools
import os
import time
from pathlib import Path

from nbcache.errors import warn_once
from nbcache.stores.sqlite.folder import COMPANIONS, DATABASE


def aside(folder: Path) -> list[Path]:
    """The damaged databases that were set aside in the folder."""
    return sorted(folder.glob("damaged-*.db"))


def forget_aside(folder: Path) -> list[str]:
    """Delete the damaged databases that were set aside, with what SQLite had beside them; their names."""
    names = []
    for path in aside(folder):
        for suffix in (*COMPANIONS, ""):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).unlink()
        names.append(path.name)
    return names


def set_aside(folder: Path) -> Path:
    """Give the damaged database and its companions a new name in the folder. Returns the new name."""
    stamp = time.strftime("%Y%m%d-%H%M%S") + f"-{os.getpid()}"
    names = (
        folder / f"damaged-{stamp}{more}.db" for more in itertools.chain([""], (f"-{i}" for i in itertools.count(1)))
    )
    new = next(name for name in names if not name.exists())
    for suffix in (*COMPANIONS, ""):
        with contextlib.suppress(FileNotFoundError):
            (folder / (DATABASE + suffix)).rename(folder / (new.name + suffix))
    return new


def forget_set_aside(folder: Path, *, everything: bool) -> None:
    """Warn that damaged files may hold deleted entries; if everything was deleted, delete these files, too."""
    names = [path.name for path in aside(folder)]
    if not names:
        return
    listed = ", ".join(names)
    if everything:
        forget_aside(folder)
        warn_once(
            f"forgot {listed}",
            f"nbcache: {listed} in {folder}, which had been set aside as damaged, may have held what was cleared, and is "
            "deleted too",
        )
    else:
        warn_once(
            f"kept {listed}",
            f"nbcache: {listed} in {folder}, which had been set aside as damaged, may hold what was deleted; `nbcache check "
            "--fix` deletes it",
        )
