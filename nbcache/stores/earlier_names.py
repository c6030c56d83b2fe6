"""A user's own store that was written for nbcache 0.4, under the names of today. Goes with version 0.7."""

import warnings
from functools import partial
from types import SimpleNamespace
from typing import Any

_NAMES = {"change_token": "version", "tombstone": "gone", "similar": "alike"}


def has_earlier_names(store: Any) -> bool:
    """Whether `store` has the whole protocol of nbcache 0.4."""
    return not hasattr(store, "change_token") and all(hasattr(store, name) for name in _NAMES.values())


def with_todays_names(store: Any) -> Any:
    """`store` with its methods under the names of today, too."""
    names = ", ".join(f"{earlier}() is now {name}()" for name, earlier in _NAMES.items())
    text = (
        f"{type(store).__name__} has a store's methods of nbcache 0.4: {names}; `stale` of get() is `include_expired`"
    )
    warnings.warn(text, DeprecationWarning, stacklevel=3)
    methods = {name: getattr(store, name) for name in dir(store) if not name.startswith("_")}
    today = {name: methods[earlier] for name, earlier in _NAMES.items()}
    return SimpleNamespace(**methods | today | {"get": partial(_get, store.get)})


def _get(get: Any, key: str, *, wait: bool = True, include_expired: bool = False) -> bytes | None:
    payload: bytes | None = get(key, wait=wait, stale=include_expired)
    return payload
