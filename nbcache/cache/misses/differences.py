"""How two calls differ, a line for each difference."""

import difflib
import json
from collections.abc import Mapping
from typing import Any

from nbcache.keys.ignored.run_ids import typed_path
from nbcache.keys.key import CallKey

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


def settings_that_differ(before: CallKey, now: CallKey) -> list[str]:
    """The settings in which two calls differ, a line for each."""
    old, new = settings_by_name(before), settings_by_name(now)
    names = [name for name in dict.fromkeys([*old, *new]) if old.get(name, _UNSET) != new.get(name, _UNSET)]
    lines = [f"{name}: {_shown(old.get(name, _UNSET))} → {_shown(new.get(name, _UNSET))}" for name in names]
    if names and all(name not in old or name not in new for name in names):
        lines.append("(what is set on one side only may be a default that the upgrade of a package has changed)")
    return lines


def settings_by_name(call: CallKey) -> dict[str, Any]:
    """The settings of a call by the names and paths that `ignore` takes."""
    document = json.loads(call.identity)
    settings: dict[str, Any] = {"model": call.model}
    for section in _SECTIONS:
        if isinstance(part := document.pop(section, None), dict):
            settings |= _flattened("", part)
    document.pop("draw", None)
    settings |= _flattened("", document)
    settings |= {"endpoint": call.endpoint} if call.endpoint else {}
    settings |= {"draw": call.sample + 1} if call.sample else {}
    named: dict[str, Any] = {}
    for name, value in settings.items():
        path = typed_path(name)
        if name not in {"model_name", "raw"} or value != call.model:
            # Several clients of a model have their headers under one path. If they differ, each stays as it is.
            named[path if named.get(path, value) == value else name] = value
    return named


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


def lines_that_differ(before: str, now: str) -> list[str]:
    """The lines of a prompt that differ, as in a diff."""
    if before == now:
        return []
    _, _, *diff = difflib.unified_diff(before.split("\n"), now.split("\n"), lineterm="", n=0)  # two lines of names
    lines = [line for line in diff if not line.startswith("@@")]
    shown = [f"{line[0]} {_cut(line[1:])}" for line in lines[:_SHOWN]]
    return shown + ([f"… and {len(lines) - _SHOWN:,} lines more"] if len(lines) > _SHOWN else [])


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
