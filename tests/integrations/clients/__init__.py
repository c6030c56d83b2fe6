"""The clients of models that are cached as they are, with their users' code unchanged: each run twice, by `make clients`.

`clients.py` lists them, and says which rows of the table in `docs/clients.md` a client has none of. `scripts/` holds a user's
script for each. `run.py` runs one with the cache on, `server.py` answers it, `test_clients.py` compares two runs, and
`table.py` prints the table.
"""
