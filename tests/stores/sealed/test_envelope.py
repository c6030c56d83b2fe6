"""Sealed payloads: what was written is read by every later release, and nothing else is."""

import json
import os
from decimal import Decimal
from typing import Any

import pytest

from nbcache import codec
from nbcache.entry.records import EntryMeta
from nbcache.errors import DamagedError
from nbcache.stores.sealed import envelope
from nbcache.stores.sealed.keys import Keys
from nbcache.stores.sealed.rows import Rows
from tests.stores.contract.entries import NOW, key_of
from tests.stores.sealed.conftest import ANOTHER, SECRET
from tests.support.paths import ROOT

GOLDEN = ROOT / "tests/golden/sealed_v1.json"
KEYS = Keys(SECRET)
KEY, PAYLOAD = key_of(1), b"a payload, for all that is known of it"
ROW = EntryMeta(
    *(KEY, "gpt-4o", "a prompt", "an answer", "ok", NOW),
    tags=("draft",),
    notebooks=("ann:a.ipynb",),
    cell="In [1]",
    provider="openai",
    input_tokens=10,
    cost_usd=Decimal("0.1"),
    client="langchain",
)


def closed(key: str = KEY) -> bytes:
    return envelope.closed(KEYS, key, PAYLOAD, NOW)


def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the golden file has. The nonce is fixed for it, and random otherwise."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "urandom", bytes)
        row = Rows(KEYS).sealed(KEY, ROW)
        texts = {name: getattr(row, name) for name in ("key", "model", "prompt", "answer", "tags", "notebooks", "kind")}
        return {"secret": SECRET, "payload": closed().hex(), "row": json.loads(json.dumps(texts))}


def test_what_is_written_is_that_of_the_golden_file(monkeypatch: pytest.MonkeyPatch) -> None:
    golden = json.loads(GOLDEN.read_text())
    assert written(monkeypatch) == golden
    assert envelope.opened(KEYS, bytes.fromhex(golden["payload"]), golden["row"]["key"]) == (KEY, PAYLOAD)


def test_two_envelopes_of_one_payload_differ_and_have_its_text_nowhere() -> None:
    assert closed() != closed()
    assert PAYLOAD[:6] not in closed()
    assert bytes.fromhex(KEY) not in closed()
    assert len(closed()) - len(PAYLOAD) == envelope.OVERHEAD < 100


def test_every_byte_counts() -> None:
    whole, kept_as = closed(), KEYS.key(KEY)
    checksum = range(codec.PREAMBLE_LENGTH - 4, codec.PREAMBLE_LENGTH)  # only for those without the secret
    for at in set(range(len(whole))) - {*checksum}:
        changed = bytearray(whole)
        changed[at] ^= 1
        with pytest.raises(DamagedError):
            envelope.opened(KEYS, bytes(changed), kept_as)
    for length in range(len(whole)):
        with pytest.raises(DamagedError):
            envelope.opened(KEYS, whole[:length], kept_as)


def test_a_payload_that_was_moved_to_another_key_is_refused() -> None:
    other = KEYS.key(key_of(2))
    moved = bytearray(closed())
    with pytest.raises(DamagedError, match="moved"):
        envelope.opened(KEYS, bytes(moved), other)
    moved[codec.KEY_AT] = bytes.fromhex(other)
    with pytest.raises(DamagedError, match="changed or planted"):
        envelope.opened(KEYS, bytes(moved), other)


def test_what_others_stored_is_left_alone() -> None:
    with pytest.raises(envelope.OtherSecretError, match="another NBCACHE_SECRET") as raised:
        envelope.opened(Keys(ANOTHER), closed(), KEYS.key(KEY))
    assert raised.value.newer
    for unsealed in (b"", b"NBC", b"payload" * 20):
        with pytest.raises(envelope.UnsealedError) as unsealed_raised:
            envelope.opened(KEYS, unsealed, KEY)
        assert unsealed_raised.value.newer


def test_without_the_secret_a_sealed_payload_is_no_damage_and_says_what_to_set() -> None:
    whole, kept_as = closed(), KEYS.key(KEY)
    with pytest.raises(DamagedError, match="set NBCACHE_SECRET") as raised:
        codec.read(whole, kept_as)
    assert raised.value.newer
    with pytest.raises(DamagedError) as damaged:
        codec.read(whole[:-1], kept_as)
    assert not damaged.value.newer
    assert codec.edited(whole, kept_as, tags=["new"]) == whole
