"""A store many times as large as another one, in minutes: each entry is drawn again under other samples of its call.

Texts and words are those of the smaller store, and so are the rows of its indexes, under higher ids. Times, hits and costs
differ. Everything is as nbcache would have written it: `check` has nothing to say, and the samples are exported and hit.
"""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

from nbcache import NotebookCache, codec
from nbcache.keys.key import call_key_of_entry, with_sample
from nbcache.stores import DiskStore
from nbcache.stores.sqlite.diskcache_file import CacheFile
from nbcache.stores.sqlite.id_sets import BLOCK
from nbcache.stores.sqlite.sql import Execute

from . import BenchError

_AT_ONCE = 2_000  # entries
_SECOND = 0.7  # between the times of an entry and of its copy
_COPIED = (
    "INSERT INTO preview SELECT id + :ids, prompt, answer FROM preview WHERE id <= :last",
    "INSERT INTO indexed SELECT id + :ids, words FROM indexed WHERE id <= :last",
    "INSERT INTO fresh SELECT id + :ids FROM fresh WHERE id <= :last",
    "INSERT INTO word SELECT block + :blocks, word, entries FROM word WHERE block <= :last / :block",
    "INSERT INTO vocabulary SELECT block + :blocks, words FROM vocabulary WHERE block <= :last / :block",
    "INSERT INTO entry SELECT id + :ids, created + :later, expires, used + :later, last_hit + :later, hits,"
    " (SELECT length(value) FROM Cache WHERE rowid = e.id + :ids), input_tokens, output_tokens, cost + :number, seconds,"
    " model, provider, status, cell, tags, notebooks, charged, facet, client, streamed, kind, function FROM entry e WHERE id <= :last",
)
_RECOUNTED = (
    "UPDATE facet SET (entries, bytes) = (SELECT count(*), sum(size) FROM entry WHERE facet = facet.id)",
    "INSERT OR REPLACE INTO total VALUES ('listed', (SELECT max(id) FROM entry))",
)


def multiply(small: Path, folder: Path, times: int) -> None:
    """Make a store in `folder` with `times` as many entries as that in the folder `small`."""
    shutil.copytree(small, folder)
    store = DiskStore(folder)
    (last,) = store._look(lambda cache: cache.execute("SELECT max(id) FROM entry").fetchone())
    ids = (last // BLOCK + 1) * BLOCK
    for number in range(1, times):
        for start in range(0, last + 1, _AT_ONCE):
            store._write_waiting(partial(_copy_payloads, start=start, number=number, ids=ids * number))
    store._write_waiting(partial(_copy_tables, times=times, last=last))
    store.close()
    cache = NotebookCache(folder, scope="folder")
    cache.ledger.index()
    cache.close()


def _copy_payloads(cache: CacheFile, start: int, number: int, ids: int) -> None:
    sql = cache.execute
    rows = sql(
        "SELECT rowid, key, expire_time, value FROM Cache WHERE rowid >= ? AND rowid < ?", (start, start + _AT_ONCE)
    ).fetchall()
    with cache.transaction():
        for rowid, key, expires, value in rows:
            new, payload = _sample(key, value, number, expires=expires is not None)
            sql(
                "INSERT INTO Cache (rowid, key, raw, store_time, expire_time, access_time, mode, value)"
                " VALUES (?, ?, 1, 0, ?, 0, 1, ?)",
                (rowid + ids, new, expires, payload),
            )


def _sample(key: str, payload: bytes, number: int, *, expires: bool) -> tuple[str, bytes]:
    """The key and the payload of another sample of the same call, with the same answer."""
    whole = codec.read(payload, key)
    header = whole.header()
    call = call_key_of_entry(
        *(key, header.prompt),
        identity=header.identity,
        endpoint=header.endpoint,
        model=header.meta.model,
        canonical_prompt=header.said,
    )
    if call is None:
        raise BenchError(f"entry {key} lacks its call")
    sample = with_sample(call, number)
    meta = replace(header.meta, key=sample.key, created=header.meta.created + number * _SECOND)
    header = replace(header, meta=meta, identity=sample.identity.decode())
    return sample.key, codec.assemble(whole.plain(), header, reusable=True, expires=expires)


def _copy_tables(cache: CacheFile, times: int, last: int) -> None:
    sql = cache.execute
    blocks = last // BLOCK + 1
    with cache.transaction():
        dropped = _without_indexes(sql)
        for number in range(1, times):
            of: dict[str, float] = {
                "blocks": blocks * number,
                "block": BLOCK,
                "ids": blocks * BLOCK * number,
                "last": last,
            }
            of |= {"number": number, "later": number * _SECOND}
            for statement in _COPIED:
                sql(statement, of)
        # The triggers last: they would count all of it again.
        for statement in (*dropped["index"], *_RECOUNTED, *dropped["trigger"]):
            sql(statement)


def _without_indexes(sql: Execute) -> dict[str, list[str]]:
    """Drop the indexes and triggers of the listing; returns the statements that make them again."""
    there = sql("SELECT type, name, sql FROM sqlite_master WHERE tbl_name IN ('entry', 'facet') AND sql IS NOT NULL")
    dropped: dict[str, list[str]] = {"index": [], "trigger": []}
    for kind, name, statement in there.fetchall():
        if kind in dropped:
            sql(f"DROP {kind} {name}")
            dropped[kind].append(statement)
    return dropped
