"""Where things are: the package is what its rooms are, and the tests of a room stand in a room of its name."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

MOST = 13  # names at the top of the package: a reader sees them at once
LONGEST = 400  # lines of a module
TESTS = ROOT / "tests"
NO_ROOM = {"architecture", "benchmarks", "docs", "faults", "golden", "servers", "support"}  # what tests have besides


def names(folder: Path) -> Iterator[str]:
    """The modules and packages in a folder."""
    for path in folder.iterdir():
        if not path.name.startswith(("_", ".")) and (path.suffix == ".py" or any(path.rglob("*.py"))):
            yield path.stem


ROOMS = {name for name in names(ROOT / "nbcache") if (ROOT / "nbcache" / name).is_dir()}


def test_the_top_of_the_package_is_seen_at_once() -> None:
    top = set(names(ROOT / "nbcache"))
    assert len(top) <= MOST, sorted(top)


def test_the_tests_have_the_rooms_of_the_package() -> None:
    folders = {name for name in names(TESTS) if (TESTS / name).is_dir()} | {"golden"}
    assert folders == ROOMS | NO_ROOM


def test_no_test_stands_outside_of_a_room() -> None:
    assert list(TESTS.glob("test_*.py")) == []


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_each_room_has_tests(room: str) -> None:
    assert any((TESTS / room).rglob("test_*.py"))


MAPS = [path for path in sorted((ROOT / "nbcache").rglob("__init__.py")) if path.parent.parent != ROOT]


@pytest.mark.parametrize("path", MAPS, ids=lambda path: path.parent.relative_to(ROOT).as_posix())
def test_the_docstring_of_each_room_names_all_that_is_in_it(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    there = {f"{name}/" if (path.parent / name).is_dir() else f"{name}.py" for name in names(path.parent)}
    named = {*re.findall(r"`(\w+\.py)`", text), *re.findall(r"`(\w+/)`", text)}
    assert named - {"browser/"} == there


def test_no_module_is_too_long_to_be_read() -> None:
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in (ROOT / "nbcache").rglob("*.py")}
    assert [str(path) for path, count in lines.items() if count > LONGEST] == []
