"""Where this kernel is: its notebook, the cell that runs, and the folder of its store."""

import contextlib
import os
from pathlib import Path

import platformdirs

from nbcache.errors import warn_once

FOLDER = ".nbcache"
CASSETTE_SUFFIX = ".llmcache.jsonl"


def notebook_path(user_namespace: dict[str, object] | None = None) -> Path | None:
    """The path of the running notebook, where something tells: None under nbval, nbclient and in a terminal.

    `NBCACHE_NOTEBOOK` comes first, then the page that shows the notebook.
    """
    told = os.environ.get("NBCACHE_NOTEBOOK")
    return _absolute(told) if told else shown_notebook(user_namespace)


def shown_notebook(user_namespace: dict[str, object] | None = None) -> Path | None:
    """The path of the notebook whose page is open on this kernel, as it tells the kernel.

    VS Code sets the variable `__vsc_ipynb_file__` in the kernel, and jupyter-server `JPY_SESSION_NAME` in its
    environment: a path for a notebook, and another name for a console.
    """
    told = (user_namespace or {}).get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
    return _absolute(told) if isinstance(told, str) and told.endswith(".ipynb") else None


def notebook_name(notebook: Path | None, store_folder: Path | None) -> str | None:
    """How an entry names its owner: the notebook's path from the folder that holds the store."""
    if notebook is None:
        return None
    if store_folder is not None and notebook.is_relative_to(store_folder.parent):
        notebook = notebook.relative_to(store_folder.parent)
    return notebook.as_posix().encode(errors="replace").decode()


def store_folder(notebook: Path | None = None) -> Path:
    """The folder of the store: `NBCACHE_DIR`, or the nearest `.nbcache` upward, or a new one.

    It is looked for from the kernel's working directory, not above the repository's root or the home
    folder, and only where the user owns it: another's could hold answers that they planted. A new one
    is made beside the notebook, else in the working directory; where another's is in the way there, or the
    working directory is gone, the user's own store is taken.
    """
    if given := os.environ.get("NBCACHE_DIR"):
        return _absolute(given)
    try:
        here = Path.cwd()
    except OSError:  # it was deleted
        return user_folder()
    for folder in _upward(here):
        if _is_mine(folder / FOLDER):
            return folder / FOLDER
    beside = (notebook.parent if notebook is not None and notebook.parent.is_dir() else here) / FOLDER
    if beside.exists() and not _is_mine(beside):
        warn_once(
            f"not mine {beside}",
            f"nbcache: {beside} isn't yours, and could hold answers that somebody planted: your own store is used instead",
        )
        return user_folder()
    return beside


def cassette_path(notebook: Path | None = None) -> Path | None:
    """The file of recorded answers: `NBCACHE_CASSETTE`, or the one beside the notebook, whether it is there or not.

    None where the notebook isn't known.
    """
    if given := os.environ.get("NBCACHE_CASSETTE"):
        return _absolute(given)
    return None if notebook is None else notebook.with_name(notebook.stem + CASSETTE_SUFFIX)


def checked_path(name: str, path: str | Path) -> Path:
    """The absolute path that the setting `name` gives. Raises ValueError where it is none."""
    if not isinstance(path, str | Path) or not str(path):
        raise ValueError(f"{name}={path!r}: write a file's path")
    return _absolute(path)


def _absolute(path: str | Path) -> Path:
    """`path` from the root on, without `..`, by which a file would have several names."""
    with contextlib.suppress(RuntimeError):  # no such user: then it is a folder with that name
        path = Path(path).expanduser()
    return Path(os.path.abspath(path))  # noqa: PTH100 - pathlib's leaves `..` in, or follows links


def user_folder() -> Path:
    """The user's own store, the same from everywhere."""
    return platformdirs.user_cache_path("nbcache") / "store"


def _upward(here: Path) -> list[Path]:
    """`here` and the folders above it, up to the repository's root or the home folder."""
    try:
        home = Path.home()
    except RuntimeError:  # a container's user without one
        home = None
    found = []
    for folder in (here, *here.parents):
        found.append(folder)
        if folder == home or os.path.exists(folder / ".git"):  # noqa: PTH110 - pathlib's raises where it may not look
            break
    return found


def _is_mine(folder: Path) -> bool:
    try:
        found = folder.stat()
    except OSError:
        return False
    return folder.is_dir() and (not hasattr(os, "getuid") or found.st_uid == os.getuid())
