"""Memoized functions in worker processes: by name from modules, by value from a script's own code, and with the parent's cache."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

MODULE = """
import os
import nbcache

@nbcache.memoize
def square(number):
    return [number * number, os.getpid()]

class Power:
    def __init__(self, by):
        self.by = by

    @nbcache.memoize
    def of(self, number):
        return [number ** self.by, os.getpid()]
"""
SCRIPT = """
import multiprocessing, os, sys, warnings
from concurrent.futures import ProcessPoolExecutor
import nbcache
from powers import Power, square

@nbcache.memoize
def own(number):
    return [number + 1, os.getpid()]

class Own:
    @nbcache.memoize
    def of(self, number):
        return [number + 2, os.getpid()]

if __name__ == "__main__":
    nbcache.install(sys.argv[1])
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        made = [list(pool.map(function, (3,)))[0] for function in (square, Power(3).of, own, Own().of)]
    again = [square(3), Power(3).of(3), own(3), Own().of(3)]
    print([value for value, _ in made], made == again, os.getpid() in {process for _, process in made})
    print(nbcache.stats().hits)
"""
BY_VALUE = """
import os, sys
import cloudpickle, nbcache

@nbcache.memoize(tags="a")
def own(number):
    return [number + 1, os.getpid()]

class Own:
    @nbcache.memoize
    def of(self, number):
        return [number + 2, os.getpid()]

nbcache.install(sys.argv[1])
with open(sys.argv[2], "wb") as file:
    cloudpickle.dump((own, Own, Own().of, Own.of), file)
print(own.cache_key(1))
"""
READ = """
import pickle, sys
import nbcache

nbcache.install(sys.argv[1])
with open(sys.argv[2], "rb") as file:
    own, cls, bound, method = pickle.load(file)
print(own(1)[0], cls().of(1)[0], bound(1)[0], method(cls(), 1)[0], own(1)[0], nbcache.stats().misses)
"""


def run(file: Path, *arguments: object) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(file.parent), *filter(None, sys.path)])}
    command = [sys.executable, str(file), *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=110, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip().splitlines()


def test_a_fresh_workers_calls_are_hits_of_its_parent(tmp_path: Path) -> None:
    (tmp_path / "powers.py").write_text(MODULE)
    (tmp_path / "main.py").write_text(SCRIPT)
    assert run(tmp_path / "main.py", tmp_path / "store") == ["[9, 27, 4, 5] True False", "4"]


def test_a_scripts_own_functions_go_into_a_pickle_by_value(tmp_path: Path) -> None:
    """As joblib and dask hand the functions of a notebook to their workers."""
    (tmp_path / "write.py").write_text(BY_VALUE)
    (tmp_path / "read.py").write_text(READ)
    run(tmp_path / "write.py", tmp_path / "store", tmp_path / "functions")
    assert run(tmp_path / "read.py", tmp_path / "other", tmp_path / "functions")[0].split()[:5] == [
        "2",
        "3",
        "3",
        "3",
        "2",
    ]
