"""What a piece of the user's own code is: what its answers may depend on counts, as it is now, and nothing else does.

Each case is a notebook in small: a cell that defines a model, and an edit of it. `EDITED` must be another call in a kernel that
is started anew, `CHANGED` in the one that runs; `SAME` must be the same call.
"""

import json
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import LLM
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.tools import tool
from pydantic import BaseModel, SecretStr
from typing_extensions import TypedDict

import nbcache
from nbcache.errors import NbcacheWarning
from nbcache.keys.canonical import NotCanonicalError, canonical
from nbcache.keys.usercode import digest_of, piece_of, refusal_cache
from nbcache.keys.usercode.change_detection import Watch
from nbcache.keys.usercode.walk import Walk
from tests.keys.test_key import key
from tests.support.paths import ROOT

CELL = """
from typing import Any, ClassVar
from langchain_core.language_models import LLM
{before}
class Mine(LLM):
    model: str = "m"
{members}
    @property
    def _llm_type(self): return "mine"
    @property
    def _identifying_params(self): return {{"model": self.model}}
    def _call(self, prompt, stop=None, run_manager=None, **kwargs):
        return str({answer})
model = Mine()
"""


def cell(answer: str, before: str = "", members: str = "") -> str:
    before, members = textwrap.dedent(before), textwrap.indent(textwrap.dedent(members), "    ")
    return CELL.format(before=before, members=members, answer=answer)


def run(source: str) -> dict[str, Any]:
    """A kernel that has run a cell: its namespace."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, "<cell>", "exec"), namespace)
    return namespace


def asked(namespace: dict[str, Any]) -> str:
    """The key of a call of the namespace's model, which answers when it is asked."""
    namespace["model"]._call("hi")
    return key(namespace["model"])


# (what, source, what is replaced in it, by what)
EDITED = [
    ("a constant", cell("STYLE", "STYLE = 'a'"), "'a'", "'b'"),
    ("the sign of zero", cell("ZERO", "ZERO = 0.0"), "0.0", "-0.0"),
    ("a whole number and a float", cell("ONE", "ONE = 1"), "= 1", "= 1.0"),
    ("a truth and a number", cell("ITEMS", "ITEMS = [1]"), "[1]", "[True]"),
    ("a tuple and a list", cell("ITEMS", "ITEMS = (1, 2)"), "(1, 2)", "[1, 2]"),
    ("the order of a dict", cell("list(ITEMS)", "ITEMS = {'a': 1, 'b': 2}"), "{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}"),
    ("the order of fields", cell("list(Mine.model_fields)", "", "x: int = 1\ny: int = 1"), "x: int = 1\n    y", "y: int = 1\n    x"),
    ("a helper", cell("helper()", "def helper(): return 'a'"), "'a'", "'b'"),
    ("a helper's helper", cell("one()", "def two(): return 'a'\ndef one(): return two()"), "'a'", "'b'"),
    ("a lambda", cell("helper()", "helper = lambda: 'a'"), "'a'", "'b'"),
    ("a default argument", cell("helper()", "def helper(x='a'): return x"), "'a'", "'b'"),
    ("a default of a keyword", cell("helper()", "def helper(*, x='a'): return x"), "'a'", "'b'"),
    ("an attribute of a helper's class", cell("Helper.x", "class Helper:\n    x = 'a'"), "'a'", "'b'"),
    ("a property", cell("Helper().x", "class Helper:\n    @property\n    def x(self): return 'a'"), "'a'", "'b'"),
    ("a cached property", cell("self.x", "import functools", "@functools.cached_property\ndef x(self): return 'a'"), "'a'", "'b'"),
    ("a static method", cell("Helper.x()", "class Helper:\n    @staticmethod\n    def x(): return 'a'"), "'a'", "'b'"),
    ("a class method", cell("Helper.x()", "class Helper:\n    @classmethod\n    def x(cls): return 'a'"), "'a'", "'b'"),
    ("a base", cell("Helper().x()", "class Base:\n    def x(self): return 'a'\nclass Helper(Base): pass"), "'a'", "'b'"),
    ("which base", cell("Helper().x()", "class A:\n    def x(self): return 1\nclass B:\n    def x(self): return 2\nclass Helper(A): pass"), "Helper(A)", "Helper(B)"),
    ("a metaclass", cell("Helper.x", "class Meta(type):\n    @property\n    def x(cls): return 'a'\nclass Helper(metaclass=Meta): pass"), "'a'", "'b'"),
    ("an enum", cell("Style.A.value", "import enum\nclass Style(enum.Enum):\n    A = 'a'"), "'a'", "'b'"),
    ("a member of an enum", cell("CHOSEN", "import enum\nclass Style(enum.Enum):\n    A = 1\n    B = 2\nCHOSEN = Style.A"), "Style.A", "Style.B"),
    ("a function that is cached", cell("helper()", "import functools\n@functools.cache\ndef helper(): return 'a'"), "'a'", "'b'"),
    ("a function that is wrapped", cell("helper()", "import functools\ndef deco(f):\n    @functools.wraps(f)\n    def inner(): return f()\n    return inner\n@deco\ndef helper(): return 'a'"), "'a'", "'b'"),
    ("the argument of a decorator", cell("helper()", "def deco(x):\n    def with_x(f):\n        def inner(): return x + f()\n        return inner\n    return with_x\n@deco('a')\ndef helper(): return 'h'"), "'a'", "'b'"),
    ("what a partial holds", cell("helper()", "import functools\nhelper = functools.partial(str, 'a')"), "'a'", "'b'"),
    ("a variant of a generic function", cell("helper(1)", "import functools\n@functools.singledispatch\ndef helper(x): return 0\n@helper.register\ndef _(x: int): return 'a'"), "'a'", "'b'"),
    ("which closure of a factory", cell("helper()", "def make(x):\n    def inner(): return x\n    return inner\nhelper = make('a')"), "make('a')", "make('b')"),
    ("a variable of a closure", cell("helper()", "def make():\n    x = ['a']\n    def inner(): return x\n    return inner\nhelper = make()"), "'a'", "'b'"),
    ("an array", cell("A.sum()", "import numpy\nA = numpy.arange(3)"), "arange(3)", "arange(4)"),
    ("an array's type", cell("A.dtype", "import numpy\nA = numpy.zeros(3, 'int32')"), "'int32'", "'int64'"),
    ("a frame", cell("F.x.sum()", "import pandas\nF = pandas.DataFrame({'x': [1, 2]})"), "[1, 2]", "[1, 3]"),
    ("a frame's names", cell("list(F)", "import pandas\nF = pandas.DataFrame({'x': [1]})"), "'x'", "'y'"),
    ("texts in a frame", cell("F.x[0]", "import pandas\nF = pandas.DataFrame({'x': ['a']})"), "['a']", "['b']"),
    ("an object's attribute", cell("H.x", "class Helper:\n    def __init__(self, x): self.x = x\nH = Helper('a')"), "Helper('a')", "Helper('b')"),
    ("an object's slot", cell("H.x", "class Helper:\n    __slots__ = ('x',)\n    def __init__(self, x): self.x = x\nH = Helper('a')"), "Helper('a')", "Helper('b')"),
    ("an object's class", cell("H.x()", "class A:\n    def x(self): return 1\nclass B:\n    def x(self): return 2\nH = A()"), "H = A()", "H = B()"),
    ("a dataclass", cell("H.x", "import dataclasses\n@dataclasses.dataclass\nclass Helper:\n    x: str = 'a'\nH = Helper()"), "'a'", "'b'"),
    ("a named tuple", cell("H.x", "import collections\nHelper = collections.namedtuple('Helper', 'x')\nH = Helper('a')"), "Helper('a')", "Helper('b')"),
    ("a list of a class of one's own", cell("H[0]", "class Items(list): pass\nH = Items(['a'])"), "['a']", "['b']"),
    ("a pydantic object", cell("H.x", "from pydantic import BaseModel\nclass Helper(BaseModel):\n    x: str\nH = Helper(x='a')"), "x='a'", "x='b'"),
    ("a secret", cell("H.get_secret_value()", "from pydantic import SecretStr\nH = SecretStr('a')"), "'a'", "'b'"),
    ("a pattern", cell("P.sub('', prompt)", "import re\nP = re.compile('a')"), "'a'", "'b'"),
    ("a date", cell("D", "import datetime\nD = datetime.date(2026, 1, 1)"), "1, 1)", "1, 2)"),
    ("a decimal", cell("D", "import decimal\nD = decimal.Decimal('1.0')"), "'1.0'", "'1.00'"),
    ("a default dict", cell("D['x']", "import collections\nD = collections.defaultdict(int)"), "(int)", "(float)"),
    ("a frozen set", cell("'a' in S", "S = frozenset({'a', 'c'})"), "'a', 'c'", "'b', 'c'"),
    ("a set", cell("'a' in S", "S = {'a', 'c'}"), "'a', 'c'", "'b', 'c'"),
    ("bytes that change", cell("bytes(B)", "B = bytearray(b'a')"), "b'a'", "b'b'"),
    ("an endpoint of a client", cell("C.base_url", "import openai\nC = openai.OpenAI(api_key='k', base_url='http://a')"), "http://a", "http://b"),
    ("a header of a client", cell("C.headers", "import httpx\nC = httpx.Client(headers={'x-route': 'a'})"), "'a'", "'b'"),
    ("a function given as a field", cell("self.act()", "", "act: Any = None") + "\nmodel = Mine(act=lambda: 'a')", "'a'", "'b'"),
    ("an object given as a field", cell("self.api.x", "class Api:\n    def __init__(self, x): self.x = x", "api: Any = None") + "\nmodel = Mine(api=Api('a'))", "Api('a')", "Api('b')"),
    ("a model of LangChain's", cell("LLM_.temperature", "from langchain_openai import ChatOpenAI\nLLM_ = ChatOpenAI(api_key='k', temperature=0.1)"), "=0.1", "=0.2"),
    ("where a model of LangChain's leads", cell("LLM_.temperature", "from langchain_openai import ChatOpenAI\nLLM_ = ChatOpenAI(api_key='k', base_url='http://a')"), "http://a", "http://b"),
    ("a chain of LangChain's", cell("CHAIN and 1", "from langchain_core.prompts import PromptTemplate\nCHAIN = PromptTemplate.from_template('a {x}') | str"), "'a {x}'", "'b {x}'"),
    ("a model of LangChain's as a field", cell("self.llm.temperature", "from langchain_openai import ChatOpenAI", "llm: Any = None") + "\nmodel = Mine(llm=ChatOpenAI(api_key='k', temperature=0.1))", "=0.1", "=0.2"),
    ("a private attribute", cell("self._x", "from pydantic import PrivateAttr", "_x: str = PrivateAttr('a')"), "'a'", "'b'"),
    ("a private attribute that is set", cell("self._x", "from pydantic import PrivateAttr", "_x: Any = PrivateAttr(None)") + "\nmodel._x = 'a'", "'a'", "'b'"),
    ("None over a default", cell("self.level", "", "level: Any = 3") + "\nmodel = Mine(level=3)", "Mine(level=3)", "Mine(level=None)"),
    ("a truth over a number", cell("self.level", "", "level: Any = [1]") + "\nmodel = Mine(level=[1])", "Mine(level=[1])", "Mine(level=[True])"),
    ("minus zero over zero", cell("self.level", "", "level: float = 0.0") + "\nmodel = Mine(level=0.0)", "level=0.0)", "level=-0.0)"),
    ("a tuple over a list", cell("self.level", "", "level: Any = None") + "\nmodel = Mine(level=(1,))", "level=(1,)", "level=[1]"),
    ("a setting of the class", cell("self.words", "", "words: ClassVar[list[str]] = ['a']"), "['a']", "['b']"),
    ("a default of the class's own field", cell("type(self).model_fields['level'].default", "", "level: int = 1") + "\nmodel = Mine(level=3)", "int = 1", "int = 2"),
    ("a docstring that is used", cell("self.__doc__", "", "__doc__ = 'a'"), "'a'", "'b'"),
    ("what is caught", cell("helper()", "def helper():\n    try: return {}['x']\n    except KeyError: return 1"), "KeyError", "LookupError"),
    ("the argument's name", cell("helper(x=1)", "def helper(x=0, y=0): return x"), "(x=0, y=0)", "(y=0, x=0)"),
    ("a generator's code", cell("list(helper())", "def helper():\n    yield 'a'"), "'a'", "'b'"),
    ("a comprehension", cell("[x + 1 for x in range(3)]"), "x + 1", "x + 2"),
    ("messages that a model began with", cell("self.seen.append(prompt) or str(self.seen)", "", "seen: list = []") + "\nmodel = Mine(seen=['a'])", "'a'", "'b'"),
    ("messages that a variable began with", cell("SEEN.append(prompt) or str(SEEN)", "SEEN = ['a']"), "'a'", "'b'"),
    ("what an iterator gives", cell("next(A)", "A = iter(['a', 'b', 'c', 'd', 'e', 'f', 'g'])"), "'a'", "'z'"),
    ("what a generator gives", cell("next(A)", "def give():\n    while True: yield 'a'\nA = give()"), "'a'", "'z'"),
    ("the seed of a random generator", cell("R.random()", "import random\nR = random.Random(3)"), "(3)", "(4)"),
    ("the seed of numpy's", cell("R.random()", "import numpy\nR = numpy.random.default_rng(3)"), "(3)", "(4)"),
    ("a template's text", cell("T.render()", "import jinja2\nT = jinja2.Template('a')"), "'a'", "'b'"),
    ("a name among Python's", cell("STYLE_", "import builtins\nbuiltins.STYLE_ = 'a'"), "'a'", "'b'"),
    ("a function's name", cell("helper.__name__", "def a(): pass\nhelper = a"), "def a(): pass\nhelper = a", "def b(): pass\nhelper = b"),
    ("a field's alias", cell("Helper.model_json_schema()", "from pydantic import BaseModel, Field\nclass Helper(BaseModel):\n    x: str = Field('q', alias='a')"), "'a'", "'b'"),
    ("a field's bound", cell("Helper.model_json_schema()", "from pydantic import BaseModel, Field\nclass Helper(BaseModel):\n    x: int = Field(1, ge=0)"), "ge=0", "ge=1"),
    ("a field's examples", cell("Helper.model_json_schema()", "from pydantic import BaseModel, Field\nclass Helper(BaseModel):\n    x: int = Field(1, examples=[1])"), "[1]", "[2]"),
    ("what a weak reference leads to", cell("W().x", "import weakref\nclass Helper: pass\nH = Helper()\nH.x = 'a'\nW = weakref.ref(H)"), "'a'", "'b'"),
    ("a field that is printed", cell("repr(self)") + "\nmodel = Mine(verbose=True)", "True", "False"),
    ("a field that is found by its name", cell("operator.attrgetter('verbose')(self)", "import operator") + "\nmodel = Mine(verbose=True)", "True", "False"),
    ("a variable of the environment", cell("os.environ['NBCACHE_STYLE']", "import os\nos.environ['NBCACHE_STYLE'] = 'a'"), "'a'", "'b'"),
    ("a variable that is asked for", cell("getenv(NAME)", "import os\nfrom os import getenv\nNAME = 'NBCACHE_STYLE'\nos.environ['NBCACHE_STYLE'] = 'a'"), "'a'", "'b'"),
    ("a variable that a helper reads", cell("read('NBCACHE_STYLE')", "import os\nos.environ['NBCACHE_STYLE'] = 'a'\ndef read(name):\n    import os\n    return os.environ[name]"), "= 'a'", "= 'b'"),
    ("what it logs and returns", cell("LOG.append(1) or STYLE", "LOG = []\nSTYLE = 'a'"), "'a'", "'b'"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "source", "old", "new"), EDITED, ids=[case[0] for case in EDITED])
def test_an_edit_that_may_change_the_answer_is_another_call(what: str, source: str, old: str, new: str) -> None:
    assert source.count(old) >= 1
    edited = new.join(source.rsplit(old, 1))
    assert asked(run(source)) == asked(run(source)), "the same cell, run again"
    assert asked(run(source)) != asked(run(edited))


# (what, source, what is run in the kernel afterwards)
CHANGED = [
    ("a constant", cell("STYLE", "STYLE = 'a'"), "STYLE = 'b'"),
    ("a truth for a number", cell("ONE", "ONE = 1"), "ONE = True"),
    ("a function defined anew", cell("helper()", "def helper(): return 'a'"), "def helper(): return 'b'"),
    ("code put into a function", cell("helper()", "def helper(): return 'a'"), "helper.__code__ = (lambda: 'b').__code__"),
    ("defaults put into a function", cell("helper()", "def helper(x='a'): return x"), "helper.__defaults__ = ('b',)"),
    ("keyword defaults edited", cell("helper()", "def helper(*, x='a'): return x"), "helper.__kwdefaults__['x'] = 'b'"),
    ("a method replaced", cell("1"), "Mine._call = lambda self, prompt, **k: 'b'"),
    ("code put into a method", cell("1"), "Mine._call.__code__ = (lambda self, prompt, stop=None, run_manager=None, **k: 'b').__code__"),
    ("a class attribute set after use", cell("self.x", "", "x: ClassVar[str] = 'a'"), "Mine.x = 'b'"),
    ("a class attribute that is new", cell("getattr(self, 'x', 1)"), "Mine.x = 'b'"),
    ("an attribute of a helper's class", cell("Helper.x", "class Helper:\n    x = 'a'"), "Helper.x = 'b'"),
    ("an attribute of its base", cell("Helper.x", "class Base:\n    x = 'a'\nclass Helper(Base): pass"), "Base.x = 'b'"),
    ("a list edited", cell("ITEMS", "ITEMS = ['a']"), "ITEMS[0] = 'b'"),
    ("a list in a list", cell("ITEMS", "ITEMS = [['a']]"), "ITEMS[0].append('b')"),
    ("a dict edited", cell("D", "D = {'a': 1}"), "D['a'] = 2"),
    ("a dict's key", cell("D", "D = {'a': 1}"), "D['b'] = D.pop('a')"),
    ("a dict's order", cell("D", "D = {'a': 1, 'b': 1}"), "D['a'] = D.pop('a')"),
    ("a set edited", cell("'b' in S", "S = {'a'}"), "S.add('b')"),
    ("an array edited", cell("A.sum()", "import numpy\nA = numpy.arange(3)"), "A[0] = 9"),
    ("an array in a dict", cell("D['a'].sum()", "import numpy\nD = {'a': numpy.arange(3)}"), "D['a'][0] = 9"),
    ("a frame edited", cell("F.x.sum()", "import pandas\nF = pandas.DataFrame({'x': [1, 2]})"), "F.loc[0, 'x'] = 9"),
    ("bytes edited", cell("bytes(B)", "B = bytearray(b'a')"), "B[0] = 98"),
    ("an object's attribute", cell("H.x", "class Helper:\n    x = 0\nH = Helper()\nH.x = 'a'"), "H.x = 'b'"),
    ("an object's slot", cell("H.x", "class Helper:\n    __slots__ = ('x',)\nH = Helper()\nH.x = 'a'"), "H.x = 'b'"),
    ("an object's class", cell("H.x()", "class A:\n    def x(self): return 1\nclass B:\n    def x(self): return 2\nH = A()\nH.y = 1"), "H.__class__ = B"),
    ("a list of a class of one's own", cell("H[0]", "class Items(list): pass\nH = Items(['a'])"), "H[0] = 'b'"),
    ("a variable of a closure", cell("helper()", "def make():\n    x = 'a'\n    def inner(): return x\n    def put(y):\n        nonlocal x\n        x = y\n    return inner, put\nhelper, put = make()"), "put('b')"),
    ("a default dict filled", cell("D.get('x')", "import collections\nD = collections.defaultdict(int)"), "D['x'] = 5"),
    ("a default dict's factory", cell("D['x']", "import collections\nD = collections.defaultdict(int)"), "D.default_factory = float"),
    ("a client's endpoint", cell("C.base_url", "import openai\nC = openai.OpenAI(api_key='k', base_url='http://a')"), "C.base_url = 'http://b'"),
    ("a context variable", cell("V.get()", "import contextvars\nV = contextvars.ContextVar('V', default='a')"), "V.set('b')"),
    ("a name that hides a builtin", cell("len('x')"), "len = lambda x: 'b'"),
    ("a field", cell("self.level", "", "level: int = 1"), "model.level = 2"),
    ("an object in a field", cell("self.api.x", "class Api: pass", "api: Any = None") + "\nmodel = Mine(api=Api())\nmodel.api.x = 'a'", "model.api.x = 'b'"),
    ("a private attribute", cell("self._x", "from pydantic import PrivateAttr", "_x: Any = PrivateAttr(None)"), "model._x = 'b'"),
    ("what a private attribute holds", cell("self._x", "from pydantic import PrivateAttr", "_x: Any = PrivateAttr(None)") + "\nmodel._x = ['a']", "model._x.append('b')"),
    ("a model of LangChain's", cell("LLM_.temperature", "from langchain_openai import ChatOpenAI\nLLM_ = ChatOpenAI(api_key='k', temperature=0.1)"), "LLM_.temperature = 0.2"),
    ("a list in a field", cell("self.words", "", "words: list = []") + "\nmodel = Mine(words=['a'])", "model.words[0] = 'b'"),
    ("a field of the class, rebuilt", cell("type(self).model_fields['level'].default", "", "level: int = 1"), "Mine.model_fields['level'].default = 2; Mine.model_rebuild(force=True)"),
    ("a base changed", cell("Helper().x()", "class A:\n    def x(self): return 1\nclass B:\n    def x(self): return 2\nclass Helper(A): pass"), "Helper.__bases__ = (B,)"),
    ("a function's attribute", cell("helper.x", "def helper(): pass\nhelper.x = 'a'"), "helper.x = 'b'"),
    ("an array in a field", cell("self.a.sum()", "import numpy", "a: Any = None") + "\nmodel = Mine(a=numpy.arange(3))", "model.a[0] = 9"),
    ("a variable of the environment", cell("os.environ['NBCACHE_STYLE']", "import os\nos.environ['NBCACHE_STYLE'] = 'a'"), "os.environ['NBCACHE_STYLE'] = 'b'"),
    ("what hides a name of Python's for all", cell("NEW_", "import builtins\nbuiltins.NEW_ = 'a'"), "builtins.NEW_ = 'b'"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "source", "edit"), CHANGED, ids=[case[0] for case in CHANGED])
def test_a_change_in_the_running_kernel_is_another_call(what: str, source: str, edit: str) -> None:
    namespace = run(source)
    before = asked(namespace)
    assert asked(namespace) == before, "a second call"
    exec(edit, namespace)
    assert asked(namespace) != before


SAME = [
    ("a comment", cell("1"), "\n# a comment\n" + cell("1")),
    ("a move", cell("STYLE", "STYLE = 'a'"), cell("STYLE", "\n\n\nSTYLE = 'a'")),
    ("another variable", cell("1", "other = 1"), cell("1", "other = 2")),
    ("a variable named as an attribute", cell("self.model"), cell("self.model", "model_name = 1; llm = 'x'; prompt = 3")),
    ("another function", cell("1", "def other(): return 1"), cell("1", "def other(): return 2")),
    ("an annotation's spelling", cell("1", "def other(x: int): return 1"), cell("1", "def other(x: str): return 1")),
    ("a lock and a logger", cell("LOCK and 1", "import threading\nLOCK = threading.Lock()"), cell("LOCK and 1", "import threading\nLOCK = threading.Lock()")),
    ("an object to compare with", cell("M is None", "M = object()"), cell("M is None", "M = object()")),
]  # fmt: skip


@pytest.mark.parametrize(("what", "source", "other"), SAME, ids=[case[0] for case in SAME])
def test_what_cannot_change_the_answer_is_the_same_call(what: str, source: str, other: str) -> None:
    assert asked(run(source)) == asked(run(other))


STATE = [
    ("a list of calls", cell("LOG.append(prompt)", "LOG = []")),
    ("a list of a closure", cell("helper()", "def make():\n    calls = []\n    def inner(): calls.append(1)\n    return inner\nhelper = make()")),
    ("a counter", cell("count()", "N = 0\ndef count():\n    global N\n    N += 1")),
    ("a counter of a closure", cell("count()", "def make():\n    n = 0\n    def inner():\n        nonlocal n\n        n += 1\n    return inner\ncount = make()")),
    ("a memory", cell("helper(prompt)", "D = {}\ndef helper(x):\n    if x not in D: D[x] = len(D)\n    return 1")),
    ("a tally", cell("helper()", "D = {'n': 0}\ndef helper(): D['n'] += 1")),
    ("a list of the class", cell("self.calls.append(prompt)", "", "calls: ClassVar[list[str]] = []")),
    ("a counter of the class", cell("helper(type(self))", "def helper(cls): cls.n += 1", "n: ClassVar[int] = 0")),
    ("a list in a field", cell("self.calls.append(prompt)", "", "calls: list = []")),
    ("a counter of an object", cell("H.go()", "class Helper:\n    n = 0\n    def go(self): self.n += 1\nH = Helper()")),
    ("a client that is made when it is used", cell("H.go()", "class Helper:\n    _c = None\n    def go(self): self._c = self._c or [1]\nH = Helper()")),
    ("a private memory", cell("self._seen.append(prompt)", "from pydantic import PrivateAttr", "_seen: list = PrivateAttr(default_factory=list)")),
    ("a private client", cell("self.get()", "from pydantic import PrivateAttr", "_c: Any = PrivateAttr(None)\ndef get(self):\n    if self._c is None: self._c = {'made': 1}\n    return 1")),
    ("what a cached function remembers", cell("helper(1)", "import functools\n@functools.cache\ndef helper(x): return x")),
    ("what a generic function remembers", cell("helper(1)", "import functools\n@functools.singledispatch\ndef helper(x): return 0")),
    ("answers given one by one", cell("next(A)", "A = iter('abcdef')")),
    ("a random number", cell("R.random()", "import random\nR = random.Random(3)")),
]  # fmt: skip


@pytest.mark.parametrize(("what", "source"), STATE, ids=[case[0] for case in STATE])
def test_what_a_call_writes_itself_is_no_setting(what: str, source: str) -> None:
    namespace = run(source)
    before = key(namespace["model"])
    namespace["model"]._call("hi")
    assert key(namespace["model"]) == before == key(run(source)["model"])


def test_what_nbcache_wraps_is_as_it_was() -> None:
    nbcache.install("memory://")
    source = cell("1", "", "def _stream(self, prompt, *args, **kwargs): yield 1")
    used, unused = run(source)["model"], run(source)["Mine"]
    before = piece_of(type(used)).digest
    for _ in range(2):
        used.invoke("hi")
    assert nbcache.stats().hits == 1
    nbcache.uninstall()
    assert piece_of(type(used)).digest == piece_of(unused).digest == before


def test_a_method_that_only_the_user_calls_writes_settings() -> None:
    namespace = run(cell("STYLE['x']", "STYLE = {'x': 'a'}", "def set(self, style): STYLE['x'] = style"))
    before = asked(namespace)
    namespace["model"].set("b")
    assert asked(namespace) != before


# What can't be told


REFUSED = [
    ("an open file", cell("F", "import os\nF = open(os.devnull)"), "F"),
    ("a name that is worked out", cell("globals()['STYLE']", "STYLE = 'a'"), r"globals\(\)"),
    ("code in a text", cell("eval('STYLE')", "STYLE = 'a'"), r"eval\(\)"),
    ("too large an array", cell("A.sum()", "import numpy\nA = numpy.zeros(10_000_000)"), "more than"),
    ("too many values", cell("len(D)", "D = {n: str(n) for n in range(200_000)}"), "more than"),
    ("tuples without end", cell("T", "T = ()\nfor _ in range(200): T = (T,)"), "too deeply"),
    ("tuples that double", cell("len(T)", "T = ()\nfor _ in range(35): T = (T, T)"), "more than"),
    ("sets that double", cell("len(T)", "T = frozenset()\nfor n in range(35): T = frozenset({(0, T), (1, T)})"), "more than"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "source", "says"), REFUSED, ids=[case[0] for case in REFUSED])
@pytest.mark.timeout(60)
def test_what_cannot_be_told_is_not_cached_and_said_once(what: str, source: str, says: str) -> None:
    namespace = run(source)
    nbcache.install("memory://")
    try:
        with pytest.warns(NbcacheWarning, match=says) as caught:
            [namespace["model"].invoke("hi") for _ in range(2)]
        assert len(caught) == 1
        assert (nbcache.stats().misses, nbcache.stats().entries) == (2, 0)
    finally:
        if hasattr(namespace.get("F"), "close"):
            namespace["F"].close()


CYCLES = [
    ("a variable that holds the model, named as a field", cell("self.llm + self.other()", "", "llm: str = 'm'\ndef other(self): return self.llm") + "\nllm = model"),
    ("a list in itself", cell("len(LOOP)", "LOOP = []\nLOOP.append(LOOP)")),
    ("functions that call each other", cell("one(0)", "def one(n): return n and two(n)\ndef two(n): return one(n - 1)")),
    ("objects that know each other", cell("A.x.x is A", "class Helper: pass\nA, B = Helper(), Helper()\nA.x, B.x = B, A")),
    ("a class that knows its objects", cell("Helper.all", "class Helper:\n    all = []\n    def __init__(self): type(self).all.append(self)\nHelper(); Helper()")),
    ("a chain of a thousand", cell("bool(A)", "class Helper:\n    def __init__(self, x): self.x = x\nA = None\nfor _ in range(1000): A = Helper(A)")),
    ("the model in its own global", cell("MODELS and 1", "MODELS = []") + "\nMODELS.append(model)"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "source"), CYCLES, ids=[case[0] for case in CYCLES])
@pytest.mark.timeout(30)
def test_what_leads_back_to_itself_is_followed_once(what: str, source: str) -> None:
    assert key(run(source)["model"]) == key(run(source)["model"])


def test_a_cycle_made_another_way_is_another_call() -> None:
    source = cell("A.x.x is A", "class Helper: pass\nA, B = Helper(), Helper()\nA.x, B.x = B, A")
    assert key(run(source)["model"]) != key(run(source.replace("A.x, B.x = B, A", "A.x, B.x = B, B"))["model"])


# Modules


SCHEMA = """
from pydantic import BaseModel, Field
class City(BaseModel):
    name: str = Field(description="its name")
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a module of the user's and imports it, again each time."""
    monkeypatch.syspath_prepend(tmp_path)
    names: set[str] = set()

    def write(name: str, source: str, *, imports: bool = True) -> Any:
        names.add(name)
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        sys.modules.pop(name, None)
        import importlib

        importlib.invalidate_caches()
        sys.dont_write_bytecode = True
        return importlib.import_module(name) if imports else None

    yield write
    for name in names:
        sys.modules.pop(name, None)


def test_an_attribute_of_a_module_of_the_users_counts_as_it_is_now(module: Any) -> None:
    mine = module("settings_of_mine", "STYLE = 'a'\nOTHER = 1")
    namespace = run(cell("settings_of_mine.STYLE", "import settings_of_mine"))
    before = asked(namespace)
    mine.OTHER = 2
    assert asked(namespace) == before
    mine.STYLE = "b"
    assert asked(namespace) != before


def test_a_module_that_is_passed_on_counts_whole(module: Any) -> None:
    mine = module("settings_of_mine", "STYLE = 'a'")
    namespace = run(cell("getattr(settings_of_mine, 'STYLE')", "import settings_of_mine"))
    before = asked(namespace)
    mine.STYLE = "b"
    assert asked(namespace) != before


@pytest.mark.parametrize("statement", ["from late import STYLE", "import late; STYLE = late.STYLE"])
def test_what_a_method_imports_counts_by_its_source_or_what_it_is(module: Any, statement: str) -> None:
    source = cell("self.style()", "", f"def style(self):\n    {statement}\n    return STYLE")
    module("late", "STYLE = 'a'", imports=False)
    first = key(run(source)["model"])
    module("late", "STYLE = 'b'", imports=False)
    assert key(run(source)["model"]) != first
    loaded = module("late", "STYLE = 'a'")
    namespace = run(source)
    before = key(namespace["model"])
    loaded.STYLE = "b"
    assert key(namespace["model"]) != before


def test_a_schema_edited_in_its_module_and_reloaded_is_another_call(module: Any) -> None:
    keys = set()
    for words in ("its name", "its name in Japanese"):
        city = module("schemas_of_mine", SCHEMA.replace("its name", words)).City
        keys.add(key(run(cell("kwargs"))["model"], response_format=city))
    assert len(keys) == 2


# Classes and functions as options


def test_a_pydantic_class_changed_in_place_is_another_schema() -> None:
    class Place(BaseModel):
        name: str

    class City(BaseModel):
        place: Place

    before = canonical(City)
    Place.model_fields["name"].description = "in Japanese"
    Place.model_rebuild(force=True)
    City.model_rebuild(force=True)
    changed = canonical(City)
    assert changed != before
    City.__doc__ = "Another."
    assert canonical(City) != changed


def test_the_words_of_a_typed_dict_and_of_a_function_count() -> None:
    from typing import Annotated

    def typed(doc: str, words: str) -> Any:
        class City(TypedDict):
            name: Annotated[str, ..., words]

        City.__doc__ = doc
        return City

    def function(doc: str, words: str) -> Any:
        def find(name: Annotated[str, words]) -> str:
            return name

        find.__doc__ = doc
        return find

    for make in (typed, function):
        assert len({canonical(make(*words)) for words in (("a", "b"), ("a", "c"), ("b", "b"))}) == 3
        assert canonical(make("a", "b")) == canonical(make("a", "b"))
    again = function("a", "b")
    before = canonical(again)
    again.__doc__ = "b"
    assert canonical(again) != before


def test_a_tool_of_langchains_counts_by_its_function() -> None:
    def made(answer: str) -> Any:
        namespace = {"tool": tool, "__name__": "__main__"}
        exec(f'@tool\ndef find(x: int) -> str:\n    """Find."""\n    return {answer!r}', namespace)
        return namespace["find"]

    assert digest_of(made("a")) == digest_of(made("a")) != digest_of(made("b"))


# Interrupts


def test_an_interrupt_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    from nbcache.keys.usercode import wrappers_and_containers

    def stopped(*_: Any) -> Any:
        raise KeyboardInterrupt

    namespace = run(cell("STYLE", "STYLE = ['a']"))
    monkeypatch.setattr(wrappers_and_containers, "_dict", stopped)
    monkeypatch.setitem(wrappers_and_containers._CONTAINERS, list, stopped)
    with pytest.raises(KeyboardInterrupt):
        piece_of(namespace["Mine"])
    with pytest.raises(KeyboardInterrupt):
        canonical({"deep": [namespace["Mine"]._call]})
    nbcache.install("memory://")
    with pytest.raises(KeyboardInterrupt):
        namespace["model"].invoke("hi")


def test_a_value_that_fails_as_it_is_written_is_tried_no_more_than_twice() -> None:
    tries = 0

    class Odd:
        def __reduce_ex__(self, protocol: Any) -> Any:
            raise AssertionError("no code of the user's is run")

    value: Any = frozenset({2**70})
    for _ in range(18):
        value = frozenset({value, tries})
    assert json.loads(canonical(value))
    with pytest.raises(NotCanonicalError):
        canonical(frozenset({threading.Lock(), value}))
    assert canonical(Odd()) == canonical(Odd())


# Own fields


NAMES = [
    *("client", "http_client", "async_client", "verbose", "streaming", "timeout", "max_retries", "keep_alive"),
    *("openai_api_key", "api_key", "credentials", "auth", "name", "cache_key", "profile", "headers"),
]


@pytest.mark.parametrize("name", NAMES)
def test_each_field_that_a_class_declares_counts_whatever_it_is_called(name: str) -> None:
    namespace = run(cell(f"self.{name}", "", f"{name}: Any = None"))
    values: list[Any] = ["a", "b", 1, True, 1.0, ["a"], {"Authorization": "x"}, {"Authorization": "y"}, None]
    models = [namespace["Mine"](**{name: value}) for value in values]
    assert len({key(model) for model in models}) == len(values)


@pytest.mark.parametrize("name", ["client", "verbose", "timeout", "openai_api_key", "headers", "stream_usage"])
def test_each_option_that_a_class_is_given_counts(name: str) -> None:
    model = run(cell("kwargs"))["model"]
    values: list[Any] = ["a", "b", 1, True, ["a"], {"Authorization": "x"}, {"Authorization": "y"}, None]
    assert len({key(model), *(key(model, **{name: value}) for value in values)}) == len(values) + 1


@pytest.mark.parametrize("name", ["client", "verbose", "timeout", "openai_api_key", "api_key"])
def test_each_value_that_a_class_says_identifies_it_counts(name: str) -> None:
    source = cell("1").replace('"model": self.model', f'"model": self.model, {name!r}: MORE')
    assert key(run("MORE = 'a'\n" + source)["model"]) != key(run("MORE = 'b'\n" + source)["model"])


@pytest.mark.parametrize(("name", "one", "other"), [("name", "a", "b"), ("tags", ["a"], ["b"]), ("verbose", True, False), ("metadata", {"a": 1}, {"a": 2})])  # fmt: skip
def test_fields_of_langchains_count_where_the_class_uses_them(name: str, one: Any, other: Any) -> None:
    for answer, counts in ((f"self.{name}", True), (f"getattr(self, '{name}')", True), ("1", False)):
        cls = run(cell(answer))["Mine"]
        assert (key(cls(**{name: one})) != key(cls(**{name: other}))) == counts, answer


def test_a_secret_counts_where_the_class_looks_at_it() -> None:
    for answer, counts in (("self.password.get_secret_value()", True), ("1", False)):
        cls = run(cell(answer, "from pydantic import SecretStr", "password: SecretStr = SecretStr('')"))["Mine"]
        assert (key(cls(password=SecretStr("a"))) != key(cls(password=SecretStr("b")))) == counts


def test_no_secret_of_a_class_reaches_the_store() -> None:
    nbcache.install("memory://")
    members = "api_key: Any = None\nheaders: Any = None\nclient: Any = None\nmore: Any = None"
    cls = run(cell("(self.api_key, self.headers, self.client, self.more)", "", members))["Mine"]
    secret = "TOPSECRET-4711"
    cls(api_key=secret, headers={"X": secret}, client={"token": secret}, more=[SecretStr(secret)]).invoke(
        "hi", password=secret
    )
    assert secret not in str(nbcache.show(nbcache.entries().key[0]).identity)


def test_a_setting_raised_while_a_call_is_under_way_still_counts() -> None:
    started, go_on = threading.Event(), threading.Event()

    class Slow(LLM):
        level: int = 0

        @property
        def _llm_type(self) -> str:
            return "slow"

        def _call(self, prompt: str, *args: Any, **kwargs: Any) -> str:
            if prompt == "first":
                started.set()
                go_on.wait(10)
            return f"level {self.level}"

    nbcache.install("memory://")
    model = Slow()
    thread = threading.Thread(target=model.invoke, args=("first",))
    thread.start()
    assert started.wait(10)
    model.level = 2
    go_on.set()
    thread.join(10)
    assert [model.invoke("hi"), Slow(level=5).invoke("hi")] == ["level 2", "level 5"]


TAKEN = [
    ("answers that are taken out one by one", cell("self.answers.pop(0)", "", "answers: list = []") + "\nmodel = Mine(answers=['a', 'c', 'c', 'c'])", "'a'", "'b'"),
    ("answers of a variable, taken out", cell("ANSWERS.pop(0)", "ANSWERS = ['a', 'c', 'c', 'c', 'c', 'c', 'c']"), "'a'", "'b'"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "source", "old", "new"), TAKEN, ids=[case[0] for case in TAKEN])
def test_what_is_taken_out_counts_as_it_was_at_first(what: str, source: str, old: str, new: str) -> None:
    namespace = run(source)
    before = key(namespace["model"])
    namespace["model"]._call("hi")
    assert key(namespace["model"]) == before != key(run(source.replace(old, new))["model"])


def test_a_key_in_the_environment_does_not_count() -> None:
    source = cell("os.environ.get('MY_API_KEY')", "import os\nos.environ['MY_API_KEY'] = 'a'")
    assert asked(run(source)) == asked(run(source.replace("'a'", "'b'")))


def test_metadata_of_earlier_answers_counts_where_the_class_reads_it() -> None:
    def history(session: str) -> list[BaseMessage]:
        return [HumanMessage("a"), AIMessage("b", response_metadata={"session": session}), HumanMessage("c")]

    for answer, counts in (("messages[1].response_metadata", True), ("messages[1].content", False)):
        names = run(CHAT_CELL.format(answer=answer))
        model = names["Mine"]()
        assert (key(model, history("a")) != key(model, history("b"))) == counts


CHAT_CELL = """
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
class Mine(BaseChatModel):
    model: str = "m"
    @property
    def _llm_type(self): return "mine"
    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=AIMessage(str({answer})))])
"""


# In a kernel


def test_autoreload_and_cells_that_are_run_again_are_other_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from IPython.core.interactiveshell import InteractiveShell

    monkeypatch.syspath_prepend(tmp_path)
    nbcache.install("memory://")
    source = textwrap.dedent("""
        from langchain_core.language_models import LLM
        STYLE = "a"
        class Mine(LLM):
            model: str = "m"
            @property
            def _llm_type(self): return "mine"
            def _call(self, prompt, stop=None, run_manager=None, **kwargs): return "first " + STYLE
    """)
    file = tmp_path / "reloaded_llm.py"
    file.write_text(source)
    shell: Any = InteractiveShell.instance()
    try:
        shell.run_line_magic("load_ext", "autoreload")
        shell.run_cell(
            "from reloaded_llm import Mine; model = Mine(); said = [model.invoke('hi'), Mine().invoke('hi')]"
        )
        for old, new in (("first", "second"), ('"a"', '"b"')):
            source = source.replace(old, new)
            file.write_text(source)
            shell.run_line_magic("autoreload", "now")
            shell.run_cell("said += [model.invoke('hi'), Mine().invoke('hi')]")
        assert shell.user_ns["said"] == ["first a"] * 2 + ["second a"] * 2 + ["second b"] * 2
        assert nbcache.stats().misses == 3
    finally:
        InteractiveShell.clear_instance()
        sys.modules.pop("reloaded_llm", None)


KEYS_OF_ALL = """
import warnings; warnings.simplefilter("ignore")
from tests.keys.usercode.test_usercode import CYCLES, EDITED, STATE, key, run
print("\\n".join(key(run(case[1])["model"]) for case in [*EDITED, *STATE, *CYCLES]))
"""


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_every_process_finds_the_same_keys() -> None:
    """Whatever order its sets have, and at whatever addresses its objects are."""
    found = [
        subprocess.run(
            [sys.executable, "-c", KEYS_OF_ALL],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert len(found[0]) == len([*EDITED, *STATE, *CYCLES])
    assert found[0] == found[1]


# What takes long, or raises whatever it is asked


class Dict(dict[int, int]):
    pass


@pytest.mark.parametrize(
    "make", [list, set, tuple, frozenset, dict.fromkeys, Dict.fromkeys], ids=lambda make: make.__qualname__
)
def test_what_is_too_large_is_refused_by_its_length(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(*_: object) -> None:
        pytest.fail("it was looked at")

    for name in ("container", "mapping", "volatile"):
        monkeypatch.setattr(Watch, name, look)
    monkeypatch.setattr(Walk, "_apart", look)
    with pytest.raises(NotCanonicalError, match="more than 50,000 values"):
        digest_of(make(range(60_000)))


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was looked at, by a clock on which each look takes a second."""
    found: list[Any] = []
    digest = Walk.digest

    def counted(walk: Walk, root: Any) -> str:
        found.append(root)
        return digest(walk, root)

    monkeypatch.setattr(Walk, "digest", counted)
    monkeypatch.setattr(refusal_cache, "monotonic", lambda: float(len(found)))
    monkeypatch.setattr(refusal_cache, "_refused", {})
    return found


@pytest.mark.filterwarnings("ignore:nbcache")
def test_what_took_long_to_refuse_holds_up_no_other_call(looks: list[Any], store: Path) -> None:
    big = run(cell("len(TREE)", "TREE = [[0] * 1000 for _ in range(60)]"))
    for _ in range(5):
        assert big["model"].invoke("q") == "60"
    assert looks.count(big["Mine"]) == 1
    again = run(cell("len(TREE)", "TREE = [1]"))  # its class is another, wherever that stands
    again["model"].invoke("q")
    again["model"].invoke("q")
    assert nbcache.stats().hits == 1


def test_what_took_long_to_refuse_is_looked_at_again_after_a_while(looks: list[Any]) -> None:
    tree = [[0] * 1000 for _ in range(60)]
    for _ in range(3):
        with pytest.raises(NotCanonicalError):
            digest_of(tree)
    assert len(looks) == 1
    looks += [None] * 60
    tree.clear()
    assert digest_of(tree) == digest_of([])


def test_a_number_of_any_length_counts() -> None:
    assert digest_of([1 << 40_000]) != digest_of([(1 << 40_000) + 1])


class Unwilling:
    """Raises whatever it is asked."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.filterwarnings("ignore:nbcache")
def test_a_field_that_raises_whatever_it_is_asked_is_in_nobodys_way(store: Path) -> None:
    namespace = run(cell("1", members="thing: Any = None"))
    model = namespace["Mine"](thing=Unwilling())
    assert model.invoke("q") == "1"
    assert "".join(model.stream("p")) == "1"
