"""Whether a model is still as it was when its identity was last worked out.

Working it out takes many times as long as looking, and most calls find the model unchanged.
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
from nbcache.keys.clients.endpoint import Target
from nbcache.keys.usercode import Piece

if TYPE_CHECKING:
    from nbcache.keys.llm_string import Told
    from nbcache.keys.request import Identity

_UNCHANGING = (str, int, float, bool, type(None), SecretStr, SecretBytes)
_PLAIN = frozenset({str, int, float, bool, type(None), dict, list, tuple})
_CAPACITY = 64  # models; a notebook has a handful
_VARIANTS = 32  # identities of one model: one for each set of options that it is called with


@dataclass(frozen=True, slots=True)
class _Snapshot:
    model: weakref.ref[Any]
    cls: type
    told: "Told"
    values: tuple[object, ...]
    private: tuple[object, ...]
    containers: list[tuple[Any, bytes]]
    target: Target
    piece: Piece | None
    identities: "dict[bytes, Identity]" = field(default_factory=dict)


_snapshots: OrderedDict[tuple[int, bool], _Snapshot] = OrderedDict()  # by model, and whether it is awaited
_lock = Lock()


def recall(model: BaseLanguageModel[Any], told: "Told", *, is_async: bool = False) -> "dict[bytes, Identity] | None":
    """The identities of `model`, by the options of a call, if nothing of it has changed since `remember`."""
    known = _snapshots.get((id(model), is_async))
    if known is None or known.model() is not model or known.told is not told:
        return None
    if type(model) is not known.cls or (known.piece is not None and not known.piece.is_current()):
        return None
    if not _same(model.__dict__, known.values) or model.__pydantic_extra__:
        return None
    if known.private and not _same(model.__pydantic_private__ or {}, known.private):
        return None
    for container, content in known.containers:
        if (canonical(container) != content) if container else content:
            return None
    return known.identities if known.target.is_unchanged() else None


def remember(  # noqa: PLR0913, PLR0917 - all that an identity is made of
    model: BaseLanguageModel[Any],
    told: "Told",
    target: Target,
    names: Sequence[str],
    options: bytes,
    identity: "Identity",
    piece: Piece | None,
    *,
    is_async: bool = False,
) -> None:
    """Keep `identity`, that of calls with these `options`, for as long as `model` stays as it is.

    `names` are the fields that count. Only where a change of them can be seen from outside: not where one holds
    an object, which may be edited in place. `piece` is the code of the model's class, where that is the user's own.
    """
    known = recall(model, told, is_async=is_async)
    if known is not None:
        if len(known) >= _VARIANTS:
            known.clear()
        known[options] = identity
        return
    held = {**(model.__pydantic_private__ or {}), **model.__dict__}
    settings = [held.get(name) for name in names]
    filled = [value for value in settings if not isinstance(value, _UNCHANGING)]
    if model.__pydantic_extra__ or not all(map(_is_plain, filled)):
        return
    try:
        containers = [
            (value, canonical(value) if value else b"") for value in settings if isinstance(value, list | dict)
        ]
    except NotCanonicalError:
        return
    values, private = tuple(model.__dict__.values()), tuple((model.__pydantic_private__ or {}).values())
    snapshot = _Snapshot(
        *(weakref.ref(model), type(model), told, values, private, containers, target, piece), {options: identity}
    )
    with _lock:
        _snapshots[id(model), is_async] = snapshot
        while len(_snapshots) > _CAPACITY:
            _snapshots.popitem(last=False)


def _is_plain(value: object) -> bool:
    """Whether a value is of JSON's kinds all the way down, so that its canonical form shows each change."""
    if type(value) not in _PLAIN:
        return False
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return not isinstance(value, list | tuple) or all(map(_is_plain, value))


def _same(values: Mapping[str, object], known: tuple[object, ...]) -> bool:
    return len(values) == len(known) and all(map(operator.is_, values.values(), known))


def forget() -> None:
    """Work every identity out anew."""
    with _lock:
        _snapshots.clear()
