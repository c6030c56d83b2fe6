"""Stores near the working directory, and the notebook of the program that started this kernel."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

FOLDER = ".nbcache"
_DEEPEST = 4  # levels of folders that are searched
_FOLDERS = 2_000  # searched at most
_TIMEOUT = 0.2  # seconds
_SKIPPED = frozenset({"node_modules", "site-packages", "venv", "env", "__pycache__"})


def folders_below(here: Path) -> list[Path]:
    """Every `.nbcache` below `here` that a short search finds, the nearest first.

    Hidden folders, links and installed packages are skipped. At most 2,000 folders are searched, four levels deep, for
    a fifth of a second.
    """
    ends = time.monotonic() + _TIMEOUT
    stores: list[Path] = []
    level, looked_at = [here], 0
    for _ in range(_DEEPEST):
        below: list[Path] = []
        for folder in level:
            looked_at += 1
            if looked_at > _FOLDERS or time.monotonic() > ends:
                return stores
            for name in _folders_in(folder):
                if name == FOLDER and folder != here:
                    stores.append(folder / name)
                elif not name.startswith(".") and name not in _SKIPPED:
                    below.append(folder / name)
        level = below
    return stores + [folder / FOLDER for folder in level[: _FOLDERS - looked_at] if (folder / FOLDER).is_dir()]


def _folders_in(folder: Path) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:  # not allowed
        return


def notebook_on_command_line() -> Path | None:
    """The notebook that is named on the command line of the program that started this kernel.

    papermill starts a kernel in its own working directory, and does not name the notebook to it. Returns None if this is
    no kernel, or if the command line names no notebook or several.
    """
    parent = os.environ.get("JPY_PARENT_PID", "")
    if "ipykernel" not in sys.modules or not parent.isdecimal():
        return None
    try:
        import psutil  # noqa: PLC0415 - ipykernel's own, and needed for this alone

        process = psutil.Process(int(parent))
        words, folder = process.cmdline(), Path(process.cwd())
    except Exception:  # noqa: BLE001 - it has ended, or it can't be read: then it isn't known
        return None
    named = [folder / word for word in words if word.endswith(".ipynb") and "://" not in word]
    notebooks = list(dict.fromkeys(path for path in named if path.is_file()))
    if any(Path(word).stem == "papermill" for word in words[:3]):
        return notebooks[0] if notebooks and notebooks[0] == named[0] else None  # the second is its output
    return notebooks[0] if len(notebooks) == 1 else None
