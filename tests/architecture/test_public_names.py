"""What users import stays where it was, wherever the rooms are."""

import importlib
import pickle
import subprocess
import sys

import pytest

from nbcache.entry import EntryMeta


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("nbcache.cache", "NotebookCache"),
        ("nbcache.keys", "cache_key"),
        ("nbcache.session", "install"),
        ("nbcache.session", "plan"),
        ("nbcache.session", "is_installed"),
        ("nbcache.stores", "DiskStore"),
        ("nbcache.stores", "Store"),
        ("nbcache.stores", "open_store"),
        ("nbcache.codec", "read"),
        ("nbcache.entry", "EntryMeta"),
        ("nbcache.entry", "Filter"),
        ("nbcache.errors", "StoreError"),
        ("nbcache.pytest_plugin", "pytest_addoption"),
    ],
)
def test_names_go_on_under_their_earlier_paths(module: str, name: str) -> None:
    code = f"from {module} import {name}; assert callable({name})"  # in a process that has imported nothing else
    subprocess.run([sys.executable, "-c", code], check=True)
    assert callable(getattr(importlib.import_module(module), name))


def test_a_pickle_of_an_earlier_release_names_a_path_that_is_there() -> None:
    earlier = pickle.dumps(EntryMeta, protocol=0).replace(b"nbcache.entry.models", b"nbcache.entry")
    assert pickle.loads(earlier) is EntryMeta


def test_a_package_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="nothing_like_it"):
        importlib.import_module("nbcache.stores").nothing_like_it  # noqa: B018
