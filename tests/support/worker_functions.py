"""What tests have worker processes run: imported by these alone, and light."""

import sys


def ask(url: str, number: int) -> str:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model="m", base_url=url, api_key="k").invoke(f"q{number}").text


def refused(url: str) -> str:
    """How a call ends that was never recorded, in a worker of a pool in `replay`."""
    try:
        return ask(url, 99)
    except BaseException as error:  # noqa: BLE001 - ReplayMiss is no Exception
        return type(error).__name__


def modules() -> list[str]:
    """What is imported that a worker may not need."""
    return sorted(
        {"langchain_core", "nbcache.session.installation", "nbcache.cache.notebook_cache", "pydantic"}
        & set(sys.modules)
    )


def with_a_store_of_its_own(url: str, store: str) -> str:
    """The misses and entries of a worker that turns on the cache itself."""
    import nbcache

    nbcache.install(store)
    ask(url, 1)
    stats = nbcache.stats()
    return f"{stats.misses} {stats.entries}"
