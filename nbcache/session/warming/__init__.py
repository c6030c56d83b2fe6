"""Warm-up: calls for many inputs, of which only those are made whose answers are not in the cache.

`warm.py` has `nbcache.warm` and `nbcache.awarm`, `targets.py` says what is called for an input, and `results.py` counts what came of it.
"""
