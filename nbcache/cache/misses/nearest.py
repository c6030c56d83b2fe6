"""The nearest recorded call to one that missed, and how the two differ, a line for each difference."""

import contextlib
import difflib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nbcache.entry.text import prompt_text, words
from nbcache.keys.ignored.run_ids import paths_of_ids
from nbcache.keys.key import SENT, CallKey, prompt_of_request
from nbcache.replay.playback import Recordings
from nbcache.replay.replay_key import scrubbed
from nbcache.stores.location import CASSETTE_SUFFIX

_LIKE = 0.5  # how much of a prompt must be the same, from 0 to 1, for a difference to tell something
_COMPARED = 4_000  # characters of a prompt, to find the nearest
_NEAR, _SPELT = 5, 500  # calls of which the letters are compared, and how many of them
_NOT_THE_SAME = 0.001  # what two prompts of the same words differ by
_SHOWN = 12  # lines of a difference
_WIDTH = 160  # characters of one
_UNSET = object()
_SECTIONS = (
    "request",
    "fields",
    "options",
    "told",
    "params",
)  # of an identity's document: in which of them a setting stands doesn't matter here


def new_ids(before: CallKey, now: CallKey) -> list[str]:
    """The only settings in which two calls differ, as `ignore` names them, if each looks like an id, a time or a counter."""
    if before.canonical_prompt != now.canonical_prompt or before.base_key == now.base_key:
        return []
    return paths_of_ids(_flat(before), _flat(now))


def nearest_text(call_key: CallKey, recordings: Recordings) -> str:
    """The nearest recorded call and how to record this one: the lines that follow the error's first."""
    lines = []
    with contextlib.suppress(Exception):  # whatever fails, the error is that nothing was recorded
        clean = replace(scrubbed(call_key, recordings.scrubber)[0], key=call_key.key)
        nearest, changes = difference(clean, recordings.recorded_like(call_key), endpoint=False)
        if nearest is not None:
            lines = [f"{heading(call_key, nearest)}:", *(f"  {change}" for change in changes)]
    path = recordings.path
    how = "run it with `%llmcache on` and a key, then `%llmcache export`"
    if path is None:
        source = (
            "the store, and no cassette is known: this notebook's name isn't, here. NBCACHE_NOTEBOOK names it, or "
            "NBCACHE_CASSETTE the file"
        )
    elif path.exists():
        source = path.name
        how = f"`%llmcache import {path.name}`, or the rest is paid again, too; {how}"
    else:
        source = f"the store, and there is no {path.name}{_others(path)}"
    return "\n".join(["", *lines, f"It isn't in {source}. To record it: {how}"])


def _others(path: Path) -> str:
    """Other cassettes beside the missing one: the notebook may have been renamed."""
    names = sorted(other.name for other in path.parent.glob("*" + CASSETTE_SUFFIX))[:3]
    return f" (beside it: {', '.join(names)}; NBCACHE_CASSETTE names one)" if names else ""


def difference(
    call_key: CallKey, calls: Iterable[CallKey], *, endpoint: bool = True
) -> tuple[CallKey | None, tuple[str, ...]]:
    """The nearest of `calls`, or None if none is near, and the differences, a line each.

    `endpoint` says whether another endpoint counts as a difference.
    """
    if not endpoint:
        call_key = replace(call_key, endpoint="")
        calls = (replace(call, endpoint="") for call in calls)
    text = _text(call_key)
    near, least = _closest((call for call in calls if call.key != call_key.key), _unlike(call_key, text))
    if least > _NOT_THE_SAME + 1 - _LIKE:
        return None, ()
    near, _ = _closest(near, lambda call: len(_settings(call, call_key)))
    nearest = min(near[:_NEAR], key=lambda call: _misspelt(text, _text(call)))
    changes = (*_settings(nearest, call_key), *_lines(_text(nearest), text))
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


# What differs


def _settings(before: CallKey, now: CallKey) -> list[str]:
    old, new = _flat(before), _flat(now)
    names = [name for name in dict.fromkeys([*old, *new]) if old.get(name, _UNSET) != new.get(name, _UNSET)]
    lines = [f"{name}: {_shown(old.get(name, _UNSET))} → {_shown(new.get(name, _UNSET))}" for name in names]
    if names and all(name not in old or name not in new for name in names):
        lines.append("(what is set on one side only may be a default that the upgrade of a package has changed)")
    return lines


def _flat(call: CallKey) -> dict[str, Any]:
    """The settings of a call by their names."""
    document = json.loads(call.identity)
    settings: dict[str, Any] = {"model": call.model}
    for section in _SECTIONS:
        if isinstance(part := document.pop(section, None), dict):
            settings |= _flattened("", part)
    document.pop("draw", None)
    settings |= _flattened("", document)
    settings |= {"endpoint": call.endpoint} if call.endpoint else {}
    settings |= {"draw": call.sample + 1} if call.sample else {}
    return {name: value for name, value in settings.items() if name not in {"model_name", "raw"} or value != call.model}


def _flattened(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping) and value:
        inner = (_flattened(f"{name}.{key}" if name else str(key), item) for key, item in value.items())
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        inner = (_flattened(f"{name}[{number}]", item) for number, item in enumerate(value))
    else:
        return {name: value}
    return {key: item for part in inner for key, item in part.items()}


def _shown(value: Any) -> str:
    return "not set" if value is _UNSET else _cut(json.dumps(value, ensure_ascii=False))


def _lines(before: str, now: str) -> list[str]:
    """The lines of a prompt that differ, as in a diff."""
    if before == now:
        return []
    _, _, *diff = difflib.unified_diff(before.split("\n"), now.split("\n"), lineterm="", n=0)  # two lines of names
    lines = [line for line in diff if not line.startswith("@@")]
    shown = [f"{line[0]} {_cut(line[1:])}" for line in lines[:_SHOWN]]
    return shown + ([f"… and {len(lines) - _SHOWN:,} lines more"] if len(lines) > _SHOWN else [])


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
