"""Where this kernel is: its notebook, the cell that runs, and the folder of its store."""

import contextlib
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from nbcache.errors import warn_once
from nbcache.stores.nearby_folders import FOLDER, folders_below, notebook_on_command_line

REPORT = "NBCACHE_REPORT"  # the folder in which each process writes its report for pytest
NETWORK_DRIVE = "NBCACHE_NETWORK_DRIVE"  # `yes` or `no`: whether folders are on a network file system
OWNER = "NBCACHE_OWNER"  # who owns entries in a store of several people, if not the user
REDIS_PASSWORD = "NBCACHE_REDIS_PASSWORD"  # noqa: S105 - the name of a variable
SECRET = "NBCACHE_SECRET"  # noqa: S105 - as above; what is kept in stores is sealed with it
BLOCK_NETWORK = "NBCACHE_BLOCK_NETWORK"  # set while pytest runs with `--nbcache-block-network`, for its kernels
CASSETTE_SUFFIX = ".llmcache.jsonl"
_LISTED = 3  # stores that a warning names


def notebook_path(user_namespace: dict[str, object] | None = None) -> Path | None:
    """The path of the running notebook, if it is known; None under nbval, nbclient and in a terminal.

    `NBCACHE_NOTEBOOK` comes first, then the page that shows the notebook, then the parameter that
    `papermill --inject-input-path` sets.
    """
    if given := os.environ.get("NBCACHE_NOTEBOOK"):
        return _absolute(given)
    if shown := shown_notebook(user_namespace):
        return shown
    injected = (user_namespace or {}).get("PAPERMILL_INPUT_PATH")
    if isinstance(injected, str) and injected.endswith(".ipynb") and Path(injected).is_file():
        return _absolute(injected)
    return None


def shown_notebook(user_namespace: dict[str, object] | None = None) -> Path | None:
    """The path of the notebook whose page is open on this kernel, as the front end names it.

    VS Code sets the variable `__vsc_ipynb_file__` in the kernel, and jupyter-server `JPY_SESSION_NAME` in its
    environment: a path for a notebook, and another name for a console.
    """
    path = (user_namespace or {}).get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
    return _absolute(path) if isinstance(path, str) and path.endswith(".ipynb") else None


def notebook_name(notebook: Path | None, store_folder: Path | None) -> str | None:
    """The name of an owner in entries: the notebook's path from the folder that holds the store."""
    if notebook is None:
        return None
    if store_folder is not None and notebook.is_relative_to(store_folder.parent):
        notebook = notebook.relative_to(store_folder.parent)
    return notebook.as_posix().encode(errors="replace").decode()


def team_owner(notebook: Path | None) -> str:
    """The name of an owner in a store of several people: `NBCACHE_OWNER` or the user's name, and the notebook if it is known."""
    name = os.environ.get(OWNER) or _user_name()
    if notebook is None:
        return name
    home = home_folder()
    below_home = home is not None and notebook.is_relative_to(home)
    path = notebook.relative_to(home) if home is not None and below_home else notebook
    return f"{name}:{path.as_posix()}".encode(errors="replace").decode()


def store_folder(notebook: Path | None = None) -> Path:
    """The folder of the store: `NBCACHE_DIR`, or the nearest `.nbcache` upward, or a new one.

    The search begins at the notebook: at its path if that is known, else at the notebook on the command line that started
    this kernel. Then it begins at the working directory. It ends at the repository's root or the home folder. A folder of
    another user is skipped: it could hold planted answers.

    If the notebook isn't known, and there is exactly one store below the working directory, that store is used. Else a new
    one is made beside the notebook, or in the working directory. If another user's folder is in its place, or the working
    directory was deleted, the user's own store is used.
    """
    if given := os.environ.get("NBCACHE_DIR"):
        return _absolute(given)
    try:
        here = Path.cwd()
    except OSError:  # it was deleted
        here = None
    path = notebook or notebook_on_command_line()
    starts = [folder for folder in (path and path.parent, here) if folder is not None and folder.is_dir()]
    if not starts:
        return user_folder()
    upward = [folder for start in starts for folder in _upward(start)]
    for folder in upward:
        if _is_mine(folder / FOLDER):
            return folder / FOLDER
    beside = starts[0] / FOLDER
    if os.path.lexists(beside) and not _is_mine(beside):
        warn_once(
            f"not mine {beside}",
            f"nbcache: {beside} isn't yours, and could hold answers that somebody planted: your own store is used instead",
        )
        return user_folder()
    return _only_one_below(beside, elsewhere(starts[0]), is_known=path is not None)


def elsewhere(here: Path) -> list[Path]:
    """The user's stores that a search from `here` does not find: those below, and those above the repository's root."""
    above = [folder / FOLDER for folder in here.parents if folder not in _upward(here)]
    below = [] if here in {home_folder(), Path(here.anchor)} else folders_below(here)
    return [folder for folder in (*below, *above) if _is_mine(folder)]


def _only_one_below(new: Path, others: Sequence[Path], *, is_known: bool) -> Path:
    """The store to use if none was found upward: the `new` one, or the only one below. Warns of the others."""
    if not others:
        return new
    if not is_known and len(others) == 1 and others[0].is_relative_to(new.parent):
        warn_once(
            f"below {others[0]}",
            f"nbcache: the store is {from_here(others[0])}, as there is none in this folder and the notebook's path isn't "
            f"known; set NBCACHE_NOTEBOOK to its path, or NBCACHE_DIR={shlex.quote(str(new))} for a new store here",
        )
        return others[0]
    listed = ", ".join(str(from_here(folder)) for folder in others[:_LISTED]) + (", …" if len(others) > _LISTED else "")
    place = shlex.quote(str(from_here(others[0])))
    warn_once(
        f"new {new}",
        f"nbcache: a new store begins in {from_here(new)} when an answer is stored. It has none of the answers in {listed}: "
        f"to use those, type `%llmcache on --store {place}` in a notebook, `--store {place}` after a command of `nbcache` "
        "in a terminal, or set NBCACHE_DIR",
    )
    return new


def from_here(path: Path) -> Path:
    """The shorter path, so that an output that is kept in a notebook doesn't name its author's folders."""
    with contextlib.suppress(OSError, ValueError):  # the working directory is gone, or the file is elsewhere
        return path.relative_to(Path.cwd())
    return path


def cassette_path(notebook: Path | None = None) -> Path | None:
    """The file of recorded answers: `NBCACHE_CASSETTE`, or the one beside the notebook, whether it is there or not.

    None where the notebook isn't known.
    """
    if given := os.environ.get("NBCACHE_CASSETTE"):
        return _absolute(given)
    return None if notebook is None else notebook.with_name(notebook.stem + CASSETTE_SUFFIX)


def checked_path(name: str, path: str | Path) -> Path:
    """The absolute path that the setting `name` gives. Raises ValueError if it is no path."""
    if not isinstance(path, str | Path) or not str(path):
        raise ValueError(f"{name}={path!r}: write a file's path")
    return _absolute(path)


def _absolute(path: str | Path) -> Path:
    """`path` from the root on, without `..`: so a file has one name."""
    with contextlib.suppress(RuntimeError):  # `~name` of no user: a folder with that name
        path = Path(path).expanduser()
    return Path(os.path.abspath(path))  # noqa: PTH100 - pathlib's leaves `..` in, or follows links


def user_folder() -> Path:
    """The user's own store, the same from everywhere."""
    import platformdirs  # noqa: PLC0415 - most stores are beside their notebook

    return platformdirs.user_cache_path("nbcache") / "store"


def _upward(here: Path) -> list[Path]:
    """`here` and the folders above it, up to the repository's root or the home folder."""
    home = home_folder()
    folders = []
    for folder in (here, *here.parents):
        folders.append(folder)
        if folder == home or os.path.exists(folder / ".git"):  # noqa: PTH110 - pathlib's raises where it may not look
            break
    return folders


def home_folder() -> Path | None:
    """The user's home folder. None for a user without one."""
    try:
        return Path.home()
    except RuntimeError:  # a container's user without one
        return None


def _user_name() -> str:
    import getpass  # noqa: PLC0415 - most stores are one user's

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "user"


def _is_mine(folder: Path) -> bool:
    """Whether the folder is the user's, and a link to it as well: another user's link could lead anywhere."""
    try:
        statuses = (folder.lstat(), folder.stat())
    except OSError:
        return False
    return folder.is_dir() and (not hasattr(os, "getuid") or all(each.st_uid == os.getuid() for each in statuses))
