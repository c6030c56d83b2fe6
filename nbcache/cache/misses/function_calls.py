"""How two calls of functions differ: in an argument, in the code, or in a name that the code uses."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from nbcache.cache.misses.shown_forms import shown_form
from nbcache.entry.kind import FUNCTION, TOOL
from nbcache.keys.key import CallKey
from nbcache.keys.request import document

_KINDS = frozenset({FUNCTION, TOOL})
_UNSET = object()
_WIDTH = 120  # characters of a value
_CODE = "its code has changed, or code of yours that it uses"


def is_of_function(call: CallKey) -> bool:
    """Whether a call is of a function of the user's own."""
    kind = document(call.identity).get("class")
    return isinstance(kind, list) and bool(kind) and kind[0] in _KINDS


def nearest_call(call: CallKey, calls: Iterable[CallKey]) -> CallKey | None:
    """Of `calls`, that of the same function which differs least. None if there is none."""
    named = document(call.identity)["class"]
    others = [other for other in calls if other.key != call.key and document(other.identity).get("class") == named]
    return min(others, key=lambda other: len(differences(other, call)), default=None)


def heading(call: CallKey, nearest: CallKey) -> str:
    """What kind of difference it is."""
    if call.canonical_prompt == nearest.canonical_prompt:
        return f"the same arguments are recorded as {nearest.key[:8]}, and since then something else has changed"
    return f"a call of the same function is recorded as {nearest.key[:8]}"


def differences(before: CallKey, now: CallKey) -> tuple[str, ...]:
    """The differences between two calls of a function, a line each."""
    lines = _changes("argument ", arguments_of(before), arguments_of(now))
    old, new = document(before.identity), document(now.identity)
    if old.get("code") != new.get("code") and "code" in old and "code" in new:
        lines.append(_CODE)
    lines += _changes("the tool's ", _part(old, "tool"), _part(new, "tool"))
    lines += _changes("", _part(old, "names"), _part(new, "names"))
    single = ("version", "python")
    lines += _changes("", _named(old, single), _named(new, single))
    lines += _changes("", _part(old, "libraries"), _part(new, "libraries"))
    if before.sample != now.sample:
        lines.append(f"draw: {before.sample + 1} → {now.sample + 1}")
    return tuple(lines)


def arguments_of(call: CallKey) -> Mapping[str, Any]:
    """The arguments of a call in their canonical forms, by their names."""
    text = call.canonical_prompt.decode(errors="surrogatepass")
    try:
        arguments = json.loads(text[text.index("{") :])
    except ValueError:
        return {}
    return arguments if isinstance(arguments, dict) else {}


def _changes(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    names = [name for name in dict.fromkeys((*old, *new)) if old.get(name, _UNSET) != new.get(name, _UNSET)]
    return [f"{kind}{name}: {_change(old.get(name, _UNSET), new.get(name, _UNSET))}" for name in names]


def _change(old: Any, new: Any) -> str:
    if _is_digest(old) and _is_digest(new):
        return "another value"
    before, now = _shown(old), _shown(new)
    return (
        f"another {now}: its code or settings, or what it holds, have changed" if before == now else f"{before} → {now}"
    )


def _is_digest(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"!digest"}


def _shown(value: Any) -> str:
    if value is _UNSET:
        return "not set"
    text = shown_form(value)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _part(identity: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = identity.get(name)
    return part if isinstance(part, dict) else {}


def _named(identity: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: identity[name] for name in names if name in identity}
