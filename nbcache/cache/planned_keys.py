"""Under which key a call would be looked up. Nothing is counted, and no sample is used up."""

from typing import NamedTuple

from nbcache.cache.call import Call
from nbcache.cache.lookup import sampled, unsampled_key
from nbcache.cache.modes import LOOKS_UP
from nbcache.cache.notebook_cache import NotebookCache
from nbcache.keys.key import CallKey


class PlannedKey(NamedTuple):
    """The key of a call, and whether it would be looked up: not in a mode such as `refresh`."""

    key: CallKey
    is_looked_up: bool


def planned_key(cache: NotebookCache, prompt: str, llm_string: str, call: Call) -> PlannedKey:
    """Under which key this call would be looked up. End the call afterwards: it gives its samples back.

    Raises UnstableIdentityError if it has no key.
    """
    settings = cache.pinned_settings(call)
    key = sampled(unsampled_key(prompt, llm_string, call, cache.rules), call, settings)
    return PlannedKey(key, settings.mode in LOOKS_UP and not cache.refreshes(key.key))
