"""Writing over an existing cassette: secrets stay out of it, and what a later release wrote stays in it."""

import json
import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from nbcache.errors import CassetteError
from nbcache.replay.cassette_draft import CassetteDraft
from nbcache.replay.cassette_format import FIELDS, FORMAT_VERSION
from nbcache.replay.secrets.scrubber import SECRET

_KEY = re.compile(rb'{"nbcache": ?\d+, ?"key": ?"([0-9a-f]+)"')  # as an export begins a line
_AT_ONCE = 1_000  # lines with a placeholder that are held in memory


def compare(draft: CassetteDraft, path: Path) -> int:
    """Take into the draft what has to stay of the file at `path`. Returns how many of its lines have no key.

    These aren't blank: they were edited by hand, left by a conflict in git, or are of another program. Raises CassetteError
    where a newer nbcache wrote the file, ValueError where the draft has what the file has a placeholder for.
    """
    with path.open("rb") as file:
        unknown = sum(_is_unknown(draft, path, number, with_plain_end(line)) for number, line in enumerate(file, 1))
    for key, before, line in draft.changed():
        if _has_later_fields(before, line):
            draft.keep_instead(key, before)
    draft.place_kept()
    _refuse_to_uncover(draft)
    return unknown


def with_plain_end(line: bytes) -> bytes:
    """A line of a file as an export writes it: git may have ended it as on Windows."""
    return line[:-2] + b"\n" if line.endswith(b"\r\n") else line


def _is_unknown(draft: CassetteDraft, path: Path, number: int, line: bytes) -> bool:
    """Note a line of the file. Returns whether it is no recording, blank, or of a kind that a later release writes."""
    line = line.removesuffix(b"\n")
    beginning = _KEY.match(line)
    if beginning and draft.line_of(beginning[1]) == line:  # nothing else has to be known of it
        draft.add_earlier(beginning[1], None)
        return False
    values = _values(line)
    _refuse_newer(path, number, values)
    readable = line.decode(errors="replace").encode()
    if "kind" in values:
        draft.keep(readable)
    key = values.get("key") if beginning is None else beginning[1].decode()
    if isinstance(key, str):
        draft.add_earlier(key.encode(errors="surrogatepass"), readable)
        return False
    return bool(line.strip()) and "kind" not in values


def _refuse_newer(path: Path, number: int, values: Mapping[str, Any]) -> None:
    """Raise CassetteError where a newer release has written a line in a format that this one doesn't know."""
    version = values.get("nbcache")
    if type(version) is int and version > FORMAT_VERSION:
        raise CassetteError(
            f"{path}, line {number} was written by a newer nbcache, so the file stays as it is: upgrade nbcache, or name "
            "another file to export to"
        )


def _has_later_fields(before: bytes, line: bytes) -> bool:
    """Whether `before` is `line` with fields of a later release added."""
    values = _values(before)
    known = {name: value for name, value in values.items() if name in FIELDS}
    return len(known) < len(values) and known == json.loads(line)


def _refuse_to_uncover(draft: CassetteDraft) -> None:
    """Raise ValueError if a new line shows what a line that goes has a placeholder for."""
    placeholder = SECRET.encode()
    covered = (_after_key(line) for _, line in draft.gone() if placeholder in line)
    while some := list(islice(covered, _AT_ONCE)):
        for key, line in draft.fresh():
            shown = _after_key(line)
            if any(_is_without_secrets(shown, old) for old in some):
                raise ValueError(
                    f"{key.decode()[:8]} would be written with what the file has as {SECRET}, so the file stays as it is: "
                    "say again what is to be taken out, by `secrets` (in a terminal `--secret`), or delete the file first"
                )


def _values(line: bytes) -> dict[str, Any]:
    """The fields of a line. None if it is not a JSON object."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _after_key(line: bytes) -> str:
    """The part of a line after its key. The key itself differs: a call has another key with its secret than without."""
    return line.decode().partition('"model": ')[2]


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
