"""`nbcache …` in a terminal.

In the order of a command: `main.py` runs it, `arguments.py` parses it, `store.py` opens the store, `confirmation.py` asks
before something is deleted, `handlers.py` carries it out, `json_documents.py` makes what `--json` prints, and
`exit_codes.py` has the codes that it returns.
"""
