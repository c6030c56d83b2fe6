"""The calls among which the nearest to one that missed is looked for: recorded ones that say much the same."""

import math
from collections.abc import Iterator

from nbcache.cache.misses.function_calls import is_of_function
from nbcache.entry.text import longest_words, prompt_text, words
from nbcache.errors import UnsupportedError
from nbcache.keys.key import CallKey
from nbcache.replay.playback import Recordings
from nbcache.stores.base import Searchable

_CANDIDATES = 40


def recorded_like(recordings: Recordings, call: CallKey, until: float = math.inf) -> Iterator[CallKey]:
    """The calls that may be much like `call`, of those that `replay` plays: all of a cassette, or the store's as below."""
    cassette = recordings.cassette()
    if cassette is None:
        yield from stored_like(recordings, call, until)
        return
    yield from (recording.call for recording in cassette.recordings.values())


def stored_like(
    recordings: Recordings, call: CallKey, until: float = math.inf, most: int = _CANDIDATES
) -> Iterator[CallKey]:
    """At most `most` calls that may be much like `call`: those stored that share most of its words.

    `until` is in seconds since the epoch: what was stored later doesn't count. Raises UnsupportedError if the store can't
    search its entries.
    """
    store = recordings.store
    if not isinstance(store, Searchable):
        raise UnsupportedError(f"the store {store.url} can't search its entries")
    keys = store.similar(longest_words(prompt_text(call.prompt)), most)
    if is_of_function(call):  # whatever its arguments are
        keys = [*dict.fromkeys((*store.similar(sorted(words(call.model)), most), *keys))]
    for key in keys:
        payload = store.get(key, include_expired=True)
        if payload is not None and (stored := recordings.stored_call(key, payload, until)) is not None:
            yield stored
