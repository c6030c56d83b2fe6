"""Which frames run a library's code, and which line of the user's own code is running."""

import functools
import os
import sys
import sysconfig
from pathlib import Path
from types import FrameType

_STDLIB = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")})
_LIBRARIES = (*_STDLIB, *{sysconfig.get_path(name) + os.sep for name in ("purelib", "platlib")})
# Libraries that are installed elsewhere, for one user or in another environment, are in folders of these names.
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_STARTERS = sysconfig.get_path("scripts") + os.sep  # what starts `ipython`, `pytest` and so on
_OURS = str(Path(__file__).parents[1]) + os.sep


@functools.lru_cache(maxsize=1024)
def is_installed(file: str) -> bool:
    """Whether this file is one of Python's own, or of an installed package."""
    return file.startswith(_LIBRARIES) or any(name in file for name in _INSTALLED)


def is_ours(frame: FrameType) -> bool:
    """Whether a frame runs code of nbcache."""
    name = frame.f_globals.get("__name__")
    return frame.f_code.co_filename.startswith(_OURS) or (isinstance(name, str) and name.partition(".")[0] == "nbcache")


def is_of_python(frame: FrameType) -> bool:
    """Whether a frame runs code of Python's own library."""
    file = frame.f_code.co_filename
    return file.startswith("<frozen") or (file.startswith(_STDLIB) and not any(name in file for name in _INSTALLED))


def users_line() -> tuple[str, int] | None:
    """The file and the number of the line of the user's own code that this thread runs. None if it runs none."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the way there is
    while frame is not None:
        file = frame.f_code.co_filename
        if not (is_ours(frame) or is_of_python(frame) or is_installed(file) or file.startswith(_STARTERS)):
            return file, frame.f_lineno
        frame = frame.f_back
    return None
