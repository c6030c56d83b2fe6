"""Reads recordings into a store, from a cassette or another cache's file: `%llmcache import`."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from nbcache import codec
from nbcache.entry.records import Touch
from nbcache.errors import CassetteError, DamagedError
from nbcache.replay.cassette_format import Line, Recording, lines_in, refuse_twice
from nbcache.replay.export_import_results import Imported
from nbcache.replay.import_draft import TABLES, ImportDraft, State
from nbcache.replay.importers import langchain_sqlite
from nbcache.replay.temporary_tables import temporary_tables
from nbcache.stores.progress import Progress
from nbcache.stores.view import Contents

FILE, STORE = PREFERENCES = ("file", "store")


def import_entries(  # noqa: PLR0913 - what an import is
    contents: Contents,
    path: Path,
    *,
    prefer: str = STORE,
    dry_run: bool = False,
    progress: Progress | None = None,
    stored: Progress | None = None,
) -> Imported:
    """Put the recordings of a cassette into the store; in a conflict what `prefer` names stays: `store` or `file`.

    It may be a file of LangChain's `SQLiteCache`, too. All of them or, where the file is wrong, none: it is read to
    its end first. They are stored in parts. After an interrupt some parts are there, and another import stores the others.
    `progress` is called with how many lines are read, and `stored` with how many recordings are stored, each with of how many.
    Raises ValueError, CassetteError, StoreError or OSError.
    """
    if prefer not in PREFERENCES:
        raise ValueError(f"prefer={prefer!r}: write file or store")
    if not path.exists():
        raise CassetteError(f"there is no file {path}")
    if not langchain_sqlite.is_database(path):
        return _merge(contents, lines_in(path, progress), path, prefer=prefer, dry_run=dry_run, stored=stored)
    file = langchain_sqlite.read(path)
    lines = (Line(number, recording, is_earlier=False) for number, recording in enumerate(file.recordings, 1))
    done = _merge(contents, lines, path, prefer=prefer, dry_run=dry_run, stored=stored)
    return replace(done, left_out=file.left_out, by_hand=file.by_hand)


def _merge(  # noqa: PLR0913 - as `import_entries`
    contents: Contents, lines: Iterable[Line], path: Path, *, prefer: str, dry_run: bool, stored: Progress | None
) -> Imported:
    """Put recordings into the store: as `import_entries`."""
    with temporary_tables(*TABLES) as database:
        draft = ImportDraft(database)
        for line in lines:
            recording = line.recording
            key = recording.call.key
            state = _compare(contents, recording)
            is_wanted = state is State.NEW or (state is State.CONFLICTING and prefer == FILE)
            entry = recording.entry(contents.notebook) if is_wanted else None
            if not draft.add(key, line.number, state, entry):
                refuse_twice(path, line, draft.line_of(key))
                draft.replace(key, line.number, state, entry)
        done = 0
        for part in () if dry_run else draft.parts():
            touches = [Touch(key, contents.notebook, 0, 0.0) for key in part.known]  # this notebook uses them, too
            contents.put_all(part.entries, touches)
            done += len(part.entries) + len(part.known)
            if stored is not None:
                stored(done, len(draft))
        counts = (draft.count(State.NEW), draft.count(State.SAME), draft.keys(State.CONFLICTING))
    return Imported(path, *counts, prefer)


def _compare(contents: Contents, recording: Recording) -> State:
    """How a recording compares with the entry for its call."""
    payload = contents.store.get(recording.call.key)
    if payload is None:
        return State.NEW
    try:
        is_same = recording.same_answer(codec.read(payload, recording.call.key))
    except DamagedError as error:
        return State.CONFLICTING if error.newer else State.NEW
    return State.SAME if is_same else State.CONFLICTING
