"""All figures of one run, and how they stand to what was to be reached."""

from dataclasses import asdict, dataclass
from typing import Any

from . import contenders as those
from .calls import Calls
from .cassettes import Cassettes
from .crowd import Crowd
from .invoke import AGAIN
from .lookups import Lookups
from .panel import Panel
from .processes import ALONE, IMPORTS, Load
from .size import Sizes
from .target import Target
from .timing import Series


@dataclass(frozen=True)
class Results:
    """Everything that one run measured."""

    machine: dict[str, str]
    sizes: tuple[int, ...]
    lookups: Lookups
    invoke: dict[str, Series]
    first_hit: dict[str, Series]
    load: Load
    crowd: Crowd
    sqlite_crowd: Crowd
    size: Sizes
    calls: Calls
    panel: Panel
    cassettes: Cassettes
    seconds: float

    def targets(self) -> list[Target]:
        """Each line of the table of targets."""
        small, large = self.sizes
        update, counts = self.lookups.update, self.crowd.counts
        ours, theirs = those.FROM_DISK, those.SQLITE
        hits = {"keys at random": self.lookups.hit, "the same keys again": self.lookups.rehit}
        processes = f"{self.crowd.processes} processes, {self.crowd.each:,} updates and lookups each"
        stored = f"bytes on disk, {self.size.entries:,} answers of 2 kB"
        return [
            *(
                _ratio(f"lookup hit from disk, {keys}, at {n:,} / SQLiteCache", each[ours, n], each[theirs, n], 1 / 6)
                for keys, each in hits.items()
                for n in self.sizes
            ),
            *(
                _ratio(f"the same, {keys}, at {large:,} / at {small:,}", each[ours, large], each[ours, small], 1.3)
                for keys, each in hits.items()
            ),
            _ratio(
                "`llm.invoke` on a hit / InMemoryCache without nbcache",
                self.invoke[AGAIN],
                self.invoke[those.IN_MEMORY],
                1.3,
            ),
            *(
                _ratio(f"update, at {n:,} / SQLiteCache", update[those.NBCACHE, n], update[theirs, n], 1 / 10)
                for n in self.sizes
            ),
            Target("two imports and `%load_ext nbcache` / the imports, in one fresh IPython", self.load.ratio, 1.15),
            _ratio(
                "`%load_ext nbcache` alone / the two imports, each in a fresh IPython",
                self.load.times[ALONE],
                self.load.times[IMPORTS],
                1.15,
            ),
            Target(f"heavy modules that it loads ({', '.join(self.load.heavy) or 'none'})", len(self.load.heavy), 0),
            Target(f"{processes}: lost", counts.lost, 0),
            Target(f"{processes}: errors", counts.errors, 0),
            Target(f"{processes}: wrong", counts.wrong, 0),
            Target(f"{stored}, without the search index / SQLiteCache", self.size.unindexed / self.size.sqlite, 0.6),
            Target(f"{stored}, with it / SQLiteCache", self.size.nbcache / self.size.sqlite, 0.9),
            *self.calls.targets(),
            *self.panel.targets(),
            *self.cassettes.targets(),
        ]

    def as_json(self) -> dict[str, Any]:
        """Every round of everything, in seconds and bytes."""
        series: dict[str, dict[str, Series]] = {
            **{
                f"lookup.{name}": {f"{who} at {n}": each for (who, n), each in getattr(self.lookups, name).items()}
                for name in ("hit", "rehit", "settle", "miss", "update")
            },
            "invoke": self.invoke,
            "first_hit": self.first_hit,
            "load": self.load.times,
        }
        return {
            "machine": self.machine,
            "targets": [{**asdict(each), "reached": each.reached} for each in self.targets()],
            "seconds": {
                what: {who: list(each.rounds) for who, each in whose.items()} for what, whose in series.items()
            },
            "filling": self.lookups.filling,
            "heavy": self.load.heavy,
            "crowd": asdict(self.crowd),
            "sqlite_crowd": asdict(self.sqlite_crowd),
            "size": asdict(self.size),
            "calls": self.calls.as_json(),
            "panel": self.panel.as_json(),
            "cassettes": self.cassettes.as_json(),
            "run": self.seconds,
        }


def _ratio(what: str, ours: Series, theirs: Series, limit: float) -> Target:
    return Target(what, ours.ratio(theirs), limit, ours.ratio_of_best(theirs))
