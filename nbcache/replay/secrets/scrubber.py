"""Secrets in what others will read: found, and replaced by a placeholder."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from nbcache.concurrency.regex_time_limit import SECONDS, TooSlowError, time_limit
from nbcache.keys.json_text import parsed_strictly
from nbcache.replay.secrets.compiled import compiled
from nbcache.replay.secrets.encoded import encoded_texts
from nbcache.replay.secrets.rules import Rule, folded, is_value, kind_of, likely, long_runs, named, own

SECRET = "[secret]"  # noqa: S105 - what is written in place of one
_SHORT, _REMEMBERED = 1_000, 4_096  # characters, and texts
_ROUNDS = 20  # in which a text is searched
_LABELS = ("name", "key", "header")  # of lists of headers and the like
_USERS = frozenset({"user", "username", "user_name", "login", "email", "account", "uid", "host"})
_PAIR = 2
_PAIRED = r"(?i:basic|bearer|token|digest|apikey) \S|(?=\S{8})\S*\d|\S{20}"
_IN_JSON = r'"(?:[^"\\]|\\.)*+"'


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

    def kinds_in(self, value: Any) -> list[str]:
        """The kinds of secrets in a JSON value, in words for a report: each once, in the order in which they come."""
        if self._is_clean(value):
            return []
        kinds: list[str] = []
        self._clean(value, kinds)
        return list(dict.fromkeys(filter(None, kinds)))

    def _is_clean(self, value: Any) -> bool:
        """Whether there is neither a secret nor a placeholder: far quicker to find out than to write it all anew."""
        if isinstance(value, str):
            return value in self._harmless or len(self._parts(value)) == 1
        if isinstance(value, list):
            return not (len(value) == _PAIR and _is_pair(value)) and all(map(self._is_clean, value))
        if isinstance(value, dict) and "value" in value and _label(value) is not None:
            return False
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
            kinds += parts[1::2]
            return SECRET.join(parts[::2])
        if isinstance(value, list):
            if _is_pair(value):
                name = self._clean(value[0], kinds)
                kinds.append(kind_of(named(value[0]) or "", value[1]))
                return [name, SECRET]
            return [self._clean(item, kinds) for item in value]
        return self._clean_dict(value, kinds) if isinstance(value, dict) else value

    def _clean_dict(self, value: dict[Any, Any], kinds: list[str]) -> dict[Any, Any]:
        clean: dict[Any, Any] = {}
        label = _label(value)
        has_user = not _USERS.isdisjoint(value)
        for key, item in value.items():
            name = self._clean(key, kinds)
            while name in clean:  # names that were two are to be two
                name = f"{name} {len(clean) + 1}"
            called = label if label is not None and name == "value" else name
            ending = named(called) if isinstance(called, str) else None
            if ending == "token" and "logprob" in value:  # a word that a model weighed
                ending = None
            if ending is None:
                clean[name] = self._clean(item, kinds)
            else:
                clean[name] = self._clean_named(called.lower(), ending, item, kinds, has_user=has_user)
        return clean

    def _clean_named(  # noqa: PLR0913 - what stands around a value
        self, name: str, ending: str, item: Any, kinds: list[str], *, listed: bool = False, has_user: bool = False
    ) -> Any:
        """What stands under a name that says what it is: a text is a secret, and so is each of several."""
        if isinstance(item, list):
            return [self._clean_named(name, ending, each, kinds, listed=True, has_user=has_user) for each in item]
        is_secret = isinstance(item, str) and item not in {"", SECRET}
        if not is_secret or not is_value(name, ending, item, listed=listed, has_user=has_user):
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
        runs = long_runs(text)
        rules = [*likely(text, runs), *self._own]
        is_json = text[:1] in _OPENING and text.rstrip()[-1:] in _CLOSING
        if not (runs or rules or is_json or SECRET in text):  # most texts
            return [text]
        parts = self._parts_of_json(text, is_json=is_json)
        may_be_encoded = any(text[start:end].isalnum() for start, end in runs)
        for _ in range(_ROUNDS):  # where a text ends now, a pattern may match that didn't
            before = len(parts)
            for rule in rules:
                parts = [cut for at, part in enumerate(parts) for cut in ([part] if at % 2 else _cut(rule, part))]
            if may_be_encoded and len(parts) == before:
                parts = [cut for at, part in enumerate(parts) for cut in ([part] if at % 2 else self._decoded(part))]
            if len(parts) == before:
                return parts
        return ["", next(filter(None, parts[1::2])), ""]  # it would go on sign by sign: the whole is one secret

    def _parts_of_json(self, text: str, *, is_json: bool) -> list[str]:
        """The parts of a text by what it says, if it is JSON: names and lists tell more there."""
        kinds: list[str] = []
        if is_json:
            with suppress(ValueError, RecursionError):
                value = parsed_strictly(text)
                clean = self._clean(value, kinds)
                if clean != value:
                    words = _texts_in(clean)
                    text = compiled(_IN_JSON).sub(lambda match: _rewritten(match[0], next(words)), text)
        pieces = text.split(SECRET)
        if len(kinds) != len(pieces) - 1:
            kinds = [next(filter(None, kinds), "")] * (len(pieces) - 1)
        return [part for at, piece in enumerate(pieces) for part in ([kinds[at - 1], piece] if at else [piece])]

    def _decoded(self, text: str) -> list[str]:
        """`text` around what holds a secret in Base64."""
        parts, end = [], 0
        for each in encoded_texts(text):
            kinds = [*filter(None, self._parts_between(each.text)[1::2])]
            if kinds:
                parts += [text[end : each.start], f"{kinds[0]} in Base64"]
                end = each.end
        return [*parts, text[end:]]


def _cut(rule: Rule, text: str) -> list[str]:
    """`text` around the secrets of one form, and in each one's place its kind."""
    group = "secret" if "secret" in rule.pattern.groupindex else 0
    parts, end = [], 0
    for match in rule.pattern.finditer(folded(text) if rule.folded else text):
        start, stop = match.span(group)
        if start < stop and (rule.proof is None or rule.proof(text[start:stop])):
            parts += [text[end:start], rule.kind or kind_of(match["name"], text[start:stop])]
            end = stop
    return [*parts, text[end:]]


_OPENING, _CLOSING = frozenset("{["), frozenset("}]")


def _is_pair(value: list[Any]) -> bool:
    """Whether this is the name of a secret and its value, as in a list of headers."""
    if len(value) != _PAIR or not isinstance(value[0], str) or not isinstance(value[1], str) or value[1] == SECRET:
        return False
    ending = named(value[0])
    return ending is not None and ending != "auth" and compiled(_PAIRED).match(value[1]) is not None


def _label(value: dict[Any, Any]) -> str | None:
    """What an item of a list of names and values is called, if it has the name of a secret."""
    if "value" not in value:
        return None
    labels = (value[name] for name in _LABELS if isinstance(value.get(name), str))
    return next((label for label in labels if named(label)), None)


def _texts_in(value: Any) -> Iterator[str]:
    """All texts of a JSON value, names too, in the order in which they are written."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts_in(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _texts_in(item)


def _rewritten(written: str, text: str) -> str:
    """`text` as JSON: as it was `written`, if that is the same text."""
    if json.loads(written, strict=False) == text:
        return written
    new = json.dumps(text, ensure_ascii=False)
    return new.replace("/", "\\/") if "\\/" in written else new
