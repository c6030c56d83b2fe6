"""The identities of models that have not changed since their identity was computed.

To compute one takes many times as long as to compare a model with its snapshot, and most calls find it unchanged.
"""

import operator
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_core.language_models.base import BaseLanguageModel
from pydantic import SecretBytes, SecretStr

from nbcache.concurrency.locks import Lock
from nbcache.keys.canonical import NotCanonicalError, canonical
from nbcache.keys.clients.target import Target

if TYPE_CHECKING:
    from nbcache.keys.llm_string import LLMString
    from nbcache.keys.request import Identity
    from nbcache.keys.usercode import Piece

_UNCHANGING = (str, int, float, bool, type(None), SecretStr, SecretBytes)
_PLAIN = frozenset({str, int, float, bool, type(None), dict, list, tuple})
_CAPACITY = 64  # models; a notebook has a handful
_VARIANTS = 32  # identities of one model: one for each set of options that it is called with


@dataclass(frozen=True, slots=True)
class _Snapshot:
    model: weakref.ref[Any]
    cls: type
    values: tuple[object, ...]
    private: tuple[object, ...]
    containers: list[tuple[Any, bytes]]
    target: Target
    piece: "Piece | None"
    identities: "Identities" = field(default_factory=dict)


# By the options of a call: what LangChain told of it, and its identity.
Identities = dict[bytes, "tuple[LLMString, Identity]"]
# By model, whether it is awaited, and whether the identity is only for prices.
_snapshots: OrderedDict[tuple[int, bool, bool], _Snapshot] = OrderedDict()
_lock = Lock()


def recall(model: BaseLanguageModel[Any], *, is_async: bool = False, for_price: bool = False) -> "Identities | None":
    """The identities of `model`, by the options of a call. None if the model has changed since `remember`."""
    snapshot = _snapshots.get((id(model), is_async, for_price))
    if snapshot is None or snapshot.model() is not model:
        return None
    if type(model) is not snapshot.cls or (snapshot.piece is not None and not snapshot.piece.is_current()):
        return None
    if not _same(model.__dict__, snapshot.values) or model.__pydantic_extra__:
        return None
    if snapshot.private and not _same(model.__pydantic_private__ or {}, snapshot.private):
        return None
    for container, content in snapshot.containers:
        if (canonical(container) != content) if container else content:
            return None
    return snapshot.identities if snapshot.target.is_unchanged() else None


def remember(  # noqa: PLR0913, PLR0917 - all that an identity is made of
    model: BaseLanguageModel[Any],
    llm_string: "LLMString",
    target: Target,
    names: Sequence[str],
    options: bytes,
    identity: "Identity",
    piece: "Piece | None",
    *,
    is_async: bool = False,
    for_price: bool = False,
) -> None:
    """Remember the identity of calls with these `options` until `model` changes.

    `names` are the fields that count. Nothing is remembered if one of them holds an object: that may be edited in place,
    which can't be seen from outside. `piece` is the code of the model's class, if that is the user's own.
    """
    identities = recall(model, is_async=is_async, for_price=for_price)
    if identities is not None:
        if len(identities) >= _VARIANTS:
            identities.clear()
        identities[options] = llm_string, identity
        return
    attributes = {**(model.__pydantic_private__ or {}), **model.__dict__}
    settings = [attributes.get(name) for name in names]
    changeable = [value for value in settings if not isinstance(value, _UNCHANGING)]
    if model.__pydantic_extra__ or not all(map(_is_plain, changeable)):
        return
    try:
        containers = [
            (value, canonical(value) if value else b"") for value in settings if isinstance(value, list | dict)
        ]
    except NotCanonicalError:
        return
    values, private = tuple(model.__dict__.values()), tuple((model.__pydantic_private__ or {}).values())
    snapshot = _Snapshot(
        *(weakref.ref(model), type(model), values, private, containers, target, piece),
        {options: (llm_string, identity)},
    )
    with _lock:
        _snapshots[id(model), is_async, for_price] = snapshot
        while len(_snapshots) > _CAPACITY:
            _snapshots.popitem(last=False)


def _is_plain(value: object) -> bool:
    """Whether a value has JSON types only, at any depth, so that its canonical form shows each change."""
    if type(value) not in _PLAIN:
        return False
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return not isinstance(value, list | tuple) or all(map(_is_plain, value))


def _same(values: Mapping[str, object], others: tuple[object, ...]) -> bool:
    return len(values) == len(others) and all(map(operator.is_, values.values(), others))


def forget() -> None:
    """Compute each identity anew."""
    with _lock:
        _snapshots.clear()
