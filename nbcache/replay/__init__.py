"""Recorded answers as files: cassettes, import and export.

Replaying: `playback.py` finds the recorded answer to a call, by its key in `replay_key.py`.

Export and import: `cassette_export.py` and `cassette_import.py`, and `export_import_results.py` is what they return. `cassette_format.py`
writes and reads the lines of the file. Writing: `cassette_draft.py` holds the lines of a new file in `temporary_tables.py`,
`cassette_update.py` keeps what an existing file needs kept, `secrets/` takes secrets out. Reading:
`untrusted_files.py` opens files within bounds, `answer_validation.py` checks the answers, and `importers/` reads the files
of other caches.
"""
