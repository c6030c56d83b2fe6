"""Why a call missed, in words. Which recorded call is nearest to it is in `nearest`."""

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

from nbcache import public_in
from nbcache.cache.misses.candidates import recorded_like, stored_like
from nbcache.cache.misses.log import NEWER, LoggedMiss
from nbcache.cache.misses.nearest import difference, heading, is_new_time_or_uuid, nearest_text, new_ids
from nbcache.costs.events import CHEAP, NEW, NOT_KEPT
from nbcache.entry.durations_and_sizes import ago_text
from nbcache.entry.text import prompt_preview
from nbcache.errors import StoreError, UnsupportedError
from nbcache.keys.ignored.langchain_parameters import also_ignored
from nbcache.keys.ignored.run_ids import advice
from nbcache.keys.key import CallKey
from nbcache.replay.playback import Recordings
from nbcache.replay.secrets.scrubber import Scrubber
from nbcache.stores.base import Tombstones


@public_in("nbcache")
@dataclass(frozen=True, slots=True)
class Why:
    """Why a call missed. `reason` is one of a few words; `changes` are the differences from the entry `nearest`, a line each."""

    model: str
    prompt: str
    reason: str
    text: str
    key: str | None = None
    nearest: str | None = None
    changes: tuple[str, ...] = ()

    def scrubbed(self, scrubber: Scrubber) -> "Why":
        """The same without secrets, since the outputs of a notebook are saved with it."""
        changes = tuple(map(scrubber.text, self.changes))
        return replace(self, prompt=scrubber.text(self.prompt), text=scrubber.text(self.text), changes=changes)

    def __str__(self) -> str:
        prompt = f" {self.prompt!r}" if self.prompt else ""
        return "\n".join([f"{self.model or 'a call'}{prompt}: {self.text}", *(f"  {line}" for line in self.changes)])


_TEXTS = {
    "off": "the cache was off for this call",
    "refresh": "in mode `refresh` every call is made anew",
    "renewed": "it was to be made anew, as asked in the panel",
    "excluded": "it is excluded, by `%config NBCache.exclude`",
    "class not here": "its answer holds an object of a class that isn't defined here, or is another by now",
    NEWER: "its entry was stored by a newer nbcache or LangChain, and is left alone; upgrade nbcache to have it",
    "damaged": "its entry was damaged; `%llmcache check --fix` mends the store",
    "failure": "the cache failed, and the call went on without it",
    "cut off": "an answer is recorded, but it was cut off, which makes it no hit; `replay` plays it",
    "filtered": "an answer is recorded, but it was filtered, or failed at the provider's, which makes it no hit; `replay` plays it",
    "empty": "an answer is recorded, but it was empty, which makes it no hit; `replay` plays it",
    "unfinished": "an answer is recorded, but its end was not seen, which makes it no hit; `replay` plays it",
    NOT_KEPT: "it was made before in this session, and no answer was kept: it failed or still ran, was left or interrupted "
    "before its end, could not be kept, or wasn't to be",
    CHEAP: "it was made before in this session, and its answer was not kept: it reached no minimum of `NBCache.min_seconds` and "
    "`NBCache.min_usd`",
    "expired": "its answer had expired",
    "evicted": "its answer had been evicted to keep within the store's bounds",
    "evicted by hand": "its answer had been evicted by hand",
    "cleared": "its answer had been cleared",
}

_NORMALIZE = (
    "only dates, times or UUIDs in the prompt differ. If no answer depends on them, `NBCache.normalize` takes what a regular "
    "expression matches out of the key"
)


def explain(missed: LoggedMiss, recordings: Recordings) -> Why:
    """Why a call missed. Entries that were stored after it don't matter."""
    similar = partial(recorded_like if missed.replayed else stored_like, recordings)
    return _explain(missed, partial(similar, until=missed.record.when)).scrubbed(recordings.scrubber)


def _explain(missed: LoggedMiss, similar: Callable[[CallKey], Iterable[CallKey]]) -> Why:
    """Why it missed. `similar` finds recorded calls that may be the nearest. It is called only for a call that is new."""
    record, call_key = missed.record, missed.call_key
    why = partial(Why, record.model, prompt_preview(missed.prompt), key=record.key)
    if record.gone is not None:
        return why(reason=record.why, text=f"{_text_of(record.why)}, {ago_text(record.when - record.gone)} before")
    if record.why != NEW or call_key is None:
        text = missed.detail or _text_of(record.why)
        return why(reason=record.why, text=text)
    try:
        nearest, changes = difference(call_key, similar(call_key), endpoint=not missed.replayed)
    except UnsupportedError as error:
        return why(reason="new", text=f"no entry has its key, and which is nearest isn't known: {error}")
    if nearest is None:
        return why(reason="new", text="nothing like it was recorded")
    if ids := new_ids(nearest, call_key):
        changes = (*changes, advice(ids, also_ignored()))
    elif is_new_time_or_uuid(nearest, call_key):
        changes = (*changes, _NORMALIZE)
    return why(reason="new", text=heading(call_key, nearest), nearest=nearest.key, changes=changes)


def absence_text(call_key: CallKey, recordings: Recordings) -> str:
    """Why `replay` finds no recording of a call, the nearest one, and how to record it: the end of a sentence, and lines."""
    text, store = "was never recorded", recordings.store
    with contextlib.suppress(StoreError):
        if isinstance(store, Tombstones) and (removal := store.tombstone(call_key.key, now := time.time(), keep=True)):
            why, gone = removal
            text = f"is not recorded any more: {_text_of(why)}, {ago_text(now - gone)} before"
    return text + nearest_text(call_key, recordings)


def _text_of(reason: str) -> str:
    """A reason in words. A newer release may have stored a reason that has no words here."""
    return _TEXTS.get(reason) or f"it is {reason}"
