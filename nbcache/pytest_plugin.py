"""The pytest plugin, under its earlier name: for `pytest -p nbcache.pytest_plugin`."""

from nbcache.ui.pytest_plugin.plugin import *  # noqa: F403
