"""What is measured: each row's title, its unit, and the column that others are compared with."""

from dataclasses import dataclass

from .columns import EMBEDDINGS, GET, IN_MEMORY, JOBLIB, NBCACHE, NONE, REDIS_CACHE, SQLITE

Unit = tuple[float, str]
MICRO, MILLI, SECOND = (1e6, "µs"), (1e3, "ms"), (1.0, "s")
MEGA, KILO, COUNT = (1e-6, "MB"), (1e-3, "kB"), (1.0, "")
SMALLEST = "10,000 entries"
IMPORTS = "the two imports"


@dataclass(frozen=True)
class Row:
    """A line of the tables of figures."""

    title: str
    unit: Unit
    beside: str
    """The column of which the others are a ratio."""


SECTIONS: dict[str, dict[str, Row]] = {
    "A call of `ChatOpenAI` with ten options that is a hit": {
        "first call": Row("the first call of a kernel", MILLI, IN_MEMORY),
        "first hits": Row("first hits in a kernel, nothing decoded", MICRO, IN_MEMORY),
        "next cell": Row("the same calls in the next cell", MICRO, IN_MEMORY),
        "repeated": Row("repeated hit, nobody listens", MICRO, IN_MEMORY),
        "settled": Row("the same with what hits leave for the cell's end", MICRO, IN_MEMORY),
        "called back": Row("repeated hit, after which `nbcache.on` calls a function", MICRO, IN_MEMORY),
        "listened": Row("repeated hit with a callback handler", MICRO, IN_MEMORY),
        "100 kB": Row("repeated hit, prompt of 100 kB", MICRO, IN_MEMORY),
        "turn 2": Row("hit at turn 2 of a chat", MICRO, IN_MEMORY),
        "turn 20": Row("hit at turn 20 of a chat", MICRO, IN_MEMORY),
        "turn 200": Row("hit at turn 200 of a chat", MILLI, IN_MEMORY),
        "awaited": Row("hit of `ainvoke`", MICRO, IN_MEMORY),
        "threads": Row("hits in 50 threads, one", MICRO, IN_MEMORY),
        "batch": Row("`batch` of 1,000 hits, one", MICRO, IN_MEMORY),
    },
    "A stream, beside LangChain's own of chunks that are ready": {
        "first chunk": Row("its first chunk", MICRO, NONE),
        "stream": Row("all of its chunks", MILLI, NONE),
        "awaited stream": Row("all of its chunks, `astream`", MILLI, NONE),
    },
    "A call that is made, of a model that answers at once": {
        "miss": Row("miss, with its write", MICRO, NONE),
        "miss, its write": Row("of it the store's write", MICRO, NONE),
        "cache=False": Row("a call with `cache=False`", MICRO, NONE),
        "stall": Row("1,000 misses at once on one loop: its longest stall", MILLI, NONE),
    },
    "Lookups and updates by hand, in a store of 10,000 entries of 2 kB": {
        "lookup": Row("lookup of distinct keys from disk", MICRO, SQLITE),
        "lookup again": Row("the same keys again", MICRO, SQLITE),
        "no entry": Row("lookup of keys that are not there", MICRO, SQLITE),
        "update": Row("update, committed", MICRO, SQLITE),
        "update by hand": Row("update in a kernel", MICRO, SQLITE),
    },
    "Other clients": {
        "sdk": Row("a call of OpenAI's client that is wrapped, repeated", MICRO, NONE),
        "sdk, plain": Row("the same of a client that nobody wrapped", MICRO, NONE),
        "passing": Row("a small request of `httpx` that is no call of a model", MICRO, NONE),
        "embeddings": Row("1,000 texts embedded before", MILLI, EMBEDDINGS),
    },
    "A function that is memoized": {
        "function": Row("repeated hit, argument and value of 1 kB", MICRO, JOBLIB),
        "function, frame": Row("repeated hit, data frames of 10 MB", MILLI, JOBLIB),
    },
    "A store on a Redis server on loopback": {
        "redis hit": Row("the bytes of a hit", MICRO, GET),
        "redis lookup": Row("lookup of an answer of 2 kB", MICRO, REDIS_CACHE),
        "redis page": Row(
            "page of 50 of 100,000 entries, the slowest of its sorts, filters, searches and places", MILLI, NBCACHE
        ),
        "redis first search": Row("the first search of a process for a word among them", SECOND, NBCACHE),
        "redis lists": Row("list them anew, after the server has evicted the lists", SECOND, NBCACHE),
        "redis bytes": Row("bytes of an entry beside its payload, the most of these", KILO, NBCACHE),
    },
    "A folder with a Redis server behind it": {
        "tier hit": Row("the bytes of a hit of the folder", MICRO, NBCACHE),
        "tier update": Row("a stored answer, until the call returns", MICRO, NBCACHE),
        "tier updates": Row("one of a hundred stored answers in a row", MICRO, NBCACHE),
    },
    "A kernel": {
        "load": Row("two imports and `%load_ext nbcache` in a fresh IPython", MILLI, IMPORTS),
        "load alone": Row("`%load_ext nbcache` in a fresh IPython", MILLI, IMPORTS),
        "memory": Row("memory after 100,000 misses", MEGA, NONE),
        "disk": Row("bytes on disk for an answer of 2 kB", KILO, SQLITE),
        "disk, unindexed": Row("the same, without the search index", KILO, SQLITE),
        "crowd": Row("8 processes, 500 updates and lookups each: lost, wrong or failed", COUNT, SQLITE),
        "traffic": Row("messages of a panel in the busiest second of 1,000 hits", COUNT, NONE),
        "paint": Row("first paint of a panel in JupyterLab", MILLI, NONE),
        "paint, sent": Row("what is sent for it, without the script", KILO, NONE),
    },
    "A team on one server": {
        "team": Row("16 processes, 1,000 calls of 200 keys each, the server killed twice: wrong or lost", COUNT, NONE),
        "team, requests": Row("requests a key of these while the server is up", COUNT, NONE),
    },
    "What is stored grows": {
        "opening": Row("open a store", MILLI, SMALLEST),
        "page": Row("page of 50, the slowest of its sorts, filters and places", MILLI, SMALLEST),
        "stats": Row("`stats`", MILLI, SMALLEST),
        "facets": Row("facets", MILLI, SMALLEST),
        "search, word": Row("search for a word", MILLI, SMALLEST),
        "search, prefix": Row("search for a prefix", MILLI, SMALLEST),
        "search, letter": Row("search for a letter", MILLI, SMALLEST),
        "evict": Row("`evict` of one", MILLI, SMALLEST),
        "dry run": Row("dry run of `clear --match`: a word in every eighth entry", MILLI, SMALLEST),
        "dry run, a sentence": Row("two words that follow each other in one of six hundred", MILLI, SMALLEST),
        "dry run, nothing": Row("two words of which one is nowhere", MILLI, SMALLEST),
        "tag": Row("`tag` of the entries of some models, a tenth", MILLI, SMALLEST),
        "tag, oldest": Row("`tag` of the oldest tenth", MILLI, SMALLEST),
        "tag, dry run": Row("dry run of `tag`", MILLI, SMALLEST),
        "expire": Row("`expire` of the entries of some models, a tenth", MILLI, SMALLEST),
        "expire, oldest": Row("`expire` of the oldest tenth", MILLI, SMALLEST),
        "clear": Row("`clear` of the entries of some models, a tenth", MILLI, SMALLEST),
        "clear, oldest": Row("`clear` of the oldest tenth", MILLI, SMALLEST),
        "clear, dry run": Row("dry run of `clear` by a model", MILLI, SMALLEST),
        "why": Row("why a call missed", MILLI, SMALLEST),
        "export": Row("export of everything", SECOND, SMALLEST),
        "export, memory": Row("memory that it takes", MEGA, SMALLEST),
        "import": Row("import into an empty store", SECOND, SMALLEST),
        "import, memory": Row("memory that it takes", MEGA, SMALLEST),
    },
}
ROWS = {name: row for section in SECTIONS.values() for name, row in section.items()}
