"""Pairs of calls that differ in one thing: what the real clients send, compared with nbcache's keys. See `__main__`."""
