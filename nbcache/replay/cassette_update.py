"""Writing over an existing cassette: secrets stay out of it, and what a later release wrote stays in it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbcache.errors import CassetteError
from nbcache.replay.cassette_format import FIELDS, FORMAT_VERSION
from nbcache.replay.secrets.scrubber import SECRET

_KEY = re.compile(rb'{"nbcache": ?\d+, ?"key": ?"([0-9a-f]+)"')  # as an export begins a line


def recorded_lines(cassette: bytes) -> dict[str, str]:
    """The lines of a cassette by their keys. Lines without a key are left out."""
    lines = {}
    for line in cassette.split(b"\n"):
        key = _key_of(line)
        if key is not None:
            lines[key] = line.decode(errors="replace")
    return lines


def lines_without_key(cassette: bytes) -> int:
    """How many lines have no key and aren't blank: edited by hand, left by a conflict in git, or of another program."""
    lines = [line for line in cassette.split(b"\n") if line.strip() and _key_of(line) is None]
    return sum("kind" not in _values(line) for line in lines)


def refuse_newer(path: Path, cassette: bytes) -> None:
    """Raise CassetteError where a newer release has written a line in a format that this one doesn't know."""
    for number, line in enumerate(cassette.split(b"\n"), 1):
        version = _values(line).get("nbcache")
        if type(version) is int and version > FORMAT_VERSION:
            raise CassetteError(
                f"{path}, line {number} was written by a newer nbcache, so the file stays as it is: upgrade nbcache, or name "
                "another file to export to"
            )


def with_later_parts(cassette: bytes, lines: Mapping[str, str]) -> list[str]:
    """These lines, by their keys, with the fields and the lines of other kinds that a later release wrote."""
    before = recorded_lines(cassette)
    kinds = [line.decode(errors="replace") for line in cassette.split(b"\n") if "kind" in _values(line)]
    return [*(_with_later_fields(before.get(key, line), line) for key, line in lines.items()), *kinds]


def _with_later_fields(before: str, line: str) -> str:
    """`before` if it is `line` with fields of a later release added, else `line`."""
    if before == line:
        return line
    values = _values(before.encode())
    known = {name: value for name, value in values.items() if name in FIELDS}
    return before if len(known) < len(values) and known == json.loads(line) else line


def refuse_to_uncover(before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raise ValueError if a new line shows what an existing line of the same entry has a placeholder for."""
    covered = [_after_key(line) for key, line in before.items() if SECRET in line and key not in now]
    fresh = [(key, _after_key(line)) for key, line in now.items() if key not in before] if covered else []
    for key, line in fresh:
        if any(_is_without_secrets(line, old) for old in covered):
            raise ValueError(
                f"{key[:8]} would be written with what the file has as {SECRET}, so the file stays as it is: say again "
                "what is to be taken out, by `secrets` (in a terminal `--secret`), or delete the file first"
            )


def _key_of(line: bytes) -> str | None:
    if match := _KEY.match(line):
        return match[1].decode()
    key = _values(line).get("key")
    return key if isinstance(key, str) else None


def _values(line: bytes) -> dict[str, Any]:
    """The fields of a line. None if it is not a JSON object."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _after_key(line: str) -> str:
    """The part of a line after its key. The key itself differs: a call has another key with its secret than without."""
    return line.partition('"model": ')[2]


def _is_without_secrets(line: str, old: str) -> bool:
    """Whether `old` is `line` with some of its text replaced by placeholders."""
    first, *others = old.split(SECRET)
    if not line.startswith(first):
        return False
    at = len(first)
    for part in others[:-1]:
        at = line.find(part, at + 1) + len(part)
        if at < len(part):
            return False
    return line.endswith(others[-1]) and at < len(line) - len(others[-1])
