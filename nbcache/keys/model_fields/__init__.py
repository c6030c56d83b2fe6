"""The fields of a model that count, for a class that can't say what it would send.

`settings.py` reads them from any model, `user_classes.py` says which fields and options of a user's own class count, and
`call_counters.py` knows the fields in which a model counts its calls: these don't count.
"""
