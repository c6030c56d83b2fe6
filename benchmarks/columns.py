"""What is measured side by side."""

from importlib.util import find_spec

NBCACHE = "nbcache"
IN_MEMORY = "InMemoryCache"
SQLITE = "SQLiteCache"
LANGGRAPH = "LangGraph's SqliteCache"
DSPY = "DSPy's cache"
JOBLIB = "joblib.Memory"
DISKCACHE = "bare diskcache"
SQLITE3 = "bare sqlite3"
GET = "bare GET"
REDIS_CACHE = "RedisCache"
LANGCHAIN_REDIS = "langchain-redis's RedisCache"
TIERS = "nbcache, a folder with Redis behind it"
SMALL, MIDDLE, SEALED = "payload of 1 kB", "payloads of 3 to 4 kB", "payload of 1 kB, sealed"
EMBEDDINGS = "CacheBackedEmbeddings"
NONE = "no cache"

ALL = (
    NBCACHE,
    IN_MEMORY,
    SQLITE,
    LANGGRAPH,
    DSPY,
    JOBLIB,
    EMBEDDINGS,
    DISKCACHE,
    SQLITE3,
    REDIS_CACHE,
    LANGCHAIN_REDIS,
    GET,
    NONE,
    TIERS,
)

_PACKAGES = {
    SQLITE: ("langchain_community",),
    REDIS_CACHE: ("langchain_community", "redis"),
    LANGCHAIN_REDIS: ("langchain_redis",),
    LANGGRAPH: ("langgraph", "langgraph.cache", "langgraph.cache.sqlite"),
    DSPY: ("dspy",),
    JOBLIB: ("joblib",),
    EMBEDDINGS: ("langchain_classic",),
}


def missing() -> list[str]:
    """Columns whose packages are not installed here; they are left out."""
    return [column for column, packages in _PACKAGES.items() if not all(map(find_spec, packages))]
