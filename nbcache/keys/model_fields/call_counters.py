"""The fields in which a model counts its own calls: they are state, and don't count."""

import functools
from typing import Any

from langchain_core.language_models.base import BaseLanguageModel

from nbcache.keys import identity_cache, usercode

_ANSWERING = ("_generate", "_agenerate", "_stream", "_astream", "_call", "_acall")
_NONE: frozenset[str] = frozenset()
_counters: dict[type, frozenset[str]] = {}


def counters_of(cls: type) -> frozenset[str]:
    """The fields of a class that `learn_counters` has found to be counters."""
    return _counters.get(cls, _NONE)


def whole_numbers(model: BaseLanguageModel[Any]) -> dict[str, int]:
    """The fields of `model` that may be counters, with their present values."""
    values = model.__dict__
    return {name: values[name] for name in _possible_counters(type(model)) if type(values.get(name)) is int}


@functools.lru_cache(maxsize=256)
def _possible_counters(cls: type[BaseLanguageModel[Any]]) -> list[str]:
    """The fields that begin at 0 and that the class sets while it answers. Other fields are set from outside."""
    return [
        name
        for name, info in cls.model_fields.items()
        if type(info.default) is int and info.default == 0 and usercode.stores_attribute(cls, name, _ANSWERING)
    ]


def learn_counters(model: BaseLanguageModel[Any], before: dict[str, int]) -> bool:
    """Find the fields that count the model's calls. Returns whether there is one.

    Such a field is a whole number, was 0 and grew while the model answered, and is not named in the class's
    `_identifying_params`: `FakeListChatModel.i`, or the `calls: int` of many a test's model. `before` are the numbers when
    the call began.
    """
    grown = {name for name, value in whole_numbers(model).items() if value > before.get(name, value) == 0}
    if not grown:
        return False
    try:
        grown -= model._identifying_params.keys()  # noqa: SLF001 - by this the class says what identifies it
    except Exception:  # noqa: BLE001 - the user's own code
        return False
    if grown:
        _counters[type(model)] = counters_of(type(model)) | grown
        identity_cache.forget()
    return bool(grown)
