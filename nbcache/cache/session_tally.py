"""The report of a session to the run of pytest that it is part of: a small file for each session.

A kernel that runs a notebook is another process, and may be killed at any moment after a cell.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from nbcache.concurrency.locks import Lock
from nbcache.costs.ledger_sums import total
from nbcache.entry.records import Spending
from nbcache.errors import CassetteError, logger
from nbcache.stores.location import REPORT

if TYPE_CHECKING:
    from nbcache.costs.ledger import Ledger
    from nbcache.replay.playback import Recordings

_DOLLARS = ("spent_usd", "saved_usd", "provider_saved_usd")
_lock = Lock()


@dataclass(frozen=True, slots=True)
class PlayedCassette:
    """A cassette: how many recordings it has, and the prompts of those that were not played. Or why it can't be read."""

    path: Path
    recordings: int = 0
    unused: tuple[str, ...] = ()
    error: str = ""


@dataclass(slots=True)
class Tally:
    """The sums of some sessions, and the keys of the recordings that they played, by cassette.

    `stored` are the hits of the sessions that opened no cassette.
    """

    sums: Spending = field(default_factory=lambda: total(()))
    played: dict[Path, set[str]] = field(default_factory=dict)
    stored: int = 0

    def add_file(self, file: Path) -> None:
        """Add what a session has written. Raises OSError."""
        report = json.loads(file.read_text(encoding="utf-8"))
        self.sums.add(Spending(**report["sums"] | {name: Decimal(report["sums"][name]) for name in _DOLLARS}))
        self.stored += report["stored"]
        for cassette, keys in report["played"].items():
            self.note(Path(cassette), set(keys))

    def note(self, cassette: Path, keys: set[str]) -> None:
        """Add recordings of `cassette` that were played."""
        self.played.setdefault(cassette, set()).update(keys)

    def cassettes(self, also: Iterable[Path]) -> list[PlayedCassette]:
        """The cassettes that were played, and those of `also`, as far as they exist."""
        wanted = sorted({*self.played, *(path.resolve() for path in also)})
        return [self._cassette(path) for path in wanted if path.exists()]

    def _cassette(self, path: Path) -> PlayedCassette:
        from nbcache.replay.cassette_format import read  # noqa: PLC0415 - LangChain is much to import for a run that calls no model

        try:
            recordings = read(path)
        except (CassetteError, OSError) as error:
            return PlayedCassette(path, error=str(error))
        played = self.played.get(path, set())
        unused = (recording.meta.prompt for recording in recordings if recording.call.key not in played)
        return PlayedCassette(path, len(recordings), tuple(unused))

    def write(self, file: Path) -> None:
        """Write it at once: the process may be killed, and pytest may be reading."""
        played = {str(path): sorted(keys) for path, keys in self.played.items()}
        report = {"sums": asdict(self.sums), "played": played, "stored": self.stored}
        unfinished = file.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps(report, default=str), encoding="utf-8")
        unfinished.replace(file)


def read_tally(folder: Path) -> Tally:
    """What all sessions that have written into `folder` did."""
    tally = Tally()
    for file in folder.glob("*.json"):
        tally.add_file(file)
    return tally


def write_tally(ledger: "Ledger", recordings: "Recordings") -> None:
    """Write down what this session has done so far, where `NBCACHE_REPORT` asks for it. Never raises."""
    folder = os.environ.get(REPORT)
    if not folder:
        return
    try:
        with _lock:
            _write(Path(folder), ledger, recordings)
    except Exception as error:  # noqa: BLE001 - nothing of the user's depends on it
        logger.debug("nbcache: the report for pytest could not be written: %s", error)


def _write(folder: Path, ledger: "Ledger", recordings: "Recordings") -> None:
    rows = ledger.rows()
    if not rows:
        return
    file, tally = folder / f"{rows[0].session}.json", Tally()
    if file.exists():  # a session that was installed anew goes on with its sums, but has just opened its cassette
        tally.add_file(file)
    tally.sums = total(rows)
    tally.stored = 0 if tally.played or recordings.opened is not None else tally.sums.hits
    if (cassette := recordings.opened) is not None:  # to ask for it would read it where nobody has
        tally.note(cassette.path.resolve(), cassette.used.copy())
    tally.write(file)
