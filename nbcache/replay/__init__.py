"""Recorded answers as files: cassettes, import and export.

Replaying: `playback.py` finds the recorded answer to a call, by its key in `replay_key.py`.

Export and import: `cassette_export.py` and `cassette_import.py`, and `export_import_results.py` is what they return.
`cassette_format.py` writes and reads the lines of the file, and `cassette_fields.py` those of their fields that say how an
answer was made. `temporary_tables.py` holds what may be more than fits in memory: the lines of a new file
(`cassette_draft.py`) and the entries of an import (`import_draft.py`).

Writing: `cassette_update.py` keeps what an existing file needs kept, `secrets/` takes secrets out. Reading:
`untrusted_files.py` opens files within bounds, `answer_validation.py` checks the answers, and `importers/` reads the files
of other caches.
"""
