"""Never in the way: whatever happens to the store, the call runs, its answer comes back, and one warning says why."""

import asyncio
import logging
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult, Generation
from pydantic import PrivateAttr

import nbcache
from nbcache import NbcacheWarning, NotebookCache
from nbcache.codec import payload as codec
from nbcache.codec.payload import FORMAT_VERSION
from nbcache.entry.records import EntryMeta, Touch
from nbcache.errors import forget_warnings
from nbcache.stores import DiskStore, MemoryStore
from tests.support.processes import in_new_process

SECONDS = 10.0  # what "within seconds" means here, for all calls of a test together
LLM = "[('_type', 'echo'), ('model', 'echo-1'), ('stop', None)]"


class Echo(BaseChatModel):
    """A model whose answer depends on the prompt, so that a wrong hit shows; it counts what it was paid for."""

    model: str = "echo-1"
    padding: int = 0
    _calls: list[str] = PrivateAttr(default_factory=list)

    @property
    def calls(self) -> int:
        return len(self._calls)

    @property
    def _llm_type(self) -> str:
        return "echo"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model, "padding": self.padding}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        prompt = str(messages[-1].content)
        self._calls.append(prompt)
        text = answer_to(prompt) + os.urandom(self.padding // 2).hex()
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text))])


def answer_to(prompt: str) -> str:
    return f"The answer to {prompt}"


def ask(model: Echo, *prompts: str) -> None:
    """Ask, and see that each answer is the right one."""
    for prompt in prompts:
        assert model.invoke(prompt).text.startswith(answer_to(prompt))


@contextmanager
def heard() -> Iterator[list[str]]:
    """What nbcache says in a warning while the block runs."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield said
    others = [str(warning.message) for warning in caught if not issubclass(warning.category, NbcacheWarning)]
    assert others == []
    said.extend(str(warning.message) for warning in caught)


@contextmanager
def within_seconds() -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < SECONDS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def recorded(folder: Path) -> Path:
    """The database of a store in which the answers to "one", "two" and "three" are kept, and that nobody has open."""
    nbcache.install(folder)
    ask(Echo(), "one", "two", "three")
    nbcache.uninstall()
    forget_warnings()
    return folder / "cache.db"


def change(database: Path, *statements: str) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def of_a_newer_version(payload: bytes) -> bytes:
    """The same payload as a newer nbcache would seal it: the preamble and its checksum are every version's."""
    head = payload[:3] + bytes([FORMAT_VERSION + 1]) + payload[4 : codec._PREAMBLE.size]
    body = payload[codec._START :]
    return head + zlib.crc32(body, zlib.crc32(head)).to_bytes(4, "big") + body


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# Locked

_WRITERS = "BEGIN EXCLUSIVE"
_EVERYBODY = "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE total SET value = value"

_LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2].split(";"):
    connection.execute(statement).fetchall()
print("locked", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
connection.close()
"""


@contextmanager
def locked(database: Path, statements: str) -> Iterator[None]:
    """Another process holds the database's lock while the block runs."""
    command = [sys.executable, "-c", _LOCKER, str(database), statements]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as locker:
        assert locker.stdout is not None
        assert locker.stdout.readline() == "locked\n"
        yield
        locker.communicate(timeout=30)
    assert locker.returncode == 0


@pytest.mark.parametrize("lock", [_WRITERS, _EVERYBODY], ids=["for writers", "for everybody"])
def test_locked_database_delays_answers_by_seconds_and_is_told_of_once(recorded: Path, lock: str) -> None:
    nbcache.install(recorded.parent)
    model = Echo()
    prompts = [f"prompt {n}" for n in range(10)]
    with heard() as said, within_seconds(), locked(recorded, lock):
        ask(model, *prompts)
    assert model.calls == 10
    assert len(said) == 1
    assert "locked by another process" in said[0]
    ask(model, *prompts)  # unlocked: not paid again
    assert model.calls == 10
    assert nbcache.check() == []


def test_answers_can_be_read_while_another_process_writes(recorded: Path) -> None:
    nbcache.install(recorded.parent)
    model = Echo()
    with heard() as said, within_seconds(), locked(recorded, _WRITERS):
        ask(model, "one", "two", "three")
    assert said == [] or "locked" in said[0]
    ask(model, "one", "two", "three")
    assert model.calls == 0


def test_hits_are_served_from_an_open_store_while_another_process_writes(recorded: Path) -> None:
    nbcache.install(recorded.parent)
    model = Echo()
    ask(model, "one")
    nbcache.stats()  # the hit is written down before the lock, not while it holds
    with heard() as said, within_seconds(), locked(recorded, _WRITERS):
        ask(model, "two", "three", "one")
    assert said == []
    assert model.calls == 0
    assert nbcache.stats().errors == 0


@pytest.mark.parametrize("lock", [_WRITERS, _EVERYBODY], ids=["for writers", "for everybody"])
def test_many_threads_do_not_queue_up_behind_a_lock(recorded: Path, lock: str) -> None:
    nbcache.install(recorded.parent)
    model = Echo()
    prompts = [f"prompt {n}" for n in range(32)]
    with (
        heard() as said,
        within_seconds(),
        locked(recorded, lock),
        ThreadPoolExecutor(16) as pool,
    ):
        for _ in pool.map(lambda prompt: ask(model, prompt), prompts):
            pass
    assert model.calls == 32
    assert len(said) == 1


async def test_event_loop_runs_on_while_a_locked_database_is_waited_for(recorded: Path) -> None:
    nbcache.install(recorded.parent)
    model = Echo()
    longest = 0.0
    with heard(), within_seconds(), locked(recorded, _EVERYBODY):
        task = asyncio.ensure_future(asyncio.gather(*(model.ainvoke(f"prompt {n}") for n in range(8))))
        last = time.monotonic()
        while not task.done():
            await asyncio.sleep(0)
            now = time.monotonic()
            longest, last = max(longest, now - last), now
        answers = await task
    assert [answer.text for answer in answers] == [answer_to(f"prompt {n}") for n in range(8)]
    assert longest < 0.4, f"the event loop stood still for {longest:.2f} s"


# Full


def _fill_the_disk(folder: Path) -> tuple[int, list[str], int]:
    model = Echo(padding=20_000)
    nbcache.install(folder)
    ask(model, "kept")
    prompts = [f"prompt {n}" for n in range(30)]
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, unlimited[1]))
    with heard() as said, within_seconds():
        ask(model, *prompts)
    paid = model.calls
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    nbcache.uninstall()  # there is room again: what was kept in memory is written
    nbcache.install(folder)
    ask(model, *prompts, "kept")
    assert nbcache.check() == []
    return paid, said, model.calls


@pytest.mark.slow
def test_full_disk_costs_no_answer_and_is_told_of_once(folder: Path) -> None:
    paid, said, at_last = in_new_process(_fill_the_disk, folder)
    assert paid == 31
    assert len(said) == 1  # the disk was full
    assert "full" in said[0] or "I/O" in said[0]
    assert at_last == paid


# Without permission


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that everybody can reach: pytest's own are root's alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def _ask_as_nobody(folder: Path) -> tuple[int, list[str], int]:
    with tempfile.TemporaryDirectory() as other:  # what has to be imported is imported now
        nbcache.install(other)
        ask(Echo(), "one", "one")
        nbcache.stats()
        nbcache.install("memory://")
    if os.getuid() == 0:
        os.setuid(65534)
    nbcache.install(folder)
    model = Echo()
    with heard() as said, within_seconds():
        ask(model, "one", "two", "three", "one")
    errors = nbcache.stats().errors
    nbcache.uninstall()
    return model.calls, said, errors


@pytest.mark.slow
def test_folder_that_cannot_be_made_costs_no_answer(public_folder: Path) -> None:
    public_folder.chmod(0o555)
    try:
        calls, said, errors = in_new_process(_ask_as_nobody, public_folder / "store")
    finally:
        public_folder.chmod(0o755)
    assert calls == 4
    assert len(said) == 1
    assert str(public_folder) in said[0]
    assert "ermission" in said[0] or "ead-only" in said[0]
    assert errors > 0


@pytest.mark.slow
def test_read_only_store_costs_no_answer_and_is_told_of_once(public_folder: Path) -> None:
    nbcache.install(public_folder)
    ask(Echo(), "two")
    nbcache.uninstall()
    for path in (*public_folder.iterdir(), public_folder):
        path.chmod(path.stat().st_mode & 0o555)
    before = contents(public_folder)
    try:
        calls, said, errors = in_new_process(_ask_as_nobody, public_folder)
        assert contents(public_folder) == before
    finally:
        public_folder.chmod(0o755)
    assert calls in {3, 4}  # whether it can be read is another matter
    assert len(said) == 1
    assert "read" in said[0]
    assert str(public_folder) in said[0]
    assert errors > 0


def _reopen_after_it_became_read_only(folder: Path) -> tuple[int, list[str]]:
    nbcache.install(folder)
    model = Echo()
    ask(model, "one")
    nbcache.stats()
    for path in (*folder.iterdir(), folder):
        path.chmod(path.stat().st_mode & 0o555)
    if os.getuid() == 0:
        os.setuid(65534)
    with heard() as said, within_seconds():
        ask(model, "two", "three", "two")
    return model.calls, said


@pytest.mark.slow
def test_store_that_becomes_read_only_under_a_running_kernel_costs_no_answer(public_folder: Path) -> None:
    os.chown(public_folder, 65534 if os.getuid() == 0 else -1, -1)
    try:
        calls, said = in_new_process(_reopen_after_it_became_read_only, public_folder)
    finally:
        public_folder.chmod(0o755)
    assert calls in {3, 4}  # files that are open stay writable
    assert len(said) <= 1


# Damaged files


def _garbage(_: bytes) -> bytes:
    return b"This is not a database. " * 1000


def _short_garbage(_: bytes) -> bytes:
    return b"?"


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2 // 4096 * 4096]


def _header_only(data: bytes) -> bytes:
    return data[:100]


def _half_a_header(data: bytes) -> bytes:
    return data[:50]


def _zeroed_root(data: bytes) -> bytes:
    return data[:100] + bytes(3996) + data[4096:]


@pytest.mark.parametrize(
    "damage",
    [_garbage, _short_garbage, _half, _header_only, _half_a_header, _zeroed_root],
    ids=lambda damage: damage.__name__.strip("_"),
)
def test_damaged_database_is_set_aside_and_a_new_one_begun(recorded: Path, damage: Callable[[bytes], bytes]) -> None:
    damaged = damage(recorded.read_bytes())
    recorded.write_bytes(damaged)
    nbcache.install(recorded.parent)
    model = Echo()
    with heard() as said, within_seconds():
        ask(model, "one", "two", "three", "one", "two", "three")
    aside = list(recorded.parent.glob("damaged-*.db"))
    assert model.calls == 3
    assert len(aside) == 1
    assert aside[0].read_bytes() == damaged
    assert len(said) == 1
    assert aside[0].name in said[0]
    assert nbcache.check() == []


def test_database_damaged_under_a_running_kernel_is_set_aside(folder: Path) -> None:
    nbcache.install(folder)
    model = Echo()
    ask(model, *(f"prompt {n}" for n in range(50)))
    nbcache.stats()
    nbcache.install(folder)
    with heard() as said, within_seconds():
        with (folder / "cache.db").open("r+b") as file:
            file.write(b"This is not a database. " * 200)
        ask(model, "one", "two")
        ask(model, "one", "two")
    assert model.calls == 52
    assert len(said) == 1
    assert len(list(folder.glob("damaged-*.db"))) == 1


def test_second_damage_within_a_second_does_not_overwrite_what_was_set_aside(recorded: Path) -> None:
    model = Echo()
    for garbage in (b"first " * 1000, b"second " * 1000):
        recorded.write_bytes(garbage)
        nbcache.install(recorded.parent)
        with heard():
            ask(model, "one")
        nbcache.uninstall()
    aside = {path.read_bytes() for path in recorded.parent.glob("damaged-*.db")}
    assert aside == {b"first " * 1000, b"second " * 1000}


def test_garbage_found_by_many_threads_at_once_is_set_aside_once_and_loses_nothing(folder: Path) -> None:
    folder.mkdir()
    for _ in range(10):  # it is a race
        (folder / "cache.db").write_bytes(b"garbage" * 5000)
        nbcache.install(folder)
        model = Echo()
        together = threading.Barrier(8)

        def one(n: int, model: Echo = model, together: threading.Barrier = together) -> None:
            together.wait(30)
            ask(model, f"prompt {n}")

        with heard() as said, ThreadPoolExecutor(8) as pool:
            list(pool.map(one, range(8)))
        ask(model, *(f"prompt {n}" for n in range(8)))
        nbcache.uninstall()
        assert model.calls == 8
        assert len(said) == 1
        assert [path.read_bytes() for path in folder.glob("damaged-*.db")] == [b"garbage" * 5000]
        for path in folder.iterdir():
            path.unlink()


@pytest.fixture(scope="module")
def sound_database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A database with the answers to 40 prompts."""
    folder = tmp_path_factory.mktemp("sound")
    cache = NotebookCache(folder, tags=["tag"], notebook=folder.parent / "a.ipynb")
    for n in range(40):
        cache.update(f"prompt {n}", LLM, [Generation(text=answer_to(f"prompt {n}") + os.urandom(40).hex())])
    cache.close()
    return (folder / "cache.db").read_bytes()


def _flips(data: bytes, seed: int) -> Iterator[bytes]:
    """`data` with a byte changed, at places all over it."""
    for n in range(60):
        position = (n * len(data) // 60 + seed * 37) % len(data)
        flipped = bytearray(data)
        flipped[position] ^= (0xFF, 0x80, 0x01)[(n + seed) % 3]
        yield bytes(flipped)


@pytest.mark.parametrize("seed", range(3))
def test_flipped_byte_never_gives_a_wrong_answer_nor_an_error(tmp_path: Path, sound_database: bytes, seed: int) -> None:
    for n, flipped in enumerate(_flips(sound_database, seed)):
        folder = tmp_path / str(n)
        folder.mkdir()
        (folder / "cache.db").write_bytes(flipped)
        cache = NotebookCache(folder)
        forget_warnings()
        with heard() as said:
            found = [cache.lookup(f"prompt {n}", LLM) for n in range(40)]
            cache.update("prompt 99", LLM, [Generation(text="new")])
            cache.stats()
        assert len(said) <= 2, said  # of reading and of writing
        for number, generations in enumerate(found):
            assert generations is None or generations[0].text.startswith(answer_to(f"prompt {number}"))
        cache.close()


@pytest.mark.parametrize("seed", range(3))
def test_flipped_byte_is_mended_by_check(tmp_path: Path, sound_database: bytes, seed: int) -> None:
    for n, flipped in enumerate(_flips(sound_database, seed)):
        folder = tmp_path / str(n)
        folder.mkdir()
        (folder / "cache.db").write_bytes(flipped)
        cache = NotebookCache(folder)
        forget_warnings()
        with heard():
            cache.contents().check(fix=True)
        assert cache.contents().check() == []
        assert len(cache.contents().entries()) == cache.stats().entries
        cache.update("prompt 99", LLM, [Generation(text="new")])
        found = cache.lookup("prompt 99", LLM)
        assert found is not None
        assert found[0].text == "new"
        cache.close()


# Damaged entries


def test_truncated_values_are_misses_told_of_once_and_mended_by_check(recorded: Path) -> None:
    truncate = "UPDATE Cache SET value = substr(value, 1, length(value) - 10)"
    change(recorded, truncate)
    nbcache.install(recorded.parent)
    model = Echo()
    assert len(nbcache.check()) == 3
    with heard() as said:
        ask(model, "one", "two")
    assert model.calls == 2
    assert len(said) == 1
    assert "damaged" in said[0]
    ask(model, "one", "two")
    assert model.calls == 2
    assert len(nbcache.check(fix=True)) == 1  # "three"
    assert nbcache.check() == []
    assert nbcache.stats().entries == 2
    ask(model, "one", "two", "three")
    assert model.calls == 3


@pytest.mark.parametrize(
    "damage", ["value = zeroblob(200)", "value = x''", "value = NULL", "value = 'text'", "value = 7", "mode = 2"]
)
def test_value_that_nbcache_did_not_write_is_a_miss(recorded: Path, damage: str) -> None:
    change(recorded, f"UPDATE Cache SET {damage}")
    nbcache.install(recorded.parent)
    model = Echo()
    with heard() as said, nbcache.mode("read-only"):
        ask(model, "one", "two", "three")
    assert model.calls == 3
    assert len(said) == 1
    assert len(nbcache.check()) == 3
    nbcache.check(fix=True)
    assert nbcache.check() == []
    assert nbcache.stats().entries == 0


def test_answer_moved_under_another_key_is_a_miss(recorded: Path) -> None:
    change(
        recorded,
        "CREATE TEMP TABLE old AS SELECT rowid AS id, value FROM Cache",
        "UPDATE Cache SET value = (SELECT value FROM old WHERE id = Cache.rowid % 3 + 1)",
    )
    nbcache.install(recorded.parent)
    model = Echo()
    with heard() as said:
        ask(model, "one", "two", "three")
    assert model.calls == 3
    assert len(said) == 1


def test_entry_of_a_newer_nbcache_is_a_miss_that_check_leaves_alone(recorded: Path) -> None:
    with closing(sqlite3.connect(recorded, isolation_level=None)) as connection:
        for rowid, payload in connection.execute("SELECT rowid, value FROM Cache").fetchall():
            newer = of_a_newer_version(payload)
            connection.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (newer, rowid))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    nbcache.install(recorded.parent)
    model = Echo()
    with heard() as said, nbcache.mode("read-only"):
        ask(model, "one", "two", "three")
    assert model.calls == 3
    assert len(said) == 1
    assert "newer nbcache" in said[0]
    nbcache.check(fix=True)
    nbcache.uninstall()
    with closing(sqlite3.connect(recorded)) as connection:
        kept = [value[3] for (value,) in connection.execute("SELECT value FROM Cache")]
    assert kept == [FORMAT_VERSION + 1] * 3


def test_lost_rows_are_rebuilt_from_the_payloads(tmp_path: Path, folder: Path) -> None:
    nbcache.install(folder, notebook=tmp_path / "a.ipynb", tags=["tag"])
    model = Echo()
    ask(model, "one", "two", "three")
    before = {row.key: row for row in nbcache.install(folder).contents("folder").entries()}
    nbcache.uninstall()
    change(folder / "cache.db", "DELETE FROM entry")
    cache = nbcache.install(folder)
    assert cache.contents().entries() == []
    assert len(nbcache.check()) >= 3
    assert cache.contents().entries() == []  # to look is not to mend
    assert len(nbcache.check(fix=True)) >= 3
    assert nbcache.check() == []
    assert {row.key: row for row in cache.contents("folder").entries()} == before
    assert [row.notebooks for row in before.values()] == [("a.ipynb",)] * 3
    ask(model, "one", "two", "three")
    assert model.calls == 3


def test_rows_without_a_payload_and_wrong_totals_are_mended(recorded: Path) -> None:
    change(
        recorded,
        "INSERT INTO preview VALUES (77, '', '')",
        "INSERT INTO entry SELECT 99, created, expires, used, last_hit, hits, size, input_tokens, output_tokens, cost,"
        " seconds, model, provider, status, cell, tags, notebooks, charged, NULL, client, streamed, kind, function"
        " FROM entry WHERE id = 1",
    )
    nbcache.install(recorded.parent)
    assert len(nbcache.check()) == 2
    assert len(nbcache.check(fix=True)) == 2
    assert nbcache.check() == []
    assert nbcache.stats().entries == 3


def test_wrong_totals_of_a_store_with_bounds_are_mended(folder: Path) -> None:
    nbcache.install(folder, max_entries=10)
    ask(Echo(), "one", "two", "three")
    nbcache.uninstall()
    change(folder / "cache.db", "UPDATE total SET value = 12345 WHERE name = 'bytes'")
    nbcache.install(folder)
    assert len(nbcache.check()) == 1
    assert len(nbcache.check(fix=True)) == 1
    assert nbcache.check() == []


# Not ours

_SETTINGS = [
    ["CREATE TABLE notes (text)", "INSERT INTO notes VALUES ('mine')"],
    ["PRAGMA application_id = 252006673", "CREATE TABLE notes (text)"],
    ["PRAGMA journal_mode = WAL", "CREATE TABLE notes (text)"],
    ["CREATE TABLE Cache (key, value)", "CREATE TABLE entry (id)"],
]


@pytest.mark.parametrize("statements", _SETTINGS, ids=["plain", "another application's", "WAL", "similar tables"])
def test_foreign_database_is_left_alone(folder: Path, statements: list[str]) -> None:
    folder.mkdir()
    change(folder / "cache.db", *statements)
    before = contents(folder)
    nbcache.install(folder)
    model = Echo()
    with heard() as said, within_seconds():
        ask(model, "one", "two", "one", "two")
        nbcache.stats()
    nbcache.uninstall()
    assert model.calls == 4
    assert len(said) == 1
    assert "another program" in said[0]
    assert str(folder / "cache.db") in said[0]
    assert contents(folder) == before


def test_store_of_a_newer_nbcache_is_left_alone_and_the_warning_says_to_upgrade(recorded: Path) -> None:
    change(recorded, "PRAGMA user_version = 99")
    before = contents(recorded.parent)
    nbcache.install(recorded.parent)
    model = Echo()
    with heard() as said, within_seconds():
        ask(model, "one", "two", "one")
    nbcache.uninstall()
    assert model.calls == 3
    assert len(said) == 1
    assert "upgrade" in said[0]
    assert contents(recorded.parent) == before


def test_store_that_a_newer_nbcache_upgrades_just_now_is_left_alone(recorded: Path) -> None:
    with closing(sqlite3.connect(recorded, isolation_level=None)) as newer:
        newer.execute("PRAGMA user_version = 99")  # in the log as yet, not in the file
        nbcache.install(recorded.parent)
        model = Echo()
        with heard() as said:
            ask(model, "one", "four")
        assert model.calls == 2
        assert len(said) == 1
        assert "upgrade" in said[0]
        assert newer.execute("SELECT count(*) FROM Cache").fetchone() == (3,)


# Stores that raise


class Broken(MemoryStore):
    """A store whose author forgot that it may fail."""

    def get(self, key: str, *, wait: bool = True, include_expired: bool = False) -> bytes | None:
        raise RuntimeError("server down")

    def put(self, key: str, payload: bytes, meta: EntryMeta, ttl: float | None = None) -> None:
        raise RuntimeError("server down")


def test_store_that_raises_anything_costs_no_answer_and_is_counted() -> None:
    nbcache.install(Broken())
    model = Echo()
    with heard() as said:
        ask(model, "one", "two", "one")
    assert model.calls == 3
    assert len(said) == 1
    assert "server down" in said[0]
    stats = nbcache.stats()
    assert (stats.hits, stats.errors) == (0, 6)  # three lookups and three updates


async def test_store_that_raises_anything_costs_no_answer_of_an_async_call() -> None:
    nbcache.install(Broken())
    model = Echo()
    with heard() as said:
        answers = await asyncio.gather(*(model.ainvoke(f"prompt {n}") for n in range(5)))
    assert [answer.text for answer in answers] == [answer_to(f"prompt {n}") for n in range(5)]
    assert len(said) == 1
    assert nbcache.stats().errors == 10


def test_failing_store_costs_no_answer_where_warnings_are_errors(caplog: pytest.LogCaptureFixture) -> None:
    nbcache.install(Broken())
    model = Echo()
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING, "nbcache"):
        warnings.simplefilter("error")
        ask(model, "one", "two", "one")
    assert model.calls == 3
    assert len(caplog.records) == 1
    assert "server down" in caplog.text


def test_damaged_database_costs_no_answer_where_warnings_are_errors(recorded: Path) -> None:
    recorded.write_bytes(b"garbage" * 1000)
    nbcache.install(recorded.parent)
    model = Echo()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ask(model, "one", "two", "one")
    assert model.calls == 2


def test_failing_store_costs_no_answer_without_install() -> None:
    cache = NotebookCache(Broken())
    model = Echo(cache=cache)
    with heard() as said:
        ask(model, "one", "one")
    assert model.calls == 2
    assert len(said) == 1
    assert cache.stats().errors == 4


class Forgetful(MemoryStore):
    """A store that can't write hits down."""

    def touch(self, touches: object) -> None:
        raise RuntimeError("server down")


def test_store_that_cannot_write_hits_down_costs_nothing() -> None:
    cache = nbcache.install(Forgetful())
    model = Echo()
    ask(model, "one", "one")
    cache.flush()
    cache.leave_cell()
    assert nbcache.stats().hits == 1
    ask(model, "one")
    nbcache.uninstall()
    assert model.calls == 1


def test_a_new_session_says_once_more_what_is_wrong() -> None:
    for _ in range(2):
        nbcache.install(Broken())
        with heard() as said:
            ask(Echo(), "one", "two")
        assert len(said) == 1


def test_answer_larger_than_the_bound_is_given_and_told_of(folder: Path) -> None:
    nbcache.install(folder, max_bytes=5_000)
    ask(Echo(), "small")
    large = Echo(padding=20_000)
    with heard() as said:
        ask(large, "one", "two")
    assert large.calls == 2
    assert len(said) == 1
    assert "max_bytes" in said[0]
    assert nbcache.stats().entries == 1
    assert nbcache.check() == []


def test_touch_of_a_failing_disk_store_is_silent(recorded: Path) -> None:
    cache = nbcache.install(recorded.parent)
    ask(Echo(), "one")
    assert isinstance(cache.store, DiskStore)
    with heard() as said, locked(recorded, _WRITERS):
        cache.flush()
    cache.store.touch([Touch("0" * 40, None, 1, time.time())])
    assert said == []


def test_database_cut_short_under_a_running_kernel_kills_nothing(tmp_path: Path) -> None:
    code = f"""
import os, warnings
import nbcache
from langchain_core.outputs import Generation
warnings.simplefilter("ignore")
folder = {str(tmp_path / "s")!r}
cache = nbcache.NotebookCache(folder, memory=0)
for number in range(200):
    cache.update(f"q{{number}}", "some model", [Generation(text=os.urandom(2000).hex())])
cache.close()
assert cache.lookup("q0", "some model")
os.truncate(folder + "/cache.db", 8192)
for number in range(200):
    cache.lookup(f"q{{number}}", "some model")
cache.update("new", "some model", [Generation(text="x")])
assert cache.lookup("new", "some model")
print("alive")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "alive\n", (done.returncode, done.stderr)
