"""Why a call missed: what went, or what differs from the nearest call that was recorded."""

import contextlib
import difflib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from nbcache._names import public_in
from nbcache.costs.accounts import NEW
from nbcache.entry.models import CallRecord
from nbcache.entry.quantities import ago_text
from nbcache.entry.text import prompt_preview, prompt_text, words
from nbcache.errors import UnsupportedError
from nbcache.keys.ignored.parameters import also_ignored
from nbcache.keys.ignored.run_ids import advice, paths_of_ids
from nbcache.keys.key import SENT, CallKey, prompt_of_request
from nbcache.replay.recordings import Recordings
from nbcache.replay.replay_key import scrubbed
from nbcache.replay.secrets.scrubber import Scrubber
from nbcache.stores.location import CASSETTE_SUFFIX

_LIKE = 0.5  # how much of a prompt must be the same, from 0 to 1, for a difference to tell something
_COMPARED = 4_000  # characters of a prompt, to find the nearest
_NEAR, _SPELT = 5, 500  # calls of which the letters are compared, and how many of them
_NOT_THE_SAME = 0.001  # what two prompts of the same words differ by
_SHOWN = 12  # lines of a difference
_WIDTH = 160  # characters of one
_UNSET = object()
_numbers = count(1)
_SECTIONS = (
    "request",
    "fields",
    "options",
    "told",
    "params",
)  # of an identity's document: which of them tells matters to nobody


@public_in("nbcache")
@dataclass(frozen=True, slots=True)
class Why:
    """Why a call missed. `reason` is one of few words, `changes` what differs from the entry `nearest`, a line each."""

    model: str
    prompt: str
    reason: str
    text: str
    key: str | None = None
    nearest: str | None = None
    changes: tuple[str, ...] = ()

    def scrubbed(self, scrubber: Scrubber) -> "Why":
        """The same without secrets: outputs of notebooks are kept."""
        changes = tuple(map(scrubber.text, self.changes))
        return replace(self, prompt=scrubber.text(self.prompt), text=scrubber.text(self.text), changes=changes)

    def __str__(self) -> str:
        said = f" {self.prompt!r}" if self.prompt else ""
        return "\n".join([f"{self.model or 'a call'}{said}: {self.text}", *(f"  {line}" for line in self.changes)])


@dataclass(slots=True)
class Missed:
    """A call that missed: its line in the ledger, what the key was made of if it had one, and what went wrong if anything."""

    record: CallRecord
    asked: CallKey | None
    prompt: str
    detail: str = ""
    replayed: bool = False  # in mode `replay`
    number: int = field(default_factory=_numbers.__next__)  # which tells it from all others, those without a key too


_TEXTS = {
    "off": "the cache was off for this call",
    "refresh": "in mode `refresh` every call is made anew",
    "renewed": "it was to be made anew, as asked in the panel",
    "excluded": "it is excluded, by `%config NBCache.exclude`",
    "class not here": "its answer holds an object of a class that isn't defined here, or is another by now",
    "damaged": "its entry was damaged; `%llmcache check --fix` mends the store",
    "newer": "its entry was stored by a newer nbcache or LangChain, and is left alone; upgrade nbcache to have it",
    "failure": "the cache failed, and the call went on without it",
    "cut off": "an answer is recorded, but it was cut off, which makes it no hit; `replay` plays it",
    "filtered": "an answer is recorded, but it was filtered, or failed at the provider's, which makes it no hit; `replay` plays it",
    "empty": "an answer is recorded, but it was empty, which makes it no hit; `replay` plays it",
    "unfinished": "an answer is recorded, but its end was not seen, which makes it no hit; `replay` plays it",
    "not kept": "it was answered before in this session, but its answer could not be kept, or wasn't to be",
    "expired": "its answer had expired",
    "evicted": "its answer had been evicted to keep within the store's bounds",
}


def explain(missed: Missed, like: Callable[[CallKey], Iterable[CallKey]]) -> Why:
    """Why it missed. `like` gives recorded calls that may be the nearest, and is only asked for a call that is new."""
    record, asked = missed.record, missed.asked
    told = partial(Why, record.model, prompt_preview(missed.prompt), key=record.key)
    if record.gone is not None:
        return told(reason=record.why, text=f"{_text_of(record.why)}, {ago_text(record.when - record.gone)} before")
    if record.why != NEW or asked is None:
        text = missed.detail or _text_of(record.why)
        return told(reason=record.why, text=text)
    try:
        nearest, changes = difference(asked, like(asked), endpoint=not missed.replayed)
    except UnsupportedError as error:
        return told(reason="new", text=f"no entry has its key, and which is nearest isn't known: {error}")
    if nearest is None:
        return told(reason="new", text="nothing like it was recorded")
    if ids := new_ids(nearest, asked):
        changes = (*changes, advice(ids, also_ignored()))
    return told(reason="new", text=heading(asked, nearest), nearest=nearest.key, changes=changes)


def _text_of(why: str) -> str:
    """A reason for people: a newer release may have stored one that has no text here."""
    return _TEXTS.get(why) or f"it is {why}"


def new_ids(before: CallKey, now: CallKey) -> list[str]:
    """The settings, as `ignore` names them, in which alone two calls differ, where each looks like an id, a time or a counter."""
    if before.canonical_prompt != now.canonical_prompt or before.base_key == now.base_key:
        return []
    return paths_of_ids(_flat(before), _flat(now))


def nearest_text(asked: CallKey, recordings: Recordings) -> str:
    """What is recorded that is like this call, and how to record it: lines to go on with."""
    lines = []
    with contextlib.suppress(Exception):  # whatever fails, the error is that nothing was recorded
        clean = replace(scrubbed(asked, recordings.scrubber)[0], key=asked.key)
        nearest, changes = difference(clean, recordings.recorded_like(asked), endpoint=False)
        if nearest is not None:
            lines = [f"{heading(asked, nearest)}:", *(f"  {change}" for change in changes)]
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
    """The cassettes that are there in its place: a notebook may have another name now."""
    found = sorted(other.name for other in path.parent.glob("*" + CASSETTE_SUFFIX))[:3]
    return f" (beside it: {', '.join(found)}; NBCACHE_CASSETTE names one)" if found else ""


def difference(
    asked: CallKey, calls: Iterable[CallKey], *, endpoint: bool = True
) -> tuple[CallKey | None, tuple[str, ...]]:
    """The nearest of `calls`, and what differs, a line each, where it counts the `endpoint`; None where none is near."""
    if not endpoint:
        asked = replace(asked, endpoint="")
        calls = (replace(call, endpoint="") for call in calls)
    said = _text(asked)
    near, least = _closest((call for call in calls if call.key != asked.key), _unlike(asked, said))
    if least > _NOT_THE_SAME + 1 - _LIKE:
        return None, ()
    near, _ = _closest(near, lambda call: len(_settings(call, asked)))
    nearest = min(near[:_NEAR], key=lambda call: _misspelt(said, _text(call)))
    changes = (*_settings(nearest, asked), *_lines(_text(nearest), said))
    is_unseen = not changes and nearest.canonical_prompt != asked.canonical_prompt
    return nearest, ("what isn't text in the prompt: an image, a file, or who says it",) if is_unseen else changes


def _text(call: CallKey) -> str:
    """A call's prompt as text: as it is sent, where that is known, since a recording tells no more."""
    return prompt_text(
        prompt_of_request(call.canonical_prompt) if call.canonical_prompt.startswith(SENT) else call.prompt
    )


def _closest(calls: Iterable[CallKey], distance: Callable[[CallKey], float]) -> tuple[list[CallKey], float]:
    """Those at the least distance, and that distance; infinite where there are none."""
    found: list[CallKey] = []
    least = math.inf
    for call in calls:
        far = distance(call)
        if far < least:
            found, least = [], far
        if far == least:
            found.append(call)
    return found, least


def heading(asked: CallKey, nearest: CallKey) -> str:
    """What kind of difference it is."""
    if asked.base_key == nearest.base_key:
        return f"draw {asked.sample + 1} of this call is new, and draw {nearest.sample + 1} is recorded as {nearest.key[:8]}"
    same_prompt, same_rest = asked.canonical_prompt == nearest.canonical_prompt, asked.identity == nearest.identity
    if same_prompt and same_rest:
        return f"the same call is recorded as {nearest.key[:8]}, at another endpoint"
    if same_prompt:
        return f"the same prompt is recorded as {nearest.key[:8]}, with other settings"
    if same_rest:
        return f"a prompt like it is recorded as {nearest.key[:8]}, with the same settings"
    return f"a call like it is recorded as {nearest.key[:8]}"


def _unlike(asked: CallKey, said: str) -> Callable[[CallKey], float]:
    """How unlike what was asked a call's prompt is: 0 for the same, to 1 for one that has no word in common."""
    mine = words(said[:_COMPARED])

    def distance(call: CallKey) -> float:
        if call.canonical_prompt == asked.canonical_prompt:
            return 0.0
        text = _text(call)
        theirs = words(text[:_COMPARED])
        return _NOT_THE_SAME + 1 - (len(mine & theirs) / len(mine | theirs) if mine or theirs else float(text == said))

    return distance


def _misspelt(one: str, other: str) -> float:
    """The same by letters, for prompts that share as many words."""
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
    found: dict[str, Any] = {"model": call.model}
    for section in _SECTIONS:
        if isinstance(part := document.pop(section, None), dict):
            found |= _flattened("", part)
    document.pop("draw", None)
    found |= _flattened("", document)
    found |= {"endpoint": call.endpoint} if call.endpoint else {}
    found |= {"draw": call.sample + 1} if call.sample else {}
    return {name: value for name, value in found.items() if name not in {"model_name", "raw"} or value != call.model}


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
    """The lines of a prompt that differ, as a diff has them."""
    if before == now:
        return []
    _, _, *told = difflib.unified_diff(before.split("\n"), now.split("\n"), lineterm="", n=0)  # two lines of names
    lines = [line for line in told if not line.startswith("@@")]
    shown = [f"{line[0]} {_cut(line[1:])}" for line in lines[:_SHOWN]]
    return shown + ([f"… and {len(lines) - _SHOWN:,} lines more"] if len(lines) > _SHOWN else [])


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
