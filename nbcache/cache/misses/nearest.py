"""The nearest recorded call to one that missed. How the two differ is in `differences`."""

import contextlib
import difflib
import math
import re
from collections.abc import Callable, Iterable

from nbcache.cache.misses import function_calls
from nbcache.cache.misses.candidates import recorded_like
from nbcache.cache.misses.differences import lines_that_differ, settings_by_name, settings_that_differ
from nbcache.cache.misses.recording_advice import how_to_record
from nbcache.entry.text import prompt_text, words
from nbcache.keys.ignored.run_ids import paths_of_ids
from nbcache.keys.key import SENT, CallKey, prompt_of_request
from nbcache.replay.playback import Recordings
from nbcache.replay.replay_key import scrubbed

_LIKE = 0.5  # how much of a prompt must be the same, from 0 to 1, for a difference to tell something
_COMPARED = 4_000  # characters of a prompt, to find the nearest
_NEAR, _SPELT = 5, 500  # calls of which the letters are compared, and how many of them
_TIME_OR_UUID = re.compile(
    r"\b(?:[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?"
    r"|\d\d?:\d\d(?::\d\d(?:\.\d+)?)?)\b"
)
_NOT_THE_SAME = 0.001  # what two prompts of the same words differ by


def new_ids(before: CallKey, now: CallKey) -> list[str]:
    """The only settings in which two calls differ, as `ignore` names them, if each looks like an id, a time or a counter."""
    if before.canonical_prompt != now.canonical_prompt or before.base_key == now.base_key:
        return []
    if function_calls.is_of_function(now):
        return []
    return paths_of_ids(settings_by_name(before), settings_by_name(now))


def is_new_time_or_uuid(before: CallKey, now: CallKey) -> bool:
    """Whether two calls differ only in dates, times or UUIDs in their prompts."""
    if before.identity != now.identity or before.sample != now.sample or function_calls.is_of_function(now):
        return False
    old, new = _text(before), _text(now)
    return old != new and _TIME_OR_UUID.sub("", old) == _TIME_OR_UUID.sub("", new)


def nearest_text(call_key: CallKey, recordings: Recordings) -> str:
    """The nearest recorded call and how to record this one: the lines that follow the error's first."""
    lines = []
    with contextlib.suppress(Exception):  # whatever fails, the error is that nothing was recorded
        clean = scrubbed(call_key, recordings.scrubber)[0]._replace(key=call_key.key)
        nearest, changes = difference(clean, recorded_like(recordings, call_key), endpoint=False)
        if nearest is not None:
            lines = [f"{heading(call_key, nearest)}:", *(f"  {change}" for change in changes)]
    return "\n".join(["", *lines, how_to_record(recordings)])


def difference(
    call_key: CallKey, calls: Iterable[CallKey], *, endpoint: bool = True
) -> tuple[CallKey | None, tuple[str, ...]]:
    """The nearest of `calls`, or None if none is near, and the differences, a line each.

    `endpoint` says whether another endpoint counts as a difference.
    """
    if function_calls.is_of_function(call_key):
        of_function = function_calls.nearest_call(call_key, calls)
        return of_function, () if of_function is None else function_calls.differences(of_function, call_key)
    if not endpoint:
        call_key = call_key._replace(endpoint="")
        calls = (call._replace(endpoint="") for call in calls)
    text = _text(call_key)
    near, least = _closest((call for call in calls if call.key != call_key.key), _unlike(call_key, text))
    if least > _NOT_THE_SAME + 1 - _LIKE:
        return None, ()
    near, _ = _closest(near, lambda call: len(settings_that_differ(call, call_key)))
    nearest = min(near[:_NEAR], key=lambda call: _misspelt(text, _text(call)))
    changes = (*settings_that_differ(nearest, call_key), *lines_that_differ(_text(nearest), text))
    is_unseen = not changes and nearest.canonical_prompt != call_key.canonical_prompt
    return nearest, ("what isn't text in the prompt: an image, a file, or who says it",) if is_unseen else changes


def _text(call: CallKey) -> str:
    """A call's prompt as text: as it is sent if that is known, since a recording may hold nothing else."""
    return prompt_text(
        prompt_of_request(call.canonical_prompt) if call.canonical_prompt.startswith(SENT) else call.prompt
    )


def _closest(calls: Iterable[CallKey], distance: Callable[[CallKey], float]) -> tuple[list[CallKey], float]:
    """The calls at the least distance, and that distance (infinite if there are no calls)."""
    closest: list[CallKey] = []
    least = math.inf
    for call in calls:
        far = distance(call)
        if far < least:
            closest, least = [], far
        if far == least:
            closest.append(call)
    return closest, least


def heading(call_key: CallKey, nearest: CallKey) -> str:
    """What kind of difference it is."""
    if call_key.base_key == nearest.base_key:
        return f"draw {call_key.sample + 1} of this call is new, and draw {nearest.sample + 1} is recorded as {nearest.key[:8]}"
    if function_calls.is_of_function(call_key):
        return function_calls.heading(call_key, nearest)
    same_prompt, same_rest = (
        call_key.canonical_prompt == nearest.canonical_prompt,
        call_key.identity == nearest.identity,
    )
    if same_prompt and same_rest:
        return f"the same call is recorded as {nearest.key[:8]}, at another endpoint"
    if same_prompt:
        return f"the same prompt is recorded as {nearest.key[:8]}, with other settings"
    if same_rest:
        return f"a prompt like it is recorded as {nearest.key[:8]}, with the same settings"
    return f"a call like it is recorded as {nearest.key[:8]}"


def _unlike(call_key: CallKey, text: str) -> Callable[[CallKey], float]:
    """How unlike another call's prompt is: from 0 for the same, to 1 for one that has no word in common."""
    mine = words(text[:_COMPARED])

    def distance(call: CallKey) -> float:
        if call.canonical_prompt == call_key.canonical_prompt:
            return 0.0
        other = _text(call)
        theirs = words(other[:_COMPARED])
        return _NOT_THE_SAME + 1 - (len(mine & theirs) / len(mine | theirs) if mine or theirs else float(other == text))

    return distance


def _misspelt(one: str, other: str) -> float:
    """How unlike two prompts are by their letters, for those that share as many words."""
    return 1 - difflib.SequenceMatcher(None, one[:_SPELT], other[:_SPELT]).ratio()
