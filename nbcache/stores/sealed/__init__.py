"""Seals what a store keeps with a team's secret (`NBCACHE_SECRET`), so that whoever runs the server reads nothing.

`store.py` puts itself before a store, and has of its capabilities those that work without reading text. `keys.py` derives all
keys from the secret. Cache keys become an HMAC. `envelope.py` encrypts a payload, and `rows.py` the texts of a row, of a filter and
of the ledger, each for itself: equal texts are equal afterwards, so that the store can still filter and count. Numbers and times
stay, to sort by. `mark.py` knows sealed rows where there is no secret.
"""
