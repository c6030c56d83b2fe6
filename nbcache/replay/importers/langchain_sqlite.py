"""The file of LangChain's `SQLiteCache` (`.langchain.db`), read: what was paid for under it is imported like a cassette.

The file is untrusted, as a cassette is: LangChain's `load` would make whatever object it names. Here only generations and
messages are made of it.
"""

import contextlib
import itertools
import json
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from langchain_core.outputs import ChatGeneration, Generation

from nbcache import codec
from nbcache.codec.entry_description import row_of
from nbcache.codec.messages import plain
from nbcache.entry.status import status_of
from nbcache.entry.usage.usage_of_call import usage_of
from nbcache.errors import CassetteError, NbcacheError, NotStorableError, UnstableIdentityError
from nbcache.keys.identity import DOCUMENT
from nbcache.keys.key import call_key
from nbcache.keys.message_classes import GENERATIONS, MESSAGES
from nbcache.keys.request import document
from nbcache.replay.cassette_format import Recording
from nbcache.replay.importers.langchain_models import EndpointNamedError, KnownModels
from nbcache.replay.untrusted_files import LONGEST, MOST_VALUES, dense_values, opened

_MAGIC = b"SQLite format 3\0"
_WAL_AT, _WAL = 18, 2  # https://www.sqlite.org/fileformat.html: the version that is needed to write the file
_LONGEST_LLM = 2**20  # characters of an `llm_string`
_STEPS = 10_000  # of SQLite between two looks at the clock
_SECONDS, _BYTES_A_SECOND = 30, 2**20  # for reading a file: far more than it takes
_DEEPEST = 100  # levels of an answer: as deep as any JSON library goes
_COLUMNS = ("prompt", "llm", "idx", "response")
_SCHEMA = (
    "SELECT type, sql FROM sqlite_master WHERE tbl_name = 'full_llm_cache' AND type != 'trigger' AND sql IS NOT NULL"
)
# Names and types of columns, and a key of them: nothing that would be worked out.
_NAMES = r"[\w\s,\"`']*"
_PLAIN = {
    "table": re.compile(rf"CREATE TABLE {_NAMES}\({_NAMES}(?:\({_NAMES}\){_NAMES})?\){_NAMES}", re.IGNORECASE),
    "index": re.compile(rf"CREATE (?:UNIQUE )?INDEX {_NAMES}\({_NAMES}\)", re.IGNORECASE),
}
_ROWS = "SELECT prompt, llm, idx, response FROM full_llm_cache ORDER BY prompt, llm, idx"

# By the ids that LangChain writes down.
_GENERATIONS: dict[tuple[str, ...], type[Any]] = {tuple(cls.lc_id()): cls for cls in GENERATIONS.values()}
_MESSAGES: dict[tuple[str, ...], type[Any]] = {tuple(cls.lc_id()): cls for cls in MESSAGES.values()}
_OBJECT, _DEEP = "it holds an object that is no part of an answer", "it is nested too deeply"
_WRONG, _SAME = "it isn't as LangChain writes answers", "the file has another answer to the same call"
_UNKEYED = "the file doesn't tell enough of its model"


class _LeftOutError(NbcacheError):
    """An answer that is not to be imported."""


@dataclass(frozen=True, slots=True)
class LangChainFile:
    """What is in a file: `left_out` says why and how many answers aren't among the recordings.

    `by_hand` counts the recordings that only a cache set with `set_llm_cache` finds: the file doesn't tell where those calls
    went.
    """

    recordings: list[Recording]
    left_out: dict[str, int]
    by_hand: int


def is_database(path: Path) -> bool:
    """Whether a file is an SQLite database. Raises CassetteError where `path` is no file that can be read, or OSError."""
    with opened(path) as file:
        return file.read(len(_MAGIC)) == _MAGIC


def read(path: Path) -> LangChainFile:
    """The answers in a file of LangChain's `SQLiteCache`, which is not written to. Raises CassetteError or OSError."""
    created = path.stat().st_mtime
    models = KnownModels()
    recordings: dict[str, Recording] = {}
    left_out: Counter[str] = Counter()
    by_hand = 0
    for (prompt, llm), rows in itertools.groupby(_rows(path), itemgetter(0, 1)):
        try:
            recording, is_by_hand = _recording(prompt, llm, list(rows), models, created)
        except (_LeftOutError, EndpointNamedError) as why:
            left_out[str(why)] += 1
        except UnstableIdentityError:
            left_out[_UNKEYED] += 1
        except RecursionError:
            left_out[_DEEP] += 1
        except (*codec.UNREADABLE, NotStorableError):
            left_out[_WRONG] += 1
        else:
            if recording.call.key in recordings:
                left_out[_SAME] += 1
                continue
            recordings[recording.call.key] = recording
            by_hand += is_by_hand
    return LangChainFile([*recordings.values()], dict(left_out), by_hand)


def _rows(path: Path) -> list[tuple[Any, ...]]:
    """The rows of the table, those of one answer together and in order. Raises CassetteError."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?{_way(path)}", uri=True)) as database:
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
            database.execute("PRAGMA trusted_schema = OFF")
            database.set_progress_handler(_deadline(path), _STEPS)
            if not _is_langchains(database):
                raise CassetteError(
                    f"{path} is no cassette, and no file of LangChain's SQLiteCache: it is an SQLite database without "
                    f"a table full_llm_cache of {', '.join(_COLUMNS)}"
                )
            # Whether each page is used once, too: otherwise a small file could have rows without end.
            (problem,) = database.execute("PRAGMA integrity_check(full_llm_cache)").fetchone()
            if problem != "ok":
                raise CassetteError(f"{path} is damaged, and nothing of it was imported: {problem}")
            return list(_within_bounds(path, database.execute(_ROWS)))
    except sqlite3.Error as error:
        raise CassetteError(f"{path} can't be read, and nothing of it was imported: {error}") from None


def _is_langchains(database: sqlite3.Connection) -> bool:
    """Whether the table has the columns that LangChain gives it, and nothing that is worked out."""
    schema = database.execute(_SCHEMA).fetchall()
    if [kind for kind, _ in schema].count("table") != 1:
        return False
    if not all(kind in _PLAIN and _PLAIN[kind].fullmatch(" ".join(sql.split())) for kind, sql in schema):
        return False
    columns = {row[1] for row in database.execute("PRAGMA table_info(full_llm_cache)")}
    return columns.issuperset(_COLUMNS)


def _deadline(path: Path) -> Callable[[], bool]:
    """Say whether reading a file has taken too long."""
    until = time.monotonic() + _SECONDS + path.stat().st_size / _BYTES_A_SECOND
    return lambda: time.monotonic() > until


def _within_bounds(path: Path, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """The rows, as long as they aren't too much to be read. Raises CassetteError."""
    values = 0
    for row in rows:
        values += sum(dense_values(text) for text in row if isinstance(text, str))
        if values > MOST_VALUES:
            raise CassetteError(f"{path} has too many values: reading them would take gigabytes")
        yield row


def _way(path: Path) -> str:
    """How to open a database so that nothing is written, not even beside it. Raises CassetteError."""
    path = path.resolve()  # beside a link, SQLite writes nothing
    for suffix in ("-journal", "-wal"):  # SQLite opens them, and would wait for a pipe
        beside = path.with_name(path.name + suffix)
        if beside.exists() and not beside.is_file():
            raise CassetteError(f"{beside} is no file, and stands where a part of {path.name} may be")
    with opened(path) as file:
        if file.read(_WAL_AT + 1)[-1] != _WAL:
            return "mode=ro"
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size:
        raise CassetteError(
            f"{path} is in use, or was when a program ended: part of it is still in {log.name}. Close it"
        )
    return "mode=ro&immutable=1"  # else even a reader of such a file leaves files beside it


# One answer


def _recording(
    prompt: Any, llm: Any, rows: list[tuple[Any, ...]], models: KnownModels, created: float
) -> tuple[Recording, bool]:
    """The recording of an answer, and whether only a cache set with `set_llm_cache` finds it.

    Raises _LeftOutError, UnstableIdentityError, or what wrong data raises.
    """
    is_whole = [row[2] for row in rows] == [*range(len(rows))]
    is_text = all(isinstance(text, str) for text in (prompt, llm, *(row[3] for row in rows)))
    if (
        not is_whole or not is_text or len(llm) > _LONGEST_LLM or llm.startswith(DOCUMENT)
    ):  # that is our own, and would say what its key is
        raise _LeftOutError(_WRONG)
    generations = [_generation(row[3]) for row in rows]
    call = models.call(llm)
    key_of_call = call_key(prompt, llm, call)
    usage = usage_of(generations, document(key_of_call.identity), key_of_call.endpoint, key_of_call.prompt)
    answer = [plain(generation) for generation in generations]
    status = status_of(generations, by_client=call is not None)
    meta = row_of(key_of_call, generations, usage, status=status, created=created, notebook=None)
    return Recording(key_of_call, answer, [], usage, meta), call is None


def _generation(response: str) -> Generation:
    try:
        told = json.loads(response)
    except ValueError:
        told = None
    if not isinstance(told, dict) or "lc" not in told:
        return Generation(text=response)  # LangChain's first releases wrote no more than that
    return _made(told, _GENERATIONS)  # type: ignore[no-any-return]


def _made(told: Mapping[str, Any], known: Mapping[tuple[str, ...], type[Any]]) -> Any:
    """The object that LangChain's `dumps` wrote, if it is of one of these classes. Raises _LeftOutError."""
    cls = known.get(tuple(told["id"])) if told["type"] == "constructor" else None
    if cls is None:
        raise _LeftOutError(_OBJECT)
    fields = dict(told["kwargs"])
    message = {"message": _made(fields.pop("message"), _MESSAGES)} if issubclass(cls, ChatGeneration) else {}
    _refuse_objects(fields)
    if not all(isinstance(item, str | dict) for value in fields.values() for item in _listed(value)):
        raise _LeftOutError(_WRONG)  # pydantic would write down what is wrong with each
    return cls.model_validate({**fields, **message})


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _refuse_objects(value: Any, depth: int = 0) -> None:
    if depth > _DEEPEST:
        raise _LeftOutError(_DEEP)
    if isinstance(value, dict) and not value.keys().isdisjoint({"lc", "__lc_escaped__"}):
        raise _LeftOutError(_OBJECT)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_objects(item, depth + 1)
