"""The pytest plugin, and the tests whose calls were never recorded."""
