"""Several stores as one: the nearest first, the team's behind it.

`store.py` is the store: a lookup goes down, and what is stored, deleted or edited goes to all tiers that may be written. It has
the capabilities of its home, the first of these tiers. `read_only.py` marks a tier that is only read. `transfers.py` copies
entries between tiers in the background (`copies.py` reads them), and `unsent.py` keeps what could not be sent, for later.
"""
