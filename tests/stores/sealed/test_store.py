"""A sealed store on each kind of store: what its operator sees, what was planted there, and what others keep in it."""

import pickle
import threading
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from langchain_core.outputs import Generation

from nbcache import codec
from nbcache.codec.header import EntryHeader
from nbcache.entry.edit import Edit
from nbcache.entry.records import EntryMeta, Filter, SessionCall, Spending, Touch
from nbcache.errors import DamagedError, TooLargeError
from nbcache.stores import DiskStore, MemoryStore, RedisStore, Store
from nbcache.stores.base import Checkable, Columnar, Listable, Owning, Remote, Searchable, Selecting
from nbcache.stores.opening import open_store
from nbcache.stores.redis import rows as redis_rows
from nbcache.stores.sealed import envelope
from nbcache.stores.sealed.store import SealedStore
from nbcache.stores.view import Contents
from tests.servers.redis_server import RedisServer, program
from tests.stores.contract.entries import NOW, key_of
from tests.stores.sealed.conftest import ANOTHER, SECRET, Seal

TEXTS = [  # each as long as one must be to be found by chance nowhere
    *("what was asked of it", "what was answered", "gpt-of-the-team", "ann:secret/plans.ipynb", "bob:diary.ipynb"),
    *("draft-tag-of-ann", "tag-of-later", "In [cell-of-ann]", "provider-of-the-team", "client-of-the-team"),
    *("function-of-the-team", "status-of-it", "kind-of-it", "unfindable identity", "model-in-the-ledger", SECRET),
]


def row(key: str, **fields: Any) -> EntryMeta:
    texts = {
        "tags": ("draft-tag-of-ann",),
        "notebooks": ("ann:secret/plans.ipynb",),
        "cell": "In [cell-of-ann]",
        "provider": "provider-of-the-team",
        "client": "client-of-the-team",
        "kind": "kind-of-it",
        "function": "function-of-the-team",
    }
    meta = EntryMeta(*(key, "gpt-of-the-team", "what was asked of it", "what was answered", "status-of-it", NOW))
    return replace(meta, **(texts | fields))


def put(store: Store, name: object, **fields: Any) -> str:
    key = key_of(name)
    meta = row(key, **fields)
    header = EntryHeader(meta, "what was asked of it", '{"model":"unfindable identity"}', "")
    store.put(key, codec.encode([Generation(text=f"what was answered {name}")], header, reusable=True), meta)
    return key


def use_all_of(store: Any) -> str:
    """Let a store keep all that one can keep."""
    key = put(store, 1)
    store.touch([Touch(key, "bob:diary.ipynb", 1, NOW, Decimal(1))])
    store.edit([key], Edit(add=("tag-of-later",)))
    store.delete(put(store, 2))
    spending = Spending("session", 1, NOW, "ann:secret/plans.ipynb", "In [cell-of-ann]", "model-in-the-ledger", hits=1)
    store.record([replace(spending, kind="kind-of-it")])
    store.record_calls("session", "ann:secret/plans.ipynb", [SessionCall(key, "model-in-the-ledger", 1)])
    store.rename("ann:secret/plans.ipynb", "bob:diary.ipynb")
    return key


def seen(contents: bytes) -> list[str]:
    return [text for text in TEXTS if text.encode() in contents]


def plainly(key: str) -> list[bytes]:
    return [key.encode(), bytes.fromhex(key)]


def rows_in(client: Any) -> bytes:
    """The rows of all entries on a server, which are compressed there."""
    entries = (client.get(name) for name in client.scan_iter("*:e:*"))
    return repr([redis_rows._json(redis_rows.row_in(entry)) for entry in entries]).encode()


def test_a_server_holds_no_text_and_no_key(seal: Seal) -> None:
    with RedisServer(program()) as server:
        sealed, plain = seal(RedisStore(server.url("sealed"))), RedisStore(server.url("plain"))
        key = use_all_of(sealed)
        client: Any = plain.server.listing
        client.config_set("rdbcompression", "no")
        client.save()
        dump = (server.folder / "dump.rdb").read_bytes() + rows_in(client)
        assert (seen(dump), [form for form in plainly(key) if form in dump]) == ([], [])
        values = [value for name in client.scan_iter() for value in (name, client.dump(name))]
        assert seen(b"".join(values)) == []
        use_all_of(plain)
        client.save()  # this test can fail
        dump = (server.folder / "dump.rdb").read_bytes() + rows_in(client)
        assert len(seen(dump)) > len(TEXTS) - 4
        for store in (sealed, plain):
            store.close()


def test_a_folder_holds_no_text_and_no_key(seal: Seal, tmp_path: Path) -> None:
    sealed, plain = seal(DiskStore(tmp_path / "sealed")), DiskStore(tmp_path / "plain")
    key = use_all_of(sealed)
    while_open = b"".join(file.read_bytes() for file in (tmp_path / "sealed").iterdir())
    sealed.close()
    closed = b"".join(file.read_bytes() for file in (tmp_path / "sealed").iterdir())
    for contents in (while_open, closed):
        assert (seen(contents), [form for form in plainly(key) if form in contents]) == ([], [])
    use_all_of(plain)
    plain.close()
    assert len(seen(b"".join(file.read_bytes() for file in (tmp_path / "plain").iterdir()))) > len(TEXTS) - 4


def test_the_secret_is_in_no_text_about_the_store(seal: Seal, inner: Store) -> None:
    sealed = seal(inner)
    assert SECRET not in f"{sealed!r} {sealed.url} {vars(sealed)}"
    assert sealed.url == f"{inner.url} (sealed)"


def test_those_with_the_secret_read_all_but_previews(seal: Seal, inner: Store) -> None:
    sealed: Any = seal(inner)
    key = use_all_of(sealed)
    (listed,) = sealed.page()
    expected = row(key, prompt="(sealed)", answer="", hits=1, last_hit=NOW, cost_usd=Decimal(1), expires=None)
    assert replace(listed, tags=(), notebooks=(), size_bytes=0) == replace(expected, tags=(), notebooks=())
    assert {*listed.tags} == {"draft-tag-of-ann", "tag-of-later"}
    assert {*listed.notebooks} == {"ann:secret/plans.ipynb", "bob:diary.ipynb"}
    entry = Contents(sealed).read(key[:6])
    assert (entry.prompt, entry.answer) == ("what was asked of it", "what was answered 1")
    assert [spent.model for spent in sealed.spendings("bob:diary.ipynb")] == ["model-in-the-ledger"]
    assert sealed.last_calls("bob:diary.ipynb") == [SessionCall(key, "model-in-the-ledger", 1)]


def test_texts_are_found_by_reading_each_entry_and_never_in_what_stands_for_a_preview(seal: Seal, inner: Store) -> None:
    sealed = seal(inner)
    key = put(sealed, 1)
    assert [found.key for found in Contents(sealed).matching(match="ANSWERED 1")] == [key]
    assert [*Contents(sealed).matching(match="sealed")] == []


def test_rows_are_selected_and_ordered_as_in_any_store(seal: Seal, inner: Store) -> None:
    sealed: Any = seal(inner)
    models = ["m-b", "m-c", "m-a", "n-a"]
    keys = [put(sealed, model, model=model, created=NOW + number) for number, model in enumerate(models)]
    by_model = [found.model for found in sealed.page(sort="model", descending=False, limit=2, offset=1)]
    assert by_model == ["m-b", "m-c"]
    assert [found.model for found in sealed.page(Filter(models="m-*"), limit=2)] == ["m-a", "m-c"]
    assert [found.key for found in sealed.page(Filter(key=keys[0][:5]))] == [keys[0]]
    assert sealed.totals(Filter(models="m-*")).entries == len([*sealed.stream(Filter(models="m-*"))]) == 3
    assert [found.key for found in sealed.page(Filter(prompt="what was asked of it", model="n-a"))] == [keys[3]]
    assert sealed.page(Filter(prompt="what was asked")) == []


def test_sizes_are_those_of_the_payloads(seal: Seal, inner: Store) -> None:
    sealed: Any = seal(inner)
    sealed.put(key_of(1), b"x" * 50, row(key_of(1)))
    assert sealed.page()[0].size_bytes == sealed.totals().size_bytes == 50
    assert [sealed.totals(Filter(larger_than=size)).entries for size in (49, 50)] == [1, 0]
    assert sealed.clear([key_of(1)]).size_bytes == 50


def test_it_can_do_what_the_store_can_do_that_needs_no_text(seal: Seal, inner: Store) -> None:
    sealed = seal(inner)
    assert isinstance(sealed, Remote) == isinstance(inner, Remote)
    assert isinstance(sealed, Listable)
    assert not isinstance(sealed, Searchable | Selecting | Columnar | Owning)


def test_a_planted_or_changed_entry_is_refused_and_check_deletes_it(seal: Seal, inner: Store) -> None:
    sealed: Any = seal(inner)
    good, changed, moved, planted = (put(sealed, name) for name in ("good", "changed", "moved", "planted"))
    kept_as = {key: sealed._keys.key(key) for key in (good, changed, moved, planted)}
    payload = inner.get(kept_as[changed]) or b""
    rows = {kept: sealed._rows.sealed(key, row(key)) for key, kept in kept_as.items()}
    inner.put(kept_as[changed], payload[:-1] + bytes([payload[-1] ^ 1]), rows[kept_as[changed]])
    inner.put(kept_as[moved], inner.get(kept_as[good]) or b"", rows[kept_as[moved]])
    inner.put(kept_as[planted], envelope.closed(sealed._keys, key_of("other"), b"x", NOW), rows[kept_as[planted]])
    for key in (changed, moved, planted):
        with pytest.raises(DamagedError) as raised:
            sealed.get(key)
        assert not raised.value.newer  # the answer of the call that is made now replaces it
    assert len(Contents(sealed).check()) == 3
    assert len(Contents(sealed).check(fix=True)) == 3
    assert [found.key for found in sealed.page()] == [good]
    assert Contents(sealed).check() == []


def test_an_unsealed_payload_under_the_key_of_a_sealed_one_is_refused(seal: Seal, inner: Store) -> None:
    sealed = seal(inner)
    key = key_of(1)
    kept_as = sealed._keys.key(key)
    put(inner, 1)
    inner.put(kept_as, inner.get(key) or b"", row(kept_as))
    with pytest.raises(DamagedError) as raised:
        sealed.get(key)
    assert not raised.value.newer


def test_entries_without_the_secret_are_misses_counted_apart_and_never_deleted(seal: Seal, inner: Store) -> None:
    ours, theirs = seal(inner), seal(inner, ANOTHER)
    unsealed, of_others, of_ours = put(inner, "unsealed"), put(theirs, "theirs"), put(ours, "ours")
    assert [ours.get(key) is None for key in (unsealed, of_others, of_ours)] == [True, True, False]
    contents: Any = Contents(ours)
    assert [found.key for found in contents.entries()] == [of_ours]
    assert (contents.totals().entries, contents.store.others()) == (1, 2)
    assert contents.facets().model == ("gpt-of-the-team",)
    for fix in (True, False):
        assert contents.check(fix=fix) == [
            "1 entry is not sealed: it is no hit while NBCACHE_SECRET is set",
            "1 entry is sealed with another NBCACHE_SECRET: it is no hit with this one",
        ]
    contents.clear()
    assert inner.get(unsealed) is not None
    assert theirs.get(of_others) is not None


def test_without_the_secret_a_check_leaves_sealed_entries_alone(seal: Seal, inner: Store) -> None:
    sealed = seal(inner)
    key = put(sealed, 1)
    assert isinstance(inner, Checkable)
    (line,) = Contents(inner).check(fix=True)
    assert "set NBCACHE_SECRET" in line
    assert sealed.get(key) is not None
    with pytest.warns(UserWarning, match="set NBCACHE_SECRET"):
        (listed,) = Contents(inner).entries()
    assert "NBCACHE_SECRET" in listed.prompt


def test_bounds_count_what_is_kept(seal: Seal, inner: Store) -> None:
    sealed: Any = seal(inner)
    sealed.bound(2 * (20 + envelope.OVERHEAD), None)
    for number in range(3):
        sealed.put(key_of(number), b"x" * 20, row(key_of(number), created=NOW + number))
    assert (sealed.totals().entries, sealed.totals().size_bytes, sealed.totals().evictions) == (2, 40, 1)
    with pytest.raises(TooLargeError):
        sealed.put(key_of(3), b"x" * (41 + envelope.OVERHEAD), row(key_of(3)))


def test_many_threads_seal_and_open_at_once(seal: Seal) -> None:
    sealed, failed = seal(MemoryStore()), []

    def work(number: int) -> None:
        for at in range(200):
            key = key_of((number, at % 7))
            sealed.put(key, key.encode(), row(key))
            if sealed.get(key) != key.encode():
                failed.append(key)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_pickle_has_no_secret_and_takes_that_of_its_environment(
    seal: Seal, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = seal(RedisStore(url))
    key = put(sealed, 1)
    written = pickle.dumps(sealed)
    assert SECRET.encode() not in written
    with pytest.raises(ValueError, match="NBCACHE_SECRET"):
        pickle.loads(written)
    monkeypatch.setenv("NBCACHE_SECRET", SECRET)
    assert pickle.loads(written).get(key) == sealed.get(key)


def test_a_store_is_sealed_once_where_the_environment_has_a_secret(
    seal: Seal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    by_hand = seal(MemoryStore())
    assert isinstance(open_store(tmp_path), DiskStore)
    monkeypatch.setenv("NBCACHE_SECRET", SECRET)
    opened = open_store(tmp_path)
    assert isinstance(opened, SealedStore)
    assert isinstance(opened.inner, DiskStore)
    assert open_store(by_hand) is by_hand
