"""What waits for the import of a module."""

import importlib
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from nbcache.concurrency.import_hooks import when_imported

NAME = "a_library_of_this_test"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of a module that nobody has imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / f"{NAME}.py"
    file.write_text("value = 1\n")
    finders = list(sys.meta_path)
    yield file
    sys.meta_path[:] = finders
    sys.modules.pop(NAME, None)


@pytest.mark.usefixtures("library")
def test_it_is_called_once_when_the_whole_module_is_there() -> None:
    seen: list[int] = []
    finders = list(sys.meta_path)
    when_imported([NAME, "another"], lambda: seen.append(sys.modules[NAME].value))
    assert seen == []
    module = importlib.import_module(NAME)
    importlib.reload(module)
    assert (seen, sys.meta_path) == ([1], finders)
    assert module.__spec__ is not None
    assert module.__loader__ is module.__spec__.loader
    assert type(module.__loader__).__module__ != "nbcache.concurrency.import_hooks"
    when_imported([NAME], lambda: seen.append(2))
    assert seen == [1, 2]


def test_an_import_that_fails_is_waited_for_again(library: Path) -> None:
    seen: list[int] = []
    library.write_text("raise ValueError('broken')\n")
    when_imported([NAME], lambda: seen.append(1))
    with pytest.raises(ValueError, match="broken"):
        importlib.import_module(NAME)
    library.write_text("value = 'of another length'\n")
    importlib.invalidate_caches()
    importlib.import_module(NAME)
    assert seen == [1]


@pytest.mark.usefixtures("library")
def test_what_fails_then_does_not_reach_the_users_import() -> None:
    when_imported([NAME], lambda: 1 / 0)  # type: ignore[arg-type]
    assert importlib.import_module(NAME).value == 1


@pytest.mark.usefixtures("library")
def test_the_waiting_can_be_ended() -> None:
    seen: list[int] = []
    finders = list(sys.meta_path)
    when_imported([NAME], lambda: seen.append(1))()
    assert sys.meta_path == finders
    importlib.import_module(NAME)
    assert seen == []


def test_a_module_that_another_finder_finds_is_waited_for_too(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of packages that were installed with `pip install --editable`."""
    name = f"{NAME}_too"

    class Finder:
        def find_spec(self, wanted: str, *_: Any) -> ModuleSpec | None:
            return spec_from_file_location(name, library) if wanted == name else None

    seen: list[int] = []
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    when_imported([name], lambda: seen.append(1))
    importlib.import_module(name)
    sys.modules.pop(name)
    assert seen == [1]
