"""The fields of a model that count where its class can't say what it would send, and those in which it counts its calls."""

import functools
from typing import Any

from langchain_core.language_models.base import BaseLanguageModel
from pydantic_core import PydanticUndefined

from nbcache.keys import identity_cache
from nbcache.keys.canonical import is_users_code
from nbcache.keys.ignored.parameters import CLIENTS, IGNORED_FIELDS, counted, is_ignored
from nbcache.keys.model_fields.user_classes import (
    holds_secret,
    names_that_count,
    private_names,
    users_fields,
    users_piece,
)
from nbcache.keys.model_names import MODEL_NAMES
from nbcache.keys.usercode import Piece, annotations_of, stores_attribute

_PLAIN = (str, int, float, bool, dict, list, tuple, set, frozenset, type(None))


def settings(model: BaseLanguageModel[Any]) -> dict[str, Any]:
    """The fields of `model` that count: those not at their class's default, and always the model's name.

    Defaults don't count so that a field which is new in a LangChain release doesn't bill everything again.
    """
    values = model.__dict__
    fields: dict[str, Any] = {}
    for name, default, skips_objects in _plan(type(model)):
        value = values.get(name)
        if value is None and (default is PydanticUndefined or default is None):
            continue
        is_plain = isinstance(value, _PLAIN)
        if skips_objects and not is_plain:
            continue  # clients and the like, which LangChain doesn't take for settings either
        at_default = value is default or (type(value) is type(default) and value == default)
        if at_default and is_plain and name not in MODEL_NAMES:
            continue  # another object may have changed inside
        fields[name] = value
    if model.__pydantic_extra__:
        fields.update(model.__pydantic_extra__)
    filled_in = _filled_in(type(model), fields)
    found = {name: value for name, value in counted(fields).items() if filled_in.get(name) != value}
    if (piece := users_piece(type(model))) is not None:
        counters = _counters.get(type(model), ())
        found |= {name: value for name, value in users_fields(model, piece).items() if name not in counters}
    return found


def names_counted(cls: type[BaseLanguageModel[Any]], piece: Piece | None) -> list[str]:
    """The names of the fields that may count; `piece` is the code of a class of the user's own."""
    names = {name for name, _, _ in _plan(cls)}
    if piece is not None:
        names |= names_that_count(cls, piece) | private_names(cls, piece)
    return sorted(names)


@functools.lru_cache(maxsize=256)
def _plan(cls: type[BaseLanguageModel[Any]]) -> list[tuple[str, Any, bool]]:
    """(name, default, whether it may hold an object that is no setting) of each field that may count."""
    plan = []
    for name, info in cls.model_fields.items():
        if is_ignored(name) or name in CLIENTS or holds_secret(info.annotation) or name in _counters.get(cls, ()):
            continue
        if name in IGNORED_FIELDS or is_declared_by_user(cls, name):
            continue  # those of the user's are told by `users_fields`
        default = info.default
        if info.default_factory in {dict, list, tuple, set}:
            default = info.default_factory()
        elif info.default_factory is not None:
            default = PydanticUndefined  # it may come from the environment, so it counts
        plan.append((name, default, bool(info.exclude)))
    return plan


def is_declared_by_user(cls: type, name: str) -> bool:
    """Whether a field is one of a class of the user's own, or was declared anew there."""
    return any(is_users_code(base) and name in annotations_of(base) for base in cls.__mro__)


def _filled_in(cls: type[BaseLanguageModel[Any]], fields: dict[str, Any]) -> dict[str, Any]:
    """Values that the class itself fills in for this model, and so are defaults too.

    ChatAnthropic works out `max_tokens` from the model's name, and differently in each release.
    """
    name = fields.get("model")
    if not hasattr(cls, "set_default_max_tokens") or not isinstance(name, str):
        return {}
    return _default_max_tokens(cls, name)


@functools.lru_cache(maxsize=256)
def _default_max_tokens(cls: Any, model: str) -> dict[str, Any]:
    try:
        return {"max_tokens": cls.set_default_max_tokens({"model": model})["max_tokens"]}
    except Exception:  # noqa: BLE001 - not LangChain's public API: without it the value counts
        return {}


@functools.lru_cache(maxsize=256)
def field_names(cls: type[BaseLanguageModel[Any]]) -> dict[str, str]:
    """Names and aliases of the fields of a class, each to the field's name."""
    names = {name: name for name in cls.model_fields}
    return names | {info.alias: name for name, info in cls.model_fields.items() if info.alias}


# Fields in which a model counts its own calls: state, not settings.
_counters: dict[type, set[str]] = {}


def whole_numbers(model: BaseLanguageModel[Any]) -> dict[str, int]:
    """The fields of `model` that might be counters, with their values now: those that begin at 0."""
    values = model.__dict__
    return {name: values[name] for name in _numbers(type(model)) if type(values.get(name)) is int}


_ANSWERING = ("_generate", "_agenerate", "_stream", "_astream", "_call", "_acall")


@functools.lru_cache(maxsize=256)
def _numbers(cls: type[BaseLanguageModel[Any]]) -> list[str]:
    """The fields that begin at 0, and that the class sets while it answers: others are set from outside."""
    return [
        name
        for name, info in cls.model_fields.items()
        if type(info.default) is int and info.default == 0 and stores_attribute(cls, name, _ANSWERING)
    ]


def learn_counters(model: BaseLanguageModel[Any], before: dict[str, int]) -> bool:
    """Note which fields count the model's own calls; True where one was found.

    Such a field is a whole number that begins at 0, was 0 and grew while the model answered, and that the class
    doesn't name among its `_identifying_params`: `FakeListChatModel.i`, or the `calls: int` of many a test's model.
    """
    try:
        told = model._identifying_params.keys()  # noqa: SLF001 - what classes tell
    except Exception:  # noqa: BLE001 - the user's own code
        return False
    grown = {name for name, value in whole_numbers(model).items() if value > before.get(name, value) == 0} - told
    if grown:
        _counters.setdefault(type(model), set()).update(grown)
        forget()
    return bool(grown)


def forget() -> None:
    """Work every identity of a model out anew: what counts has changed."""
    _plan.cache_clear()
    identity_cache.forget()
