"""A cassette that is there already, when it is written anew: what was taken out of it is not to come back."""

import json
import re
from collections.abc import Mapping

from nbcache.replay.secrets.scrubber import SECRET

_KEY = re.compile(rb'{"nbcache": ?\d+, ?"key": ?"([0-9a-f]+)"')  # as an export begins a line


def recorded_lines(cassette: bytes) -> dict[str, str]:
    """The lines of a cassette by their keys, as far as they tell these."""
    found = {}
    for line in cassette.split(b"\n"):
        key = _key_of(line)
        if key is not None:
            found[key] = line.decode(errors="replace")
    return found


def lines_without_key(cassette: bytes) -> int:
    """How many lines aren't blank and tell no key: edited by hand, a conflict of git's, or another program's."""
    return sum(1 for line in cassette.split(b"\n") if line.strip() and _key_of(line) is None)


def refuse_to_uncover(before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raise ValueError where a new line tells what the line of the same entry had a placeholder for."""
    covered = [_after_key(line) for key, line in before.items() if SECRET in line and key not in now]
    fresh = [(key, _after_key(line)) for key, line in now.items() if key not in before] if covered else []
    for key, line in fresh:
        if any(_is_without_secrets(line, old) for old in covered):
            raise ValueError(
                f"{key[:8]} would be written with what the file has as {SECRET}, so the file stays as it is: say again "
                "what is to be taken out, by `secrets` (in a terminal `--secret`), or delete the file first"
            )


def _key_of(line: bytes) -> str | None:
    if found := _KEY.match(line):
        return found[1].decode()
    try:
        key = json.loads(line).get("key")
    except (ValueError, AttributeError, RecursionError):
        return None
    return key if isinstance(key, str) else None


def _after_key(line: str) -> str:
    """What a line tells besides its key, which is another one with the secret."""
    return line.partition('"model": ')[2]


def _is_without_secrets(line: str, old: str) -> bool:
    """Whether `old` is `line` with placeholders in the place of something."""
    first, *others = old.split(SECRET)
    if not line.startswith(first):
        return False
    at = len(first)
    for part in others[:-1]:
        at = line.find(part, at + 1) + len(part)
        if at < len(part):
            return False
    return line.endswith(others[-1]) and at < len(line) - len(others[-1])
