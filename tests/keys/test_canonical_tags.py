"""What stands in canonical JSON for a value that JSON has no form for is never what a user's own data look like."""

import itertools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, SecretStr

import nbcache
from nbcache.keys.canonical import canonical
from nbcache.keys.credentials import hidden


class Limits(BaseModel):
    most: float | None


@dataclass
class Plain:
    most: Any


class Most(Enum):
    ANY = math.inf


BIG = 10**30
VALUES: list[Any] = [
    *(None, math.inf, -math.inf, math.nan, "null", "Infinity", "inf", "!float", 0, 0.0, -0.0, 1, 1.0, True, False),
    *(BIG, float(BIG), str(BIG), "\ud800", "\\ud800", "\U0001f600", "1"),
    *({"!float": "inf"}, {"!!float": "inf"}, {"!float": "nan"}, {math.inf: 1}, {"!float:inf": 1}, {None: 1}),
    *({1}, {math.inf}, {None}, {"!set": ["1"]}, {"!set": ['{"!float":"inf"}']}, {"!set": ["null"]}, {"!!set": ["1"]}),
    *(SecretStr("a"), "!secret", "!!secret", b"a", {"!bytes": "YQ=="}, 1j, {"!text": "complex:1j"}),
    *(Limits(most=math.inf), Limits(most=None), Plain(math.inf), Plain(None), {"most": None}, {"most": math.inf}),
    *(int, {"!builtin": "builtins.int"}, len, {"!builtin": "builtins.len"}, {"a": {"!builtin": "builtins.len"}}),
]
AROUND: dict[str, Callable[[Any], Any]] = {
    "alone": lambda value: value,
    "in a list": lambda value: [value],
    "in an object": lambda value: {"a": value, "b": None},
    "beside a large integer": lambda value: {"a": value, "b": BIG},
    "under a name with a mark": lambda value: {"!a": value},
    "in an object of pydantic": lambda value: Limits.model_construct(most=value),
}


@pytest.mark.parametrize("around", AROUND)
def test_no_two_values_have_one_form(around: str) -> None:
    forms: dict[bytes, Any] = {}
    for value in VALUES:
        form = canonical(AROUND[around](value))
        assert form not in forms, f"{forms.get(form)!r} and {value!r} are both {form!r}"
        forms[form] = value


def test_forms_without_such_values_are_as_they_were() -> None:
    for value, form in [
        ({"a": None, "b": [1, 1.5, "!x"]}, b'{"a":null,"b":[1,1.5,"!x"]}'),
        ({"a": {2, 1}}, b'{"a":{"!set":["1","2"]}}'),
        ({"a": b"a", "b": None}, b'{"a":{"!bytes":"YQ=="},"b":null}'),
        (SecretStr("a"), b'"!secret"'),
        ({"a": "!secret:0123456789abcdef"}, b'{"a":"!secret:0123456789abcdef"}'),
    ]:
        assert canonical(value) == form


def test_numbers_of_other_kinds_are_the_numbers_that_they_are() -> None:
    assert canonical([np.float64(math.inf), Most.ANY, None]) == canonical([math.inf, math.inf, None])
    assert canonical([np.float64(1.5), None, {"!a": np.float64(1.5)}]) == canonical([1.5, None, {"!a": 1.5}])


def test_a_document_that_is_read_and_hidden_again_stays_the_same() -> None:
    for value in VALUES:
        document = canonical({"a": value, "token": "secret-token", "!a": 5})
        once = hidden(document)
        assert b"secret-token" not in once
        assert hidden(once) == once
        assert json.loads(once)["a"] == json.loads(document)["a"]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("one", "two"), list(itertools.permutations([math.inf, None, {"!float": "inf"}, {"!!float": "inf"}], 2))
)
def test_a_stored_value_is_found_by_its_own_parameters_only(one: Any, two: Any) -> None:
    cache = nbcache.installed()
    cache.put("q", {"text": "one"}, model="m", most=one)
    assert cache.get("q", model="m", most=two) is None
    assert cache.get("q", model="m", most=one) == {"text": "one"}
