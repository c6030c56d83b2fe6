"""One table of commands, for every front end.

`table.py` is the table, `records.py` what a command is, and `reference.py` writes `docs/commands.md`.
"""
