"""Whether a model is still as it was when its identity was last worked out.

Working it out takes three times as long as looking, and most calls find the model unchanged.
"""

import operator
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.language_models.base import BaseLanguageModel
from pydantic import SecretBytes, SecretStr

from nbcache.endpoint import client_urls, handed_in
from nbcache.locks import Lock

if TYPE_CHECKING:
    from nbcache.identity import Identity
    from nbcache.llm_string import Told

_UNCHANGING = (str, int, float, bool, type(None), SecretStr, SecretBytes)
_CAPACITY = 64  # models; a notebook has a handful


class _Snapshot(NamedTuple):
    model: weakref.ref[Any]
    told: "Told"
    values: tuple[object, ...]
    private: tuple[object, ...]
    empty: tuple[Any, ...]
    urls: list[tuple[Any, str, object]]
    clients: list[object]
    identity: "Identity"


_snapshots: OrderedDict[int, _Snapshot] = OrderedDict()
_lock = Lock()


def recall(model: BaseLanguageModel[Any], told: "Told") -> "Identity | None":
    """The identity of `model` if nothing of it has changed since `remember`."""
    known = _snapshots.get(id(model))
    if known is None or known.model() is not model or known.told is not told:
        return None
    if not _same(model.__dict__, known.values) or any(known.empty) or model.__pydantic_extra__:
        return None
    if known.private and not _same(model.__pydantic_private__ or {}, known.private):
        return None
    for owner, name, url in known.urls:
        if getattr(owner, name) is not url:
            return None
    return known.identity if handed_in(model) == known.clients else None


def remember(model: BaseLanguageModel[Any], told: "Told", identity: "Identity", names: Sequence[str]) -> None:
    """Keep `identity` for as long as `model` stays as it is; `names` are the fields that count.

    Only where a change can be seen from outside: not with options that are filled containers, which
    may be edited in place.
    """
    settings = [model.__dict__.get(name) for name in names]
    containers = [value for value in settings if isinstance(value, Mapping | list | tuple | set)]
    others = [value for value in settings if not isinstance(value, (*_UNCHANGING, Mapping, list, tuple, set))]
    if any(containers) or others or model.__pydantic_extra__:
        return
    urls, clients = client_urls(model), handed_in(model)
    values, private = tuple(model.__dict__.values()), tuple((model.__pydantic_private__ or {}).values())
    snapshot = _Snapshot(weakref.ref(model), told, values, private, tuple(containers), urls, clients, identity)
    with _lock:
        _snapshots[id(model)] = snapshot
        while len(_snapshots) > _CAPACITY:
            _snapshots.popitem(last=False)


def _same(values: Mapping[str, object], known: tuple[object, ...]) -> bool:
    return len(values) == len(known) and all(map(operator.is_, values.values(), known))


def forget() -> None:
    """Work every identity out anew."""
    with _lock:
        _snapshots.clear()
