"""One table of commands, for every front end.

`table.py` is the table, `records.py` what a command is, `parsing.py` the parser that front ends make of it, and `reference.py`
writes `docs/commands.md`.
"""
