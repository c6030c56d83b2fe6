"""The Python API over the installed cache: what a magic does is a function here."""

import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from nbcache import public_in
from nbcache.cache import session_end
from nbcache.cache.misses.explain import Why
from nbcache.cache.modes import REPLAY
from nbcache.cache.setting_field import refuse_unknown
from nbcache.concurrency.change_listeners import listen as listen  # noqa: PLC0414 - one of those below
from nbcache.entry.records import Cleared, EntryMeta, Info, Record
from nbcache.entry.stats import Stats
from nbcache.errors import warn_once
from nbcache.replay.export_import_results import Exported, Imported
from nbcache.session.installation import installed
from nbcache.session.plans import Plan, planned
from nbcache.stores.base import LedgerStore
from nbcache.stores.entry_filters import FILTERS
from nbcache.stores.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

_SENT_WITHIN = 10.0  # seconds
CHOOSING = (*FILTERS, "scope", "dry_run")  # the arguments by which entries are chosen


@overload
def stats(scope: str | None = None, *, lifetime: bool = False, by: None = None) -> Stats: ...
@overload
def stats(scope: str | None = None, *, lifetime: bool = False, by: Literal["model", "kind"]) -> "pd.DataFrame": ...


@public_in("nbcache")
def stats(scope: str | None = None, *, lifetime: bool = False, by: str | None = None) -> "Stats | pd.DataFrame":
    """Calls, money and time since the cache was turned on, and the entries and bytes of the scope.

    With `lifetime`, all calls in the store's ledger are counted, of the scope (`notebook` or `folder`). With
    `by="model"`, returns a DataFrame with a row for each model, and with `by="kind"` one for each kind of call: `call`,
    `embedding`, `function` and `tool`. Raises ValueError for another `by`.
    """
    cache = installed()
    if by is None:
        return cache.stats(scope, lifetime=lifetime)
    if by not in {"model", "kind"}:
        raise ValueError(f"by={by!r}: write model or kind")
    from nbcache.session.dataframes import kinds_frame, models_frame  # noqa: PLC0415 - pandas takes a second to import

    rows = cache.spendings(scope, lifetime=lifetime)
    return models_frame(rows) if by == "model" else kinds_frame(rows)


@public_in("nbcache")
def history(scope: str | None = None) -> "pd.DataFrame":
    """What each execution of a cell in the scope paid and saved, oldest first. Times are UTC, money is in US dollars."""
    from nbcache.session.dataframes import history_frame  # noqa: PLC0415 - as above

    return history_frame(installed().contents(scope).spendings())


@public_in("nbcache")
def last() -> "pd.DataFrame":
    """A row for each call of the last cell that made any: hit or miss and why, model, US dollars and seconds."""
    from nbcache.session.dataframes import calls_frame  # noqa: PLC0415 - as above

    return calls_frame(installed().ledger.calls())


@public_in("nbcache")
def entries(scope: str | None = None, **which: Any) -> "pd.DataFrame":
    """A row for each entry of the scope that matches, newest first. Times are UTC; `expires` is missing without a TTL.

    The filters are those of `clear`. A warning says which values there are, if no entry has one of these.
    """
    refuse_unknown(entries, which, FILTERS)
    frame, unknown = listed(scope, which)
    if unknown:
        warn_once(unknown, unknown)
    return frame


def listed(scope: str | None, which: Mapping[str, Any], progress: Progress | None = None) -> "tuple[pd.DataFrame, str]":
    """As `entries`, and what `Contents.unknown_values` says if there are none."""
    from nbcache.session.dataframes import entries_frame  # noqa: PLC0415 - pandas takes a second to import

    contents, filters = installed().contents(scope), dict(which)
    spare = spared_by(filters.pop("unused", None))
    frame = entries_frame(contents.columns_matching(spare=spare, progress=progress, **filters))
    return frame, contents.unknown_values(filters) if frame.empty else ""


@public_in("nbcache")
def show(key: str) -> Record:
    """The whole entry whose key begins with `key`. Raises UnknownKeyError or AmbiguousKeyError."""
    return installed().contents().read(key)


@public_in("nbcache")
def evict(key: str) -> EntryMeta:
    """Delete the entry whose key begins with `key`, of at least four digits. Returns its row. Raises as `show`."""
    return installed().contents().evict(key)


@public_in("nbcache")
def clear(*, scope: str | None = None, unused: bool = False, **which: Any) -> Cleared:
    """Delete the entries of the scope, or those for which all of these filters hold. With `dry_run`, only say which.

    The filters are `match`, `model`, `tag`, `function`, `kind`, `client`, `status`, `older_than`, `not_hit_since`,
    `larger_than`, `cheaper_than`, `cell`, `where` and `unused`: `docs/delete.md` says what each means. `unused` means what
    this session has neither hit nor stored. Raises ValueError where it has called nothing yet. A warning says which values
    there are, if no entry has one of these.
    """
    refuse_unknown(clear, which, (*CHOOSING, "progress", "deleted"))
    done, unknown = cleared(scope, unused=unused, **which)
    if unknown:
        warn_once(unknown, unknown)
    return done


def cleared(scope: str | None, *, unused: bool, **which: Any) -> tuple[Cleared, str]:
    """As `clear`, and what `Contents.unknown_values` says if nothing was to be cleared."""
    spare = spared_by(unused)
    contents = installed().contents(scope)
    done = contents.clear(spare=spare, **which)
    return done, "" if done.deleted or done.kept else contents.unknown_values(which)


def spared_by(unused: object) -> Collection[str]:
    """The keys that the filter `unused` leaves out. Raises TypeError for another value, and ValueError as `used_keys`."""
    if unused is not None and not isinstance(unused, bool):
        raise TypeError(f"unused={unused!r}: write True or False")
    return used_keys() if unused else ()


def used_keys() -> Collection[str]:
    """The keys that this session has hit or stored. Raises ValueError if there are none: then all entries would be unused."""
    used = installed().ledger.used()
    if not used:
        raise ValueError("unused: this session hasn't used an entry yet, so all would go; run the notebook first")
    return used


@public_in("nbcache")
def export_cassette(
    path: str | Path | None = None,
    used: bool = False,  # noqa: FBT001, FBT002 - the API's promise
    *,
    check: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Write this notebook's entries, without secrets, into a file for git, from which `replay` plays them.

    The default of `path` is `NBCACHE_CASSETTE`, else `<notebook>.llmcache.jsonl` beside the notebook. With `used`, only
    entries that this session has hit or stored are written. With `check`, nothing is written, and the result says whether
    the file would change. Raises ValueError if there is nothing to write or no path; StoreError; OSError.
    """
    cache = installed()
    target = cache.recordings.path if path is None else Path(path).expanduser()
    if target is None:
        raise ValueError("this notebook's file isn't known here: name the file to export to, or NBCACHE_NOTEBOOK")
    if cache.settings.mode == REPLAY and not check and cache.recordings.plays(target):
        raise ValueError(f"in `replay` {target.name} is played, and the store may have less: `%llmcache on` first")
    from nbcache.replay.cassette_export import export_entries  # noqa: PLC0415 - most sessions need none of it

    return export_entries(
        cache.contents(),
        target,
        scrubber=cache.scrubber,
        normalize=cache.rules.normalize,
        keys=cache.ledger.used() if used else None,
        check=check,
        progress=progress,
    )


@public_in("nbcache")
def import_cassette(
    path: str | Path,
    prefer: str = "store",
    dry_run: bool = False,  # noqa: FBT001, FBT002 - as above
    *,
    progress: Progress | None = None,
    stored: Progress | None = None,
) -> Imported:
    """Put the answers recorded in a file into the store, as this notebook's: all of them, or none if the file is wrong.

    If store and file have different answers to a call, `prefer` says which stays: `store` or `file`. With `dry_run`
    nothing is changed. `progress` is called with how many lines are read, and `stored` with how many recordings are stored,
    each with of how many. Raises ValueError, CassetteError, StoreError or OSError.
    """
    from nbcache.replay.cassette_import import import_entries  # noqa: PLC0415 - as above

    return import_entries(
        installed().contents(),
        Path(path).expanduser(),
        prefer=prefer,
        dry_run=dry_run,
        progress=progress,
        stored=stored,
    )


@public_in("nbcache")
def plan() -> Plan:
    """What the calls of this session would cost now; if it has made none, those of this notebook's last session.

    Raises ValueError if no session is known; StoreError.
    """
    cache = installed()
    cache.flush()
    ledger, name = cache.ledger, "this"
    calls = ledger.called()
    if not calls:
        if not isinstance(cache.store, LedgerStore):
            raise ValueError(
                f"plan: this session has called no model yet, and the store {cache.store.url} keeps no earlier one"
            )
        name, calls = "last", cache.store.last_calls(cache.notebook, but=ledger.id)
    if not calls:
        raise ValueError("plan: no session of this notebook has called a model yet; run it once")
    if cache.settings.mode == REPLAY:
        return Plan(name, 0, (), REPLAY)
    return planned(name, calls, cache.store, time.time())


@public_in("nbcache")
def why(key: str | None = None) -> Why:
    """Why the last call of this session missed, or the last one whose key begins with `key`. `str()` gives the text.

    Raises UnknownKeyError if no such call missed.
    """
    return installed().why(key)


@public_in("nbcache")
def info(answer: Any) -> Info | None:
    """Whether `answer` was a hit, its key, what it cost, and when it was recorded. None if it is not of this session.

    `answer` is a message of LangChain's, or a response of an SDK: parsed, raw, or a chunk of a stream. Of all else, such as
    the value of a memoized function, the result is None.
    """
    cache = installed()
    cache.flush()  # what it cost is written down then
    return cache.info(answer)


@public_in("nbcache")
def flush() -> None:
    """Write down what was counted, and wait until all tiers of the store have the new answers: 10 seconds at most.

    This happens by itself at the end of each cell and of the process. What a server can't get now is sent when it can.
    """
    cache = installed()
    cache.flush()
    session_end.send(cache.store, _SENT_WITHIN)


@public_in("nbcache")
def check(*, fix: bool = False, progress: Progress | None = None) -> list[str]:
    """Check the store. Returns a line for each problem. With `fix` they are mended; damaged entries are deleted."""
    return installed().contents().check(fix=fix, progress=progress)
