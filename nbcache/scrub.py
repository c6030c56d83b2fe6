"""Secrets in what others will read: found, and replaced by a placeholder."""

from collections.abc import Iterable
from typing import Any

from nbcache.secret_forms import Rule, folded, is_value, kind_of, likely, named, own
from nbcache.time_limit import SECONDS, TooSlowError, time_limit

SECRET = "[secret]"  # noqa: S105 - what is written in place of one
_SHORT, _REMEMBERED = 1_000, 4_096  # characters, and texts
_ROUNDS = 20  # in which a text is searched


class Scrubber:
    """Takes secrets out of texts and JSON values, and what the user's own regular expressions match besides.

    Where such an expression has a group named `secret`, that group alone is taken out. It is sought between the secrets
    that are found already, as in texts of their own. Raises ValueError where one is wrong.
    """

    def __init__(self, patterns: str | Iterable[str] = ()) -> None:
        if not isinstance(patterns, Iterable):
            raise ValueError(f"patterns={patterns!r}: write a regular expression, or several")  # noqa: TRY004 - a setting
        self.patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
        self._own = [*map(own, self.patterns)]
        self._harmless: set[str] = set()  # most texts of entries are names of fields, the same in all

    def text(self, text: str) -> str:
        """`text` without secrets."""
        return SECRET.join(self._parts(text)[::2])

    def value(self, value: Any) -> Any:
        """A JSON value without secrets: those in its texts, and the texts under keys that name one, such as `password`."""
        return self._clean(value, [])

    def found(self, value: Any) -> list[str]:
        """What `value` takes out, in words for a report: each kind once, in the order in which they come."""
        if self._is_clean(value):
            return []
        kinds: list[str] = []
        self._clean(value, kinds)
        return list(dict.fromkeys(kinds))

    def _is_clean(self, value: Any) -> bool:
        """Whether there is neither a secret nor a placeholder: far quicker to find out than to write it all anew."""
        if isinstance(value, str):
            return value in self._harmless or len(self._parts(value)) == 1
        if isinstance(value, list):
            return all(map(self._is_clean, value))
        for key, item in value.items() if isinstance(value, dict) else ():
            if key not in self._harmless and not self._is_clean(key):
                return False
            if isinstance(item, str | list | dict) and (
                (isinstance(key, str) and named(key)) or not self._is_clean(item)
            ):
                return False
        return True

    def _clean(self, value: Any, kinds: list[str]) -> Any:
        if isinstance(value, str):
            parts = self._parts(value)
            kinds += filter(None, parts[1::2])
            return SECRET.join(parts[::2])
        if isinstance(value, list):
            return [self._clean(item, kinds) for item in value]
        return self._clean_dict(value, kinds) if isinstance(value, dict) else value

    def _clean_dict(self, value: dict[Any, Any], kinds: list[str]) -> dict[Any, Any]:
        clean: dict[Any, Any] = {}
        for key, item in value.items():
            name = self._clean(key, kinds)
            while name in clean:  # names that were two are to be two
                name = f"{name} {len(clean) + 1}"
            ending = named(name) if isinstance(name, str) else None
            if ending == "token" and "logprob" in value:  # a word that a model weighed
                ending = None
            clean[name] = self._clean_named(name.lower(), ending, item, kinds) if ending else self._clean(item, kinds)
        return clean

    def _clean_named(self, name: str, ending: str, item: Any, kinds: list[str], *, listed: bool = False) -> Any:
        """What stands under a name that says what it is: a text is a secret, and so is each of several."""
        if isinstance(item, list):
            return [self._clean_named(name, ending, each, kinds, listed=True) for each in item]
        if not isinstance(item, str) or item in {"", SECRET} or not is_value(name, ending, item, listed=listed):
            return self._clean(item, kinds)
        kinds.append(kind_of(ending, item))
        return SECRET

    def _parts(self, text: str) -> list[str]:
        """The text around its secrets, and in each one's place its kind; "" for what is a placeholder already."""
        if text in self._harmless:
            return [text]
        parts = self._sought(text)
        if len(parts) == 1 and len(text) < _SHORT and len(self._harmless) < _REMEMBERED:
            self._harmless.add(text)
        return parts

    def _sought(self, text: str) -> list[str]:
        if not self._own:
            return self._parts_between(text)
        try:
            with time_limit():
                return self._parts_between(text)
        except TooSlowError:
            patterns = ", ".join(map(repr, self.patterns))
            raise ValueError(
                f"secrets: to search a text of {len(text):,} characters by {patterns} takes longer than "
                f"{SECONDS:.0f} s; write patterns in which no repetition is within another, like 'ACME-[0-9]+'"
            ) from None

    def _parts_between(self, text: str) -> list[str]:
        parts = [part for piece in text.split(SECRET) for part in ("", piece)][1:]
        rules = [*likely(text), *self._own]
        for _ in range(_ROUNDS):  # where a text ends now, a pattern may match that didn't
            before = len(parts)
            for rule in rules:
                parts = [cut for at, part in enumerate(parts) for cut in ([part] if at % 2 else _cut(rule, part))]
            if len(parts) == before:
                return parts
        return ["", next(filter(None, parts[1::2])), ""]  # it would go on sign by sign: the whole is one secret


def _cut(rule: Rule, text: str) -> list[str]:
    """`text` around the secrets of one form, and in each one's place its kind."""
    group = "secret" if "secret" in rule.pattern.groupindex else 0
    parts, end = [], 0
    for match in rule.pattern.finditer(folded(text) if rule.folded else text):
        start, stop = match.span(group)
        if start < stop:
            parts += [text[end:start], rule.kind or kind_of(match["name"], text[start:stop])]
            end = stop
    return [*parts, text[end:]]
