"""Where things are: what users import stays where it was, and the package is what its rooms are."""

import importlib
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import nbcache
from nbcache.entry import EntryMeta

MOST = 13  # names at the top of the package: a reader sees them at once


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


def test_the_top_of_the_package_is_seen_at_once() -> None:
    root = Path(nbcache.__file__).parent
    names = {path.name for path in root.iterdir() if path.suffix == ".py" or any(path.glob("*.py"))}
    names = {name for name in names if not name.startswith("_")}
    assert len(names) <= MOST, sorted(names)
