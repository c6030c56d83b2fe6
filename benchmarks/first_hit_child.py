"""A new process: seconds from before any import to the first answer.

`python -m benchmarks.first_hit_child CACHE STORE URL`, the messages as JSON on standard input.
"""

from time import perf_counter

start = perf_counter()

import json  # noqa: E402 - the clock starts first
import sys  # noqa: E402


def main(cache: str, store: str, base_url: str) -> None:
    """Ask as a user's script would, and print the seconds and the answer as JSON."""
    if cache == "nbcache":
        import nbcache

        nbcache.install(store)
    elif cache == "SQLiteCache":
        from langchain_community.cache import SQLiteCache
        from langchain_core.globals import set_llm_cache

        set_llm_cache(SQLiteCache(store))
    from .model import chat_model

    answer = chat_model(base_url).invoke([(role, text) for role, text in json.load(sys.stdin)])
    json.dump({"seconds": perf_counter() - start, "answer": answer.content}, sys.stdout)


main(*sys.argv[1:])
