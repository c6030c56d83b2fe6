"""Keys of functions' calls are a promise: those in `tests/golden/function_calls_v1.json` hold.

`python -m tests.keys.functions.test_golden_calls` prints what this tree makes of each. A call may be added, and none be changed.
"""

import collections
import datetime as dt
import decimal
import fractions
import functools
import json
import pathlib
import re
import sys
import typing
import uuid
import zoneinfo
from typing import Any

import numpy as np
import pandas as pd
import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage
from pydantic import SecretStr

from nbcache.keys.functions import FunctionKey, FunctionRules
from nbcache.keys.key import key_of_parts
from tests.keys.functions.test_edits import run
from tests.support.paths import ROOT

GOLDEN = ROOT / "tests" / "golden" / "function_calls_v1.json"
NAMESPACE = {
    **{
        module.__name__: module
        for module in (collections, decimal, fractions, functools, pathlib, re, typing, uuid, zoneinfo)
    },
    "dt": dt,
    "np": np,
    "pd": pd,
    "Document": Document,
    "HumanMessage": HumanMessage,
    "AIMessage": AIMessage,
    "SecretStr": SecretStr,
}
VALUES = [
    *(
        "None",
        "True",
        "1",
        "1.0",
        "-0.0",
        "2**80",
        "float('nan')",
        "float('inf')",
        "1j",
        "'a'",
        "'\\ud800'",
        "'x' * 5000",
    ),
    *(
        "b'a'",
        "b'a' * 100",
        "bytearray(b'a')",
        "memoryview(b'a')",
        "(1, [2])",
        "[1, 'a', None]",
        "{'a': 1, 'b': [2.5]}",
    ),
    *(
        "{1: 2}",
        "{'!a': 1}",
        "{1, 2}",
        "frozenset({'a'})",
        "range(3)",
        "slice(1, 2)",
        "...",
        "collections.OrderedDict(a=1)",
    ),
    *(
        "collections.defaultdict(int, a=1)",
        "collections.Counter('aa')",
        "collections.deque([1], 2)",
        "dt.date(2026, 1, 2)",
    ),
    *(
        "dt.datetime(2026, 1, 2, 3, fold=1)",
        "dt.datetime(2026, 1, 2, tzinfo=dt.UTC)",
        "dt.time(1, 2)",
        "dt.timedelta(1, 2, 3)",
    ),
    *("zoneinfo.ZoneInfo('Europe/Berlin')", "decimal.Decimal('1.00')", "fractions.Fraction(1, 3)", "uuid.UUID(int=5)"),
    *(
        "pathlib.PurePosixPath('a/b')",
        "re.compile('a', re.I)",
        "int",
        "list[int]",
        "typing.Literal['a', 1]",
        "len",
    ),
    *(
        "'a'.upper",
        "functools.partial(len, [1])",
        "SecretStr('a')",
        "HumanMessage('a', id='1')",
        "AIMessage('a', id='1')",
    ),
    *("Document('a', metadata={'b': 1})", "{'api_key': 'a'}", "[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]"),
    *(
        "np.arange(6).reshape(2, 3)",
        "np.arange(6).reshape(2, 3).T",
        "np.array([1.5, np.nan])",
        "np.array(['a', None], object)",
    ),
    *("np.float32(1.5)", "np.datetime64('2026-01-01')", "np.array([(1, 2.5)], 'i4,f8')", "np.dtype('f4')"),
    *(
        "pd.DataFrame({'a': [1, 2], 'b': [1.5, None]})",
        "pd.Series([1], name='a')",
        "pd.Timestamp('2026-01-01', tz='UTC')",
    ),
    *("pd.DataFrame({'a': pd.Categorical(['x', 'y'])})", "pd.MultiIndex.from_tuples([(1, 2), (1, 3)])", "pd.NaT"),
]
SOURCES = {
    "plain": "def judge(x): return x + 1",
    "a docstring": "def judge(x):\n    'Judge it.'\n    return x + 1",
    "names": "STYLE = 'a'\nITEMS = [1, {'b': 2}]\ndef judge(x): return STYLE, ITEMS",
    "a helper": "def helper(x, y=(1, 2)): return [z for z in y if z]\ndef judge(x): return helper(x)",
    "a class": "class C:\n    y = 'a'\n    def z(self): return self.y\ndef judge(x): return C().z()",
    "a dataclass": "import dataclasses\n@dataclasses.dataclass\nclass C:\n    y: int = 1\ndef judge(x): return C(x)",
    "an enumeration": "import enum\nclass E(enum.Enum):\n    A = 'a'\ndef judge(x): return E(x)",
    "a closure": "def make(y):\n    def judge(x): return y\n    return judge\njudge = make(1)",
    "a try": "def judge(x):\n    try:\n        return x()\n    except ValueError as error:\n        return str(error)",
    "keywords": "def judge(x): return dict(a=x, b=f'{x!r:>3}')",
}
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


def calls() -> dict[str, dict[str, Any]]:
    """What this tree makes of each value, and of each source in this version of Python."""

    key = FunctionKey(run("def judge(value): ...")["judge"], FunctionRules(version="1"))
    values: dict[str, Any] = {}
    for text in VALUES:
        identity = key.call((eval(text, dict(NAMESPACE)),), {}).identity
        document = json.loads(identity.document)
        del document["python"]
        document.pop("libraries", None)
        counted = str(identity.counted_prompt)
        values[text] = [key_of_parts(counted.encode(), json.dumps(document).encode(), ""), counted]
    sources = {}
    for name, source in SOURCES.items():
        identity = FunctionKey(run(source)["judge"], FunctionRules()).call((1,), {}).identity
        sources[name] = identity.document.decode()
    return {"values": values, PYTHON: sources}


def test_golden_calls_hold() -> None:
    golden, made = json.loads(GOLDEN.read_text("utf-8")), calls()
    for name, value in golden["values"].items():
        if not name.startswith("pd.") or pd.__version__ >= "3":  # whose default types differ
            assert made["values"][name] == value


def test_golden_codes_hold() -> None:
    golden, made = json.loads(GOLDEN.read_text("utf-8")), calls()
    if PYTHON not in golden:
        pytest.skip(f"no codes are kept for Python {PYTHON}")
    assert made[PYTHON] == golden[PYTHON]


def test_no_two_golden_calls_are_alike() -> None:
    golden = json.loads(GOLDEN.read_text("utf-8"))
    keys = [key for key, _ in golden["values"].values()]
    assert len({*keys}) == len(keys) == len(VALUES)


if __name__ == "__main__":
    print(json.dumps(calls(), indent=1, ensure_ascii=True))
