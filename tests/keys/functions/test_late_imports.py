"""What a function imports while it runs counts, whether it is imported already or not, and as one call in both cases."""

import ast
import asyncio
import importlib
import inspect
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from nbcache.errors import UnstableIdentityError
from nbcache.keys.functions import FunctionKey, FunctionRules
from nbcache.keys.functions.compiled_code import compiled_code
from tests.keys.functions.test_edits import run

FILES = {
    "nbcache_late/__init__.py": "from .sub import h\nP = 'p'\n",
    "nbcache_late/sub.py": "'doc'\nfrom . import deep\nS = 's'\nITEMS = [1]\n# why\ndef h(x):\n    'text'\n    return S + deep.D\n",
    "nbcache_late/deep.py": "D = 'd'\n",
    "nbcache_late/beside.py": "B = 'b'\n",
    "nbcache_space/inner.py": "N = 'n'\n",
    "nbcache_space/more/inner.py": "N = 'n'\n",
    "nbcache_lazy.py": "def __getattr__(name):\n    return 't'\n",
}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of modules that nothing has imported."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    """As in a new process: none of the modules is imported."""
    for name in [*sys.modules]:
        if name.startswith(("nbcache_late", "nbcache_space", "nbcache_lazy")):
            del sys.modules[name]
    importlib.invalidate_caches()


def identity(source: str) -> Any:
    return FunctionKey(run(source)["judge"], FunctionRules()).call((1,), {}).identity


def edit(file: Path, old: str, new: str) -> None:
    """Edit `file` a second after it was written: Python takes another of the same second and size for the same."""
    text, written = file.read_text(), file.stat().st_mtime
    assert old in text
    file.write_text(text.replace(old, new))
    os.utime(file, (written + 1, written + 1))


LATE = "def judge(x):\n    {}\n"
IMPORTS = [
    ("import nbcache_late.sub as s; return s.S", "nbcache_late/sub.py", "'s'"),
    ("import nbcache_late.sub; return nbcache_late.sub.S", "nbcache_late/sub.py", "'s'"),
    ("import nbcache_late.sub; return nbcache_late.P", "nbcache_late/__init__.py", "'p'"),
    ("from nbcache_late.sub import h; return h(x)", "nbcache_late/sub.py", "'s'"),
    ("from nbcache_late.sub import h; return h(x)", "nbcache_late/deep.py", "'d'"),
    ("import nbcache_late; return nbcache_late.h(x)", "nbcache_late/deep.py", "'d'"),
    ("from nbcache_late import beside; return beside.B", "nbcache_late/beside.py", "'b'"),
    ("from nbcache_space.inner import N; return N", "nbcache_space/inner.py", "'n'"),
    ("from nbcache_space import inner; return inner.N", "nbcache_space/inner.py", "'n'"),
    ("from nbcache_space.more import inner; return inner.N", "nbcache_space/more/inner.py", "'n'"),
    ("from nbcache_lazy import thing; return thing", "nbcache_lazy.py", "'t'"),
    ("import importlib; return importlib.import_module('nbcache_late.sub').S", "nbcache_late/sub.py", "'s'"),
]


@pytest.mark.parametrize("is_loaded", [False, True], ids=["not imported", "imported"])
@pytest.mark.parametrize(("body", "file", "value"), IMPORTS)
def test_an_edit_of_what_a_function_imports_is_another_call(
    body: str, file: str, value: str, modules: Path, *, is_loaded: bool
) -> None:
    source = LATE.format(body)
    if is_loaded:
        run(source)["judge"](1)
    before = identity(source)
    assert identity(source) == before
    forget()
    edit(modules / file, value, "'e'")
    if is_loaded:
        run(source)["judge"](1)
    assert identity(source) != before


@pytest.mark.parametrize(("old", "new"), [("# why", "# because\n\n"), ("'doc'", "'other'"), ("'text'", "'words'")])
def test_a_comment_or_docstring_of_what_is_not_imported_does_not_count(old: str, new: str, modules: Path) -> None:
    source = LATE.format("from nbcache_late.sub import h; return h(x)")
    before = identity(source)
    edit(modules / "nbcache_late/sub.py", old, new)
    assert identity(source) == before


def test_a_call_is_the_same_when_its_run_has_imported_what_it_uses(modules: Path) -> None:
    namespace = run(LATE.format("from nbcache_late.sub import h, ITEMS; return h(x), ITEMS"))
    key = FunctionKey(namespace["judge"], FunctionRules())
    before = key.call((1,), {}).identity
    namespace["judge"](1)
    assert key.call((1,), {}).identity == before

    module = sys.modules["nbcache_late.sub"]
    seen = [before]
    module.ITEMS.append(2)
    seen.append(key.call((1,), {}).identity)
    module.S = "e"  # type: ignore[attr-defined]
    seen.append(key.call((1,), {}).identity)
    module.h.__code__ = (lambda x: "c").__code__
    seen.append(key.call((1,), {}).identity)
    assert all(one != other for one, other in itertools.pairwise(seen))


def test_of_a_module_whose_file_was_edited_after_its_import_the_code_that_runs_counts(modules: Path) -> None:
    namespace = run(LATE.format("from nbcache_late.sub import S; return S"))
    key = FunctionKey(namespace["judge"], FunctionRules())
    key.call((1,), {})
    namespace["judge"](1)
    edit(modules / "nbcache_late/sub.py", "'s'", "'edited'")
    stale = key.call((1,), {}).identity
    forget()
    assert key.call((1,), {}).identity != stale


def test_what_a_module_makes_when_it_is_asked_counts_by_its_code(modules: Path) -> None:
    source = "import nbcache_lazy\ndef judge(x): return nbcache_lazy.thing"
    before = identity(source)
    forget()
    edit(modules / "nbcache_lazy.py", "'t'", "'e'")
    assert identity(source) != before


def test_an_import_of_a_name_that_is_computed_asks_for_a_version() -> None:
    with pytest.raises(UnstableIdentityError, match=r"import_module.*version="):
        identity("import importlib\ndef judge(x): return importlib.import_module(x)")


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


@pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="later compilers copy a block or not by the lines that it is on"
)
@pytest.mark.parametrize("module", [ast, asyncio.base_events, inspect, os])
def test_the_lines_of_code_do_not_count(module: Any) -> None:
    source = inspect.getsource(module)
    laid_out: Callable[[str], list[CodeType]] = lambda text: [*_codes(compile(text, "<cell>", "exec"))]  # noqa: E731
    pairs = zip(laid_out(source), laid_out(ast.unparse(ast.parse(source))), strict=True)
    other = [one.co_qualname for one, two in pairs if compiled_code(one).digest != compiled_code(two).digest]
    assert set(other) <= {"isawaitable", "_signature_is_functionlike"}  # in 3.11, `a and b or c` over several lines
