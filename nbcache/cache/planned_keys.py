"""Under which key a call would be looked up. Nothing is counted, and no sample is used up."""

from nbcache.cache.call import Call
from nbcache.cache.lookup import sampled
from nbcache.cache.modes import LOOKS_UP
from nbcache.cache.notebook_cache import NotebookCache
from nbcache.keys.key import CallKey, call_key


def planned_key(cache: NotebookCache, prompt: str, llm_string: str, call: Call) -> tuple[CallKey, bool]:
    """The key of a call, and whether it would be looked up: not in a mode such as `refresh`. End the call afterwards.

    Raises UnstableIdentityError if it has no key.
    """
    settings = cache.pinned_settings(call)
    normalize = cache.rules.normalize if call.function is None else None
    key = sampled(call_key(prompt, llm_string, call, normalize), call, settings)
    return key, settings.mode in LOOKS_UP and not cache.refreshes(key.key)
