"""The settings of a model: the fields that count where its class can't build the request that it would send."""

import functools
from typing import TYPE_CHECKING, Any

from langchain_core.language_models.base import BaseLanguageModel
from pydantic_core import PydanticUndefined

from nbcache.keys import identity_cache, usercode
from nbcache.keys.canonical import is_users_code
from nbcache.keys.ignored.langchain_parameters import CLIENTS, IGNORED_FIELDS, counted, is_ignored
from nbcache.keys.model_fields.call_counters import counters_of
from nbcache.keys.model_fields.user_classes import (
    holds_secret,
    names_that_count,
    private_names,
    users_fields,
    users_piece,
)
from nbcache.keys.model_names import MODEL_NAMES

if TYPE_CHECKING:
    from nbcache.keys.usercode import Piece

_PLAIN = (str, int, float, bool, dict, list, tuple, set, frozenset, type(None))


def settings(model: BaseLanguageModel[Any]) -> dict[str, Any]:
    """The fields of `model` that count, by name: those that differ from their default, and always the model's name.

    Defaults don't count. Otherwise a field that is new in a LangChain release would change every key.
    """
    values = model.__dict__
    counters = counters_of(type(model))
    fields: dict[str, Any] = {}
    for name, default, skips_objects in _field_rules(type(model)):
        if name in counters:
            continue
        value = values.get(name)
        if value is None and (default is PydanticUndefined or default is None):
            continue
        is_plain = isinstance(value, _PLAIN)
        if skips_objects and not is_plain:
            continue  # clients and similar objects, which LangChain excludes as well
        is_default = value is default or (type(value) is type(default) and value == default)
        if is_default and is_plain and name not in MODEL_NAMES:  # an object that is equal may still differ inside
            continue
        fields[name] = value
    if model.__pydantic_extra__:
        fields.update(model.__pydantic_extra__)
    computed = _computed_defaults(type(model), fields)
    counts = {name: value for name, value in counted(fields).items() if computed.get(name) != value}
    if (piece := users_piece(type(model))) is not None:
        counts |= {name: value for name, value in users_fields(model, piece).items() if name not in counters}
    return counts


def names_counted(cls: type[BaseLanguageModel[Any]], piece: "Piece | None") -> list[str]:
    """The names of the fields that may count. `piece` is the class's code, if it is a class of the user's own."""
    names = {name for name, _, _ in _field_rules(cls)} - counters_of(cls)
    if piece is not None:
        names |= names_that_count(cls, piece) | private_names(cls, piece)
    return sorted(names)


@functools.lru_cache(maxsize=256)
def _field_rules(cls: type[BaseLanguageModel[Any]]) -> list[tuple[str, Any, bool]]:
    """Each field that may count: its name, its default, and whether an object in it is not a setting."""
    rules = []
    for name, info in cls.model_fields.items():
        if is_ignored(name) or name in CLIENTS or holds_secret(info.annotation):
            continue
        if name in IGNORED_FIELDS or is_declared_by_user(cls, name):
            continue  # `users_fields` has those that a user's class declares
        default = info.default
        if info.default_factory in {dict, list, tuple, set}:
            default = info.default_factory()
        elif info.default_factory is not None:
            default = PydanticUndefined  # the value may come from the environment, so it counts
        rules.append((name, default, bool(info.exclude)))
    return rules


def is_declared_by_user(cls: type, name: str) -> bool:
    """Whether a class of the user's own declares this field, or declares it again."""
    return any(is_users_code(base) and name in usercode.annotations_of(base) for base in cls.__mro__)


def _computed_defaults(cls: type[BaseLanguageModel[Any]], fields: dict[str, Any]) -> dict[str, Any]:
    """Defaults that the class computes for this model.

    ChatAnthropic computes `max_tokens` from the model's name, and differently in each release.
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
    """The name of each field of a class, by its name and by its alias."""
    names = {name: name for name in cls.model_fields}
    return names | {info.alias: name for name, info in cls.model_fields.items() if info.alias}


def forget_models() -> None:
    """Compute each identity of a model anew: what counts has changed."""
    _field_rules.cache_clear()
    identity_cache.forget()
