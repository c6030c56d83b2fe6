"""What to type so that a call is recorded which `replay` lacks: magics in a notebook, pytest's option in a test, else Python."""

import os
import sys
from itertools import islice
from pathlib import Path

from nbcache.errors import NbcacheError
from nbcache.replay.playback import Recordings
from nbcache.stores.location import CASSETTE_SUFFIX

_LOOKED_FOR = 200  # recordings of a cassette


def how_to_record(recordings: Recordings) -> str:
    """Where the call was looked for, and what to type so that it is recorded."""
    path = recordings.path
    if path is None:
        place = (
            "the store, and there is no cassette, as this notebook's name isn't known: set NBCACHE_NOTEBOOK to it, or "
            "NBCACHE_CASSETTE to the file"
        )
        return f"It isn't in {place}. {_advice(None)}"
    if not path.exists():
        return f"It isn't in the store, and there is no {path.name}{_others(path)}. {_advice(None)}"
    return f"It isn't in {path.name}. {_advice(None if _are_in_store(recordings) else path.name)}"


def _advice(imported: str | None) -> str:
    """What to type. `imported` is a cassette that has to be imported first, so that none of its recordings is paid again."""
    if not _is_in_shell() and "PYTEST_CURRENT_TEST" in os.environ:
        before = f"`nbcache.import_cassette({imported!r})` first and " if imported else ""
        return (
            "To record it, run `pytest --nbcache=on` with a key. Code that doesn't use the fixture `nbcache_cassette` also "
            f"needs {before}`nbcache.export_cassette()` afterwards"
        )
    if _is_in_shell():
        load, turn_on, save = f"%llmcache import {imported}", "`%llmcache on`", "%llmcache export"
    else:
        load, turn_on = f"nbcache.import_cassette({imported!r})", "mode `on`"
        save = "nbcache.export_cassette()"
    run = f"run it with {turn_on} and a key, then `{save}`"
    if imported is None:
        return f"To record it, {run}"
    return f"The store lacks some of its recordings: `{load}` first, or those are paid again. To record the call, {run}"


def _is_in_shell() -> bool:
    """Whether magics can be typed here."""
    shells = sys.modules.get("IPython.core.interactiveshell")
    return shells is not None and bool(shells.InteractiveShell.initialized())


def _are_in_store(recordings: Recordings) -> bool:
    """Whether the store has the first recordings of the cassette, so that none has to be imported."""
    try:
        cassette = recordings.cassette()
        keys = () if cassette is None else islice(cassette.recordings, _LOOKED_FOR)
        return all(recordings.store.get(key, include_expired=True) is not None for key in keys)
    except (NbcacheError, OSError):
        return False


def _others(path: Path) -> str:
    """Other cassettes beside the missing one: the notebook may have been renamed."""
    names = sorted(other.name for other in path.parent.glob("*" + CASSETTE_SUFFIX))[:3]
    return f" (beside it: {', '.join(names)}; NBCACHE_CASSETTE names one)" if names else ""
