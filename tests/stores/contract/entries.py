"""What the tests of stores have in common."""

import hashlib
import json
import time
from dataclasses import replace

import pytest
from langchain_core.outputs import Generation

from nbcache import codec
from nbcache.codec.entry_description import header_of
from nbcache.codec.entry_description import row_of as row_of_call
from nbcache.entry.records import SEALED_PREVIEW, EntryMeta, Touch, Usage
from nbcache.entry.text import words
from nbcache.keys.key import call_key
from nbcache.stores import Store
from nbcache.stores.base import Listable
from tests.support.rows import FullStore, row_of

NOW = 1_800_000_000.0


class Clock:
    """The time that every store goes by, standing still until it is told to go on."""

    def __init__(self) -> None:
        self.now = NOW

    def advance(self, seconds: float) -> float:
        self.now += seconds
        return self.now


def key_of(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()[:40]


def row(key: str, *notebooks: str) -> EntryMeta:
    return EntryMeta(key, "model", "prompt", "answer", "ok", time.time(), notebooks=notebooks)


def put(store: Store, name: object, payload: bytes = b"payload", *notebooks: str, ttl: float | None = None) -> str:
    key = key_of(name)
    store.put(key, payload, row(key, *notebooks), ttl)
    return key


def use(store: FullStore, clock: Clock, key: str) -> None:
    """What a hit does: a read, and its recency written down a moment later."""
    clock.advance(1)
    assert store.get(key) is not None
    store.touch([Touch(key, None, 1, clock.now)])


def found(store: Listable, key: str) -> EntryMeta:
    meta = row_of(store, key)
    assert meta is not None
    return meta


def as_listed(store: Store, meta: EntryMeta) -> EntryMeta:
    """A row as the store lists it: a sealed one has no previews."""
    return replace(meta, prompt=SEALED_PREVIEW, answer="") if is_sealed(store) else meta


def is_sealed(store: Store) -> bool:
    return store.url.endswith("(sealed)")


def counts_payloads_alone(store: Store) -> None:
    """Skip a test of bounds in bytes with a store that adds some to each payload: it has tests of its own."""
    if is_sealed(store):
        pytest.skip("a sealed payload is larger: see tests/stores/sealed")


def said(payload: bytes, _key: str) -> set[str]:
    return words(payload.decode())


def keep(store: FullStore, name: str, **fields: object) -> str:
    key = key_of(name)
    meta = EntryMeta(*(key, "model", "prompt", "answer", "ok", NOW))
    store.put(key, name.encode(), replace(meta, **fields))  # type: ignore[arg-type]  # whatever the test sets
    return key


def stored(store: Store, model: str, prompt: str, answer: str) -> str:
    """Store an entry as a call leaves it, with a payload that can be read. Returns its key."""
    call, answers = call_key(prompt, json.dumps({"kwargs": {"model": model}})), [Generation(text=answer)]
    meta = replace(row_of_call(call, answers, Usage(), status="ok", created=NOW, notebook=None), model=model)
    store.put(call.key, codec.encode(answers, header_of(call, meta, None), reusable=True), meta)
    return call.key
