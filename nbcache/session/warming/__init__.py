"""Warm-up: calls for many inputs, of which only those are made whose answers are not in the cache.

`warm.py` has `nbcache.warm` and `nbcache.awarm`, `run.py` makes the calls, `targets.py` says what is called for an input, and
`results.py` counts what came of it. For a dry run `input_calls.py` says which call an input would make, and `estimates.py` what
the missing ones would cost.
"""
