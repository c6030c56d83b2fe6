"""From a call to its key: what of a request counts, in one form."""

from typing import TYPE_CHECKING

from nbcache._names import handed_on

if TYPE_CHECKING:
    from nbcache.keys.key import KEY_VERSION, CallKey, cache_key, call_key

__all__ = ["KEY_VERSION", "CallKey", "cache_key", "call_key"]
__getattr__ = handed_on(
    "nbcache.keys",
    dict.fromkeys(__all__, "key"),
    {
        "drawn": "nbcache.keys.key:with_sample",
        "replay_key": "nbcache.replay.replay_key:replay_key",
        "scrubbed": "nbcache.replay.replay_key:scrubbed",
    },
)
