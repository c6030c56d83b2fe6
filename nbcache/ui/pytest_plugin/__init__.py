"""The pytest plugin, and the tests whose calls were never recorded.

`plugin.py` has the options and hooks. `swallowed_misses.py` fails a test whose call was not recorded, even if the test's code
swallowed the error.
"""
