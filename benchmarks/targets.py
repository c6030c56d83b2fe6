"""What is to be reached."""

from collections.abc import Callable
from dataclasses import dataclass

from .columns import (
    DISKCACHE,
    GET,
    IN_MEMORY,
    JOBLIB,
    LANGCHAIN_REDIS,
    LANGGRAPH,
    NBCACHE,
    NONE,
    REDIS_CACHE,
    SQLITE,
    SQLITE3,
    TIERS,
)
from .figures import SECONDS, Figures, Spread
from .rows import IMPORTS, SMALLEST

_FACTORS = {"ms": 1e3, "µs": 1e6, "MB": 1e-6, "kB": 1e-3}
LARGE, LARGEST = "100,000 entries", "1,000,000 entries"
Measure = Callable[[Figures, str], Spread | None]


@dataclass(frozen=True)
class Target:
    """Something that should be at most `limit`, a ratio if `unit` is empty."""

    what: str
    limit: float
    measure: Measure
    unit: str = ""

    def measured(self, figures: Figures, kind: str = SECONDS) -> Spread | None:
        """What it is, by time, processor time or instructions. None if that wasn't measured."""
        if self.unit and kind != SECONDS:
            return None
        return self.measure(figures, kind)


def _ratio(row: str, theirs: str, limit: float, what: str, ours: str = NBCACHE) -> Target:
    return Target(what, limit, lambda figures, kind: figures.ratio((row, ours), (row, theirs), kind))


def _value(row: str, column: str, unit: str, limit: float, what: str) -> Target:
    def measure(figures: Figures, kind: str) -> Spread | None:
        return _scaled(figures.rounds(row, column, kind), _FACTORS.get(unit, 1))

    return Target(what, limit, measure, unit)


def _extra(row: str, apart: str, limit: float, what: str) -> Target:
    """What nbcache adds to a call, in microseconds, without another row."""

    def measure(figures: Figures, kind: str) -> Spread | None:
        ours, bare = figures.rounds(row, NBCACHE, kind), figures.rounds(row, NONE, kind)
        less = figures.rounds(apart, NBCACHE, kind) if apart else [0.0] * len(ours)
        return _scaled([a - b - c for a, b, c in zip(ours, bare, less, strict=False)], 1e6)

    return Target(what, limit, measure, "µs")


def _more(row: str, than: str, limit: float, what: str) -> Target:
    """By how many microseconds a row of nbcache's takes longer than another."""

    def measure(figures: Figures, kind: str) -> Spread | None:
        pairs = zip(figures.rounds(row, NBCACHE, kind), figures.rounds(than, NBCACHE, kind), strict=False)
        return _scaled([ours - other for ours, other in pairs], 1e6)

    return Target(what, limit, measure, "µs")


def _scaled(rounds: list[float], factor: float) -> Spread | None:
    return Spread.of([each * factor for each in rounds]) if rounds else None


def _growth(row: str, what: str, limit: float, unit: str = "ms", column: str = LARGEST) -> Target:
    return _value(row, column, unit, limit, f"{what} at {column}")


TARGETS = (
    _ratio("listened", IN_MEMORY, 0.7, "repeated hit, 2 kB prompt, somebody listens / InMemoryCache's"),
    _ratio("repeated", IN_MEMORY, 0.3, "the same where nobody listens / InMemoryCache's"),
    _more("called back", "repeated", 2, "what a hit takes more with callbacks of `nbcache.on`"),
    _ratio("next cell", IN_MEMORY, 1.0, "first hits of the next cell / InMemoryCache's"),
    _ratio("first hits", IN_MEMORY, 1.3, "first hits in a new kernel / InMemoryCache's"),
    _ratio("turn 200", IN_MEMORY, 0.2, "hit at turn 200 of a chat / InMemoryCache's"),
    _ratio("stream", NONE, 1.2, "streamed hit, all chunks / LangChain's own streaming of them"),
    _extra("miss", "miss, its write", 60, "what a miss takes more than the call, without the write"),
    _extra("cache=False", "", 20, "what a call with `cache=False` takes more"),
    _ratio("update", SQLITE, 1 / 10, "update / SQLiteCache's"),
    _ratio("update", SQLITE3, 3, "update / bare sqlite3's insert of the same bytes"),
    _ratio("lookup", LANGGRAPH, 1.0, "lookup of distinct keys from disk / LangGraph's SqliteCache"),
    _ratio("lookup", DISKCACHE, 2.0, "lookup of distinct keys from disk / bare diskcache `get`"),
    _ratio("lookup", SQLITE, 1 / 6, "lookup of distinct keys from disk / SQLiteCache's"),
    _ratio("sdk, plain", NONE, 1.5, "hit of OpenAI's client / what the client takes with a response in memory"),
    _ratio("passing", NONE, 1.02, "small request of `httpx` to another path / without nbcache"),
    _ratio("function", JOBLIB, 1 / 3, "repeated hit of a function with 1 kB / joblib.Memory's"),
    _ratio("function", DISKCACHE, 1.0, "the same / diskcache's `memoize`"),
    _ratio("function, frame", JOBLIB, 1.0, "repeated hit of a function with frames of 10 MB / joblib.Memory's"),
    _ratio("redis hit", GET, 1.6, "hit from Redis, 2 kB / a bare `GET` of the same bytes"),
    _ratio("redis lookup", REDIS_CACHE, 0.5, "lookup in Redis / community's RedisCache"),
    _ratio("redis lookup", LANGCHAIN_REDIS, 0.5, "the same / langchain-redis's, on a server with its modules"),
    _value("redis page", NBCACHE, "ms", 50, "page of 50 of 100,000 in Redis, any sort, filter, search and place"),
    _value("redis bytes", NBCACHE, "kB", 1.2, "bytes of an entry in Redis beside its payload: small, longer or sealed"),
    _ratio(
        "tier hit",
        NBCACHE,
        1.05,
        "hit of a folder with Redis behind it, without a command to it / of the folder alone",
        TIERS,
    ),
    _ratio(
        "tier update",
        NBCACHE,
        1.3,
        "stored answer with Redis behind, until the call returns / of the folder alone",
        TIERS,
    ),
    _ratio("load", IMPORTS, 1.1, "two imports and `%load_ext` / the imports"),
    _ratio("stall", NONE, 1.5, "1,000 misses at once on one loop: longest stall / uncached"),
    _value("memory", NBCACHE, "MB", 20, "growth of a kernel by 100,000 misses"),
    _ratio("disk", SQLITE, 0.9, "bytes on disk / SQLiteCache's"),
    _ratio("disk, unindexed", SQLITE, 0.6, "bytes on disk without the search index / SQLiteCache's"),
    _value("crowd", NBCACHE, "calls", 0, "8 processes on one store: lost, wrong or failed"),
    _value("team", NBCACHE, "calls", 0, "16 processes on a server that is killed twice: wrong or lost"),
    _value("team, requests", NBCACHE, "requests", 1.02, "requests a key of these while the server is up"),
    _value("traffic", NBCACHE, "messages", 10, "a panel in the busiest second of 1,000 hits"),
    _value("paint", LARGE, "ms", 250, f"first paint of a panel at {LARGE}"),
    _value("paint, sent", LARGE, "kB", 60, "what is sent for it, without the script"),
    _growth("page", "page of 50, any sort, filter and place", 30),
    Target(
        f"the same / at {SMALLEST}",
        1.5,
        lambda figures, kind: figures.ratio(("page", LARGEST), ("page", SMALLEST), kind),
    ),
    *(
        _growth(row, what, 50)
        for row, what in {
            "stats": "`stats`",
            "facets": "facets",
            "opening": "opening",
            "search, word": "search for a word",
            "search, prefix": "search for a prefix",
            "search, letter": "search for a letter",
        }.items()
    ),
    _growth("evict", "`evict` of one", 20),
    _growth("dry run", "dry run of `clear --match`", 1_000),
    *(
        _growth(f"{what}{which}", f"`{what}` of a tenth of the entries, {by}", 1, "s", LARGE)
        for what in ("tag", "expire", "clear")
        for which, by in (("", "by model"), (", oldest", "by age"))
    ),
    _growth("export", "export", 25, "s", LARGE),
    _growth("export, memory", "memory of the export", 200, "MB", LARGE),
    _growth("import", "import", 20, "s", LARGE),
    _growth("import, memory", "memory of the import", 200, "MB", LARGE),
)
