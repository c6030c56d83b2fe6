"""What an edit of a function's source does to the key: an edit that can change the result is another call, any other is not.

Each case is a notebook in small: a cell with the function `judge`, and one edit of it. `CHANGED` are edits in a kernel that runs.
"""

import importlib.metadata
import itertools
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from nbcache.errors import UnstableIdentityError
from nbcache.keys.functions import FunctionCall, FunctionKey, FunctionRules, libraries


def run(source: str) -> dict[str, Any]:
    """A kernel that has run a cell: its namespace."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(textwrap.dedent(source), "<cell>", "exec"), namespace)
    return namespace


def rules(**given: Any) -> FunctionRules:
    return FunctionRules(**given)


def call_of(function: Callable[..., Any], *args: Any, **kwargs: Any) -> FunctionCall:
    assert isinstance(function, FunctionType)
    return FunctionKey(function, rules()).call(args, kwargs)


def identity(source: str, argument: str = "1") -> Any:
    """The identity of the call `judge(argument)` in a new kernel."""
    namespace = run(source)
    return call_of(namespace["judge"], eval(argument, namespace)).identity


def with_use(definition: str, use: str = "helper(x)") -> str:
    return f"{textwrap.dedent(definition)}\ndef judge(x):\n    return {use}\n"


_PYDANTIC = "from pydantic import BaseModel, Field\nclass Verdict(BaseModel):\n    'How good it is.'\n    score: int = Field(1, description='from 1')\n"
_WRAPS = """
import functools
def times(n):
    def wrap(f):
        @functools.wraps(f)
        def wrapper(*args):
            return f(*args) * n
        return wrapper
    return wrap
@times(2)
def helper(x):
    return 'a'
"""

# (what, source, what is replaced in it, by what)
EDITED = [
    ("its code", "def judge(x): return 'a'", "'a'", "'b'"),
    ("a whole number and a float", "def judge(x): return 1", "1", "1.0"),
    ("a number and a truth", "def judge(x): return 1", "1", "True"),
    ("the sign of zero", "def judge(x): return 0.0", "0.0", "-0.0"),
    ("an operator", "def judge(x): return x + 1", "+", "-"),
    ("a method", "def judge(x): return x.lower()", "lower", "upper"),
    ("a constant in a set", "def judge(x): return x in {1, 2}", "2", "3"),
    ("a constant in a tuple", "def judge(x): return (1, (2, 'a'))", "'a'", "b'a'"),
    ("a slice", "def judge(x): return x[1:2]", "1:2", "1:3"),
    ("another branch", "def judge(x):\n    if x: return 1\n    return 2", "if x", "if not x"),
    ("an exception that it catches", "def judge(x):\n    try: return x()\n    except TypeError: return 1", "TypeError", "ValueError"),
    ("a nested function", "def judge(x):\n    def inner(): return 'a'\n    return inner()", "'a'", "'b'"),
    ("a comprehension", "def judge(x): return [y + 1 for y in x]", "+ 1", "+ 2"),
    ("a lambda", "def judge(x): return (lambda: 'a')()", "'a'", "'b'"),
    ("a class within it", "def judge(x):\n    class A:\n        y = 'a'\n    return A.y", "'a'", "'b'"),
    ("a default of an inner function", "def judge(x):\n    def inner(y='a'): return y\n    return inner()", "'a'", "'b'"),
    ("its name", "def judge(x): return 1\njudge.__qualname__ = 'other'", "'other'", "'another'"),
    ("a module", "def judge(x): return 1\n__name__ = 'one'", "'one'", "'two'"),
    ("a global", with_use("STYLE = 'a'", "STYLE"), "'a'", "'b'"),
    ("a global list", with_use("ITEMS = [1, [2]]", "ITEMS"), "[2]", "[3]"),
    ("a global object", with_use("class C:\n    def __init__(self, y): self.y = y\nC1 = C('a')", "C1.y"), "'a'", "'b'"),
    ("which helper", with_use("def one(x): return 1\ndef two(x): return 2\nhelper = one"), "helper = one", "helper = two"),
    ("a helper", with_use("def helper(x): return 'a'"), "'a'", "'b'"),
    ("a helper's helper", with_use("def inner(): return 'a'\ndef helper(x): return inner()"), "'a'", "'b'"),
    ("a helper's global", with_use("STYLE = 'a'\ndef helper(x): return STYLE"), "'a'", "'b'"),
    ("a helper's default", with_use("def helper(x, y='a'): return y"), "'a'", "'b'"),
    ("a default of a helper's keyword", with_use("def helper(x, *, y='a'): return y"), "'a'", "'b'"),
    ("a mutable default of a helper", with_use("def helper(x, y=[1]): return y"), "[1]", "[2]"),
    ("the argument of a decorator", with_use(_WRAPS), "times(2)", "times(3)"),
    ("a function that is decorated", with_use(_WRAPS), "'a'", "'b'"),
    ("a decorator", with_use(_WRAPS), "* n", "+ n"),
    ("a function that is cached", with_use("import functools\n@functools.cache\ndef helper(x): return 'a'"), "'a'", "'b'"),
    ("what a partial holds", with_use("import functools\nhelper = functools.partial(str, 'a')", "helper()"), "'a'", "'b'"),
    ("a function in a partial", with_use("import functools\ndef f(x): return 'a'\nhelper = functools.partial(f)"), "'a'", "'b'"),
    ("a variant of a generic function", with_use("import functools\n@functools.singledispatch\ndef helper(x): return 0\n@helper.register\ndef _(x: int): return 'a'"), "'a'", "'b'"),
    ("a function in a list", with_use("def helper(x): return 'a'\nALL = [helper]", "ALL[0](x)"), "'a'", "'b'"),
    ("a lambda in a dict", with_use("ALL = {'one': lambda x: 'a'}", "ALL['one'](x)"), "'a'", "'b'"),
    ("a bound method", with_use("class C:\n    def score(self, x): return 'a'\nhelper = C().score"), "'a'", "'b'"),
    ("a class", with_use("class C:\n    def score(self): return 'a'", "C().score()"), "'a'", "'b'"),
    ("an attribute of a class", with_use("class C:\n    y = 'a'", "C.y"), "'a'", "'b'"),
    ("a list of a class", with_use("class C:\n    y = ['a']", "C.y"), "'a'", "'b'"),
    ("an object of a class", with_use("class D:\n    def __init__(self, z): self.z = z\nclass C:\n    y = D('a')", "C.y.z"), "'a'", "'b'"),
    ("a property", with_use("class C:\n    @property\n    def y(self): return 'a'", "C().y"), "'a'", "'b'"),
    ("a cached property", with_use("import functools\nclass C:\n    @functools.cached_property\n    def y(self): return 'a'", "C().y"), "'a'", "'b'"),
    ("a static method", with_use("class C:\n    @staticmethod\n    def y(): return 'a'", "C.y()"), "'a'", "'b'"),
    ("a class method", with_use("class C:\n    @classmethod\n    def y(cls): return 'a'", "C.y()"), "'a'", "'b'"),
    ("a base", with_use("class B:\n    def y(self): return 'a'\nclass C(B): pass", "C().y()"), "'a'", "'b'"),
    ("which base", with_use("class A:\n    y = 1\nclass B:\n    y = 2\nclass C(A): pass", "C.y"), "C(A)", "C(B)"),
    ("a metaclass", with_use("class M(type):\n    @property\n    def y(cls): return 'a'\nclass C(metaclass=M): pass", "C.y"), "'a'", "'b'"),
    ("a member of an enumeration", with_use("import enum\nclass E(enum.Enum):\n    A = 'a'", "E.A.value"), "'a'", "'b'"),
    ("which member", with_use("import enum\nclass E(enum.Enum):\n    A = 1\n    B = 2\nCHOSEN = E.A", "CHOSEN"), "E.A", "E.B"),
    ("a default of a dataclass", with_use("import dataclasses\n@dataclasses.dataclass\nclass C:\n    y: str = 'a'", "C().y"), "'a'", "'b'"),
    ("a type of a dataclass", with_use("import dataclasses\n@dataclasses.dataclass\nclass C:\n    y: int = 1", "C()"), "y: int", "y: float"),
    ("the order of a dataclass", with_use("import dataclasses\n@dataclasses.dataclass(order=False)\nclass C:\n    y: int = 1", "C()"), "order=False", "order=True"),
    ("a pydantic description", with_use(_PYDANTIC, "Verdict()"), "'from 1'", "'from 2'"),
    ("a pydantic docstring", with_use(_PYDANTIC, "Verdict()"), "'How good it is.'", "'How bad it is.'"),
    ("a pydantic default", with_use(_PYDANTIC, "Verdict()"), "Field(1", "Field(2"),
    ("a pydantic type", with_use(_PYDANTIC, "Verdict()"), "score: int", "score: float"),
    ("the fields of a named tuple", with_use("import collections\nC = collections.namedtuple('C', 'a b')", "C(1, 2)"), "'a b'", "'b a'"),
    ("a typed dict", with_use("from typing import TypedDict\nclass C(TypedDict):\n    a: int", "C(a=1)"), "a: int", "a: str"),
    ("a closure", "def make(y):\n    def judge(x): return y\n    return judge\njudge = make('a')", "'a'", "'b'"),
    ("a list in a closure", "def make(y):\n    def judge(x): return y\n    return judge\njudge = make(['a'])", "'a'", "'b'"),
    ("a function in a closure", "def make(y):\n    def judge(x): return y()\n    return judge\njudge = make(lambda: 'a')", "'a'", "'b'"),
    ("a docstring that is read", with_use("def helper(x):\n    'a'", "helper.__doc__"), "'a'", "'b'"),
    ("a docstring that is read by inspect", with_use("import inspect\ndef helper(x):\n    'a'", "inspect.getdoc(helper)"), "'a'", "'b'"),
    ("a docstring that is passed on", with_use("def helper(x):\n    'a'", "str(helper)"), "'a'", "'b'"),
    ("a docstring of a method that is passed on", with_use("class C:\n    def y(self):\n        'a'", "str(C().y)"), "'a'", "'b'"),
    ("a docstring of a class that is passed on", with_use("class C:\n    'a'", "str(C)"), "'a'", "'b'"),
    ("a docstring of a function in a list", with_use("def helper(x):\n    'a'\nALL = [helper]", "ALL"), "'a'", "'b'"),
    ("a docstring of a decorated inner function", "def judge(x):\n    @str\n    def inner():\n        'a'\n    return inner", "'a'", "'b'"),
    ("an annotation that is read", with_use("import typing\ndef helper(x: int): pass", "typing.get_type_hints(helper)"), "x: int", "x: str"),
    ("an attribute of a function that is read", with_use("def helper(x): pass\nhelper.y = 'a'", "helper.y"), "'a'", "'b'"),
    ("its own default where it calls itself", "def judge(x, y='a'): return judge(x - 1) if x else y", "'a'", "'b'"),
    ("a local name that is read", "def judge(x):\n    y = 1\n    return locals()", "y =", "z ="),
    ("a type in a union", with_use("KIND = int | None", "KIND"), "int | None", "str | None"),
    ("a pattern", with_use("import re\nP = re.compile('a')", "P.sub('', x)"), "'a'", "'b'"),
    ("a name of Python's that is hidden", "def judge(x): return len(x)\nlen = lambda x: 'a'", "'a'", "'b'"),
    ("a format", "def judge(x): return f'{x:.1f}'", ".1f", ".2f"),
    ("a walrus", "def judge(x): return (y := 1) + y", "1", "2"),
    ("a keyword of a call", with_use("def helper(x, a=0, b=0): return a - b", "helper(x, a=1)"), "a=1", "b=1"),
    ("an annotation that a library's decorator has", with_use("from pydantic import validate_call\n@validate_call\ndef helper(x: int): return 'a'"), "x: int", "x: str"),
    ("a function that a library's decorator has", with_use("import tenacity\n@tenacity.retry\ndef helper(x): return 'a'"), "'a'", "'b'"),
    ("a context manager", with_use("import contextlib\n@contextlib.contextmanager\ndef helper(x): yield 'a'"), "'a'", "'b'"),
    ("a method by super", with_use("class A:\n    def y(self): return 'a'\nclass B(A):\n    def y(self): return super().y()", "B().y()"), "'a'", "'b'"),
    ("a decorator that is a class", with_use("class D:\n    def __init__(self, f): self.f = f\n    def __call__(self, x): return self.f(x)\n@D\ndef helper(x): return 'a'"), "'a'", "'b'"),
    ("a descriptor", with_use("class D:\n    def __get__(self, one, cls): return 'a'\nclass C:\n    y = D()", "C().y"), "'a'", "'b'"),
    ("an object of a class in the class", with_use("class C:\n    def __init__(self): self.y = 'a'\nC.one = C()", "C.one.y"), "'a'", "'b'"),
    ("a pydantic validator", with_use("from pydantic import BaseModel, field_validator\nclass M(BaseModel):\n    y: int\n    @field_validator('y')\n    @classmethod\n    def check(cls, y): return y or 'a'", "M(y=x)"), "'a'", "'b'"),
    ("a pydantic class that holds itself", with_use("from pydantic import BaseModel\nclass Node(BaseModel):\n    y: str = 'a'\n    z: 'list[Node]' = []\nNode.model_rebuild(_types_namespace={'Node': Node})", "Node()"), "'a'", "'b'"),
    ("a variant of a generic method", with_use("import functools\nclass C:\n    @functools.singledispatchmethod\n    def y(self, z): return 1\n    @y.register\n    def _(self, z: int): return 'a'", "C().y(1)"), "'a'", "'b'"),
    ("functions that call each other", with_use("def even(n): return odd(n - 1) if n else 'a'\ndef odd(n): return even(n - 1)", "even(x)"), "'a'", "'b'"),
    ("a generator", with_use("def helper(x): yield 'a'", "[*helper(x)]"), "'a'", "'b'"),
    ("a coroutine", "async def helper(x): return 'a'\nasync def judge(x): return await helper(x)", "'a'", "'b'"),
    ("a match", "def judge(x):\n    match x:\n        case {'a': 1}: return 1", "'a'", "'b'"),
    ("the order in a class that is read", with_use("class C:\n    a = 1\n    b = 2", "[*vars(C)]"), "a = 1\n    b = 2", "b = 2\n    a = 1"),
    ("an annotation of a class that is read", with_use("class C:\n    a: int", "C.__annotations__"), "a: int", "a: str"),
    ("a docstring of a property that is read", with_use("class C:\n    @property\n    def y(self):\n        'a'", "C.y.__doc__"), "'a'", "'b'"),
    ("a class that an exception is caught by", "class E(ValueError): pass\ndef judge(x):\n    try: return x()\n    except E: return 1", "ValueError", "TypeError"),
    ("the docstring of such a class that is passed on", "class E(Exception):\n    'a'\ndef judge(x):\n    try: return 1\n    except E: return str(E)", "'a'", "'b'"),
    ("a module that is imported by its name", "import importlib, sys, types\nsys.modules['nbcache_shown'] = types.ModuleType('nbcache_shown')\nsys.modules['nbcache_shown'].y = 'a'\ndef judge(x): return importlib.import_module('nbcache_shown').y", "'a'", "'b'"),
    ("a method of a class of an argument's kind", with_use("class C:\n    def y(self): return 'a'\n", "isinstance(x, C)"), "'a'", "'b'"),
]  # fmt: skip

SAME = [
    ("a comment", "def judge(x):\n    # why\n    return 1", "# why", "# because"),
    ("blank lines", "def judge(x):\n    y = 1\n    return y", "\n    return", "\n\n\n    return"),
    ("lines before it", "\ndef judge(x):\n    return 1", "\ndef", "\n\n\n# why\ndef"),
    ("its docstring", "def judge(x):\n    'a'\n    return 1", "'a'", "'b'"),
    ("a new docstring", "def judge(x):\n    return None", "):\n", "):\n    'a'\n"),
    ("a helper's docstring", with_use("def helper(x):\n    'a'\n    return 1"), "'a'", "'b'"),
    ("a helper's new docstring", with_use("def helper(x):\n    y = None\n    return 'z'"), "(x):\n    y", "(x):\n    'a'\n    y"),
    ("an inner function's docstring", "def judge(x):\n    def inner():\n        'a'\n        return 1\n    return inner()", "'a'", "'b'"),
    ("a class's docstring", with_use("class C:\n    'a'\n    y = 1", "C.y"), "'a'", "'b'"),
    ("a method's docstring", with_use("class C:\n    def y(self):\n        'a'\n        return 1", "C().y()"), "'a'", "'b'"),
    ("a dataclass's docstring", with_use("import dataclasses\n@dataclasses.dataclass\nclass C:\n    'a'\n    y: int = 1", "C().y"), "'a'", "'b'"),
    ("a decorated function's docstring", with_use(_WRAPS.replace("return 'a'", "'doc'; return 'a'")), "'doc'", "'text'"),
    ("a local name", "def judge(x):\n    y = 1\n    return y", "y", "zz"),
    ("an annotation that nothing reads", "def judge(x: int): return 1", "x: int", "x: str"),
    ("an annotation of a local name", "def judge(x):\n    y: int = 1\n    return y", "y: int", "y: str"),
    ("a name that it doesn't use", "OTHER = 1\ndef judge(x): return 1", "OTHER = 1", "OTHER = 2"),
    ("a function that it doesn't use", "def other(): return 1\ndef judge(x): return 1", "return 1\ndef judge", "return 2\ndef judge"),
    ("a default for which the call has an argument", "def judge(x=1): return x", "x=1", "x=2"),
    ("an attribute that nothing reads", with_use("def helper(x): return 1\nhelper.note = 'a'"), "'a'", "'b'"),
    ("the order of definitions", with_use("A = 1\nB = 2", "A + B"), "A = 1\nB = 2", "B = 2\nA = 1"),
    ("a line that is broken", "def judge(x): return (1, x)", "(1, x)", "(1,\n    x)"),
    ("another quote", "def judge(x): return 'a'", "'a'", '"a"'),
    ("a line that is joined", "def judge(x):\n    while True:\n        if x: return 1", "while True:\n        if", "while True: #\n\n\n        if"),
    ("a pass", "def judge(x):\n    return 1", "    return", "    pass\n    return"),
    ("annotations of the future", "\ndef judge(x: int): return 1", "\ndef", "from __future__ import annotations\ndef"),
    ("an annotation of a plain class", with_use("class C:\n    a: int\n    def y(self): return 1", "C().y()"), "a: int", "a: str"),
    ("a property's docstring", with_use("class C:\n    @property\n    def y(self):\n        'a'\n        return 1", "C().y"), "'a'", "'b'"),
    ("a cached property's docstring", with_use("import functools\nclass C:\n    @functools.cached_property\n    def y(self):\n        'a'\n        return 1", "C().y"), "'a'", "'b'"),
    ("a caught exception's docstring", with_use("class E(Exception):\n    'a'\ndef helper(x):\n    try: return 1\n    except E: return 2"), "'a'", "'b'"),
    ("the order in a class", with_use("class C:\n    def a(self): return 1\n    def b(self): return 2", "C().a()"), "    def a(self): return 1\n    def b(self): return 2", "    def b(self): return 2\n    def a(self): return 1"),
    ("how a library is imported", with_use("import json as j", "j.dumps(x)"), "import json as j", "import sys\nimport json as j"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "old", "new"), [case[1:] for case in EDITED], ids=[case[0] for case in EDITED])
def test_an_edit_that_may_change_the_result_is_another_call(source: str, old: str, new: str) -> None:
    assert old in source
    assert identity(source) == identity(source)
    assert identity(source) != identity(source.replace(old, new))


@pytest.mark.parametrize(("source", "old", "new"), [case[1:] for case in SAME], ids=[case[0] for case in SAME])
def test_an_edit_that_can_not_change_the_result_is_the_same_call(source: str, old: str, new: str) -> None:
    assert old in source
    assert identity(source) == identity(source.replace(old, new))


# (what, source, a cell that is run after the first call)
CHANGED = [
    ("a global", with_use("STYLE = 'a'", "STYLE"), "STYLE = 'b'"),
    ("a list", with_use("ITEMS = [1]", "ITEMS"), "ITEMS.append(2)"),
    ("a nested list", with_use("ITEMS = [[1]]", "ITEMS"), "ITEMS[0].append(2)"),
    ("a helper", with_use("def helper(x): return 'a'"), "def helper(x): return 'b'"),
    ("a helper that becomes data", with_use("def helper(x): return 'a'", "helper"), "helper = 1"),
    ("data that becomes a helper", with_use("helper = 1", "helper"), "def helper(x): return 1"),
    ("a helper that is patched", with_use("def helper(x): return 'a'"), "helper.__code__ = (lambda x: 'b').__code__"),
    ("a helper's default", with_use("def helper(x, y=1): return y"), "helper.__defaults__ = (2,)"),
    ("a method that is patched", with_use("class C:\n    def y(self): return 1", "C().y()"), "C.y = lambda self: 2"),
    ("an attribute of a class", with_use("class C:\n    y = 1", "C.y"), "C.y = 2"),
    ("a list of a class", with_use("class C:\n    y = [1]", "C.y"), "C.y.append(2)"),
    ("an object's attribute", with_use("class C: pass\nc = C()\nc.y = 1", "c.y"), "c.y = 2"),
    ("a name that was missing", "def judge(x): return STYLE", "STYLE = 1"),
    ("a name of Python's", "def judge(x): return len(x)", "len = lambda x: 1"),
    ("its own code", "def judge(x): return 1", "judge.__code__ = (lambda x: 2).__code__"),
    ("a docstring that is read", with_use("def helper(x):\n    'a'", "helper.__doc__"), "helper.__doc__ = 'b'"),
    ("a closure", "def make():\n    y = 1\n    def judge(x): return y\n    def change():\n        nonlocal y\n        y = 2\n    return judge, change\njudge, change = make()", "change()"),
    ("a variable of the environment", with_use("import os", "os.environ.get('NBCACHE_TEST_STYLE')"), "os.environ['NBCACHE_TEST_STYLE'] = 'b'"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "change"), [case[1:] for case in CHANGED], ids=[case[0] for case in CHANGED])
def test_a_change_in_a_running_kernel_is_seen_at_the_next_call(
    source: str, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBCACHE_TEST_STYLE", "a")
    namespace = run(source)
    key = FunctionKey(namespace["judge"], rules())
    before = key.call((1,), {})
    assert key.call((1,), {}) == before
    exec(change, namespace)
    assert key.call((1,), {}).identity != before.identity


def test_a_class_of_attrs_counts_by_its_fields() -> None:
    source = with_use("import attrs\n@attrs.define\nclass C:\n    y: str = 'a'", "C().y")
    assert identity(source) == identity(source) != identity(source.replace("'a'", "'b'"))


METHOD = """
import threading
class Judge:
    lock = threading.Lock()
    def __init__(self, y): self.y = y
    def helper(self): return 'a'
    def judge(self, x): return self.helper(), self.y
    def other(self): return 1
"""


def key_of_method(source: str, *ignore: str) -> Any:
    judge = run(source)["Judge"]
    key = FunctionKey(judge.judge, rules(ignore=frozenset(ignore)))
    return [key.call((judge(y), 1), {}).identity for y in (1, 2)]


def test_self_counts_by_its_class_and_state() -> None:
    one, other = key_of_method(METHOD, "Judge.lock")
    assert one != other
    assert key_of_method(METHOD.replace("'a'", "'b'"), "Judge.lock")[0] != one
    assert key_of_method(METHOD, "Judge.lock")[0] == one


def test_of_a_self_that_is_ignored_the_code_counts_that_the_method_may_use() -> None:
    one, other = key_of_method(METHOD, "self")
    assert one == other
    assert key_of_method(METHOD.replace("'a'", "'b'"), "self")[0] != one


def test_the_error_names_what_in_a_class_can_not_be_told_apart() -> None:
    with pytest.raises(UnstableIdentityError, match=r"'self', by Judge.lock,.*ignore=\('Judge.lock',\)"):
        key_of_method(METHOD)


def test_a_name_that_can_not_be_told_apart_is_named_and_can_be_ignored() -> None:
    namespace = run(with_use("import threading\nlock = threading.Lock()\ndef helper(x): return lock", "helper(x)"))
    with pytest.raises(UnstableIdentityError, match=r"judge .*'lock'.*ignore=\('lock',\)"):
        call_of(namespace["judge"], 1)
    assert FunctionKey(namespace["judge"], rules(ignore=frozenset({"lock"}))).call((1,), {})


def test_a_version_replaces_the_code_and_its_data() -> None:
    def versioned(source: str, version: str) -> Any:
        return FunctionKey(run(source)["judge"], rules(version=version)).call((1,), {}).identity

    source = with_use("import threading\nlock = threading.Lock()\nSTYLE = 'a'", "(lock, STYLE)")
    assert versioned(source, "1") == versioned(source.replace("'a'", "'b'"), "1") != versioned(source, "2")


def test_a_function_that_reads_what_nobody_can_see_asks_for_a_version() -> None:
    with pytest.raises(UnstableIdentityError, match=r"eval.*version="):
        call_of(run("def judge(x): return eval(x)")["judge"], 1)


@pytest.fixture
def helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of the user's beside the notebook."""
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "nbcache_test_helpers.py"
    file.write_text("STYLE = 'a'\nITEMS = [1]\ndef f(x):\n    return STYLE\nclass C:\n    y = 1\n")
    yield file
    sys.modules.pop(file.stem, None)


@pytest.mark.parametrize(
    "source",
    [
        "import nbcache_test_helpers as h\ndef judge(x): return h.f(x), h.ITEMS, h.C.y",
        "from nbcache_test_helpers import f, ITEMS, C\ndef judge(x): return f(x), ITEMS, C.y",
        "import nbcache_test_helpers\ndef judge(x):\n    from nbcache_test_helpers import f, ITEMS, C\n    return f(x), ITEMS, C.y",
        "import nbcache_test_helpers\ndef judge(x): return getattr(nbcache_test_helpers, x)",
    ],
)
def test_a_module_of_the_users_counts_by_what_is_used_of_it(source: str, helpers: Path) -> None:
    namespace = run(source)
    module = sys.modules[helpers.stem]
    key = FunctionKey(namespace["judge"], rules())
    seen = [key.call((1,), {}).identity]
    module.ITEMS.append(2)
    seen.append(key.call((1,), {}).identity)
    module.f.__code__ = (lambda x: "c").__code__  # as `%autoreload` does
    seen.append(key.call((1,), {}).identity)
    module.C.y = 2
    seen.append(key.call((1,), {}).identity)
    assert all(one != other for one, other in itertools.pairwise(seen))
    assert key.call((1,), {}).identity == seen[-1]


def test_a_counter_that_the_function_raises_counts_by_its_value_at_the_call() -> None:
    namespace = run("COUNT = 0\ndef judge(x):\n    global COUNT\n    COUNT += 1\n    return COUNT")
    key = FunctionKey(namespace["judge"], rules())
    before = key.call((1,), {}).identity
    namespace["judge"](1)
    assert key.call((1,), {}).identity != before


def test_the_memory_and_counts_of_a_librarys_decorator_do_not_count() -> None:
    source = "import tenacity, functools\n@tenacity.retry(stop=tenacity.stop_after_attempt(2))\ndef one(x): return 1\n@functools.cache\ndef two(x): return 2"
    namespace = run(with_use(source, "one(x) + two(x)"))
    key = FunctionKey(namespace["judge"], rules())
    before = key.call((1,), {}).identity
    assert namespace["judge"](1) == 3
    assert key.call((1,), {}).identity == before


def test_the_release_of_a_library_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    source = with_use("import tenacity", "tenacity.retry(x)")
    before = identity(source)
    assert b'"libraries":{"tenacity":' in before.document
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1000.0")
    libraries._releases.cache_clear()
    assert identity(source) != before
    libraries._releases.cache_clear()
