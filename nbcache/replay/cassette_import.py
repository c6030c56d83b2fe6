"""Reads recordings into a store, from a cassette or another cache's file: `%llmcache import`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nbcache import codec
from nbcache.entry.records import EntryMeta, Touch
from nbcache.errors import CassetteError, DamagedError
from nbcache.replay.cassette_format import Recording, read
from nbcache.replay.export_import_results import Imported
from nbcache.replay.importers import langchain_sqlite
from nbcache.stores.progress import Progress
from nbcache.stores.view import Contents

FILE, STORE = PREFERENCES = ("file", "store")


def import_entries(
    contents: Contents,
    path: Path,
    *,
    prefer: str = STORE,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Put the recordings of a cassette into the store; in a conflict what `prefer` names stays: `store` or `file`.

    It may be a file of LangChain's `SQLiteCache`, too. All of them or, where the file is wrong, none. Raises ValueError,
    CassetteError, StoreError or OSError.
    """
    if prefer not in PREFERENCES:
        raise ValueError(f"prefer={prefer!r}: write file or store")
    if not path.exists():
        raise CassetteError(f"there is no file {path}")
    if not langchain_sqlite.is_database(path):
        return merge(contents, read(path, progress), path, prefer=prefer, dry_run=dry_run)
    file = langchain_sqlite.read(path)
    done = merge(contents, file.recordings, path, prefer=prefer, dry_run=dry_run)
    return replace(done, left_out=file.left_out, by_hand=file.by_hand)


def merge(
    contents: Contents,
    recordings: Sequence[Recording],
    path: Path,
    *,
    prefer: str,
    dry_run: bool = False,
) -> Imported:
    """Put recordings into the store: as `import_entries`."""
    wanted: list[tuple[str, bytes, EntryMeta]] = []
    touches: list[Touch] = []
    conflicting: list[str] = []
    for recording in recordings:
        key = recording.call.key
        is_there, is_same = _compare(contents, recording)
        if is_there and not is_same:
            conflicting.append(key)
        if not is_there or (not is_same and prefer == FILE):
            wanted.append((key, *recording.entry(contents.notebook)))
        else:
            touches.append(Touch(key, contents.notebook, 0, 0.0))
    if not dry_run:
        contents.put_all(wanted, touches)  # this notebook uses the known ones, too
    new = len(wanted) - (len(conflicting) if prefer == FILE else 0)
    return Imported(path, new, len(recordings) - new - len(conflicting), tuple(conflicting), prefer)


def _compare(contents: Contents, recording: Recording) -> tuple[bool, bool]:
    """Whether there is an entry for this call, and whether with the same answer."""
    payload = contents.store.get(recording.call.key)
    if payload is None:
        return False, False
    try:
        return True, recording.same_answer(codec.read(payload, recording.call.key))
    except DamagedError as error:
        return error.newer, False
