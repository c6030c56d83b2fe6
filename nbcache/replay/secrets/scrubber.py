"""Finds secrets in texts and JSON values, and replaces them by a placeholder."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from nbcache.concurrency.regex_time_limit import SECONDS, TooSlowError, time_limit
from nbcache.keys.json_text import parsed_strictly
from nbcache.replay.secrets.compiled import compiled
from nbcache.replay.secrets.encoded import encoded_texts
from nbcache.replay.secrets.json_fields import has_user, is_secret_pair, is_secret_value, name_of_item
from nbcache.replay.secrets.likely_rules import kind_of, likely_rules, long_runs
from nbcache.replay.secrets.rule import Rule, folded, users_rule
from nbcache.replay.secrets.secret_names import secret_word

SECRET = "[secret]"  # noqa: S105 - the placeholder
_SHORT, _REMEMBERED = 1_000, 4_096  # texts below so many characters are remembered, and at most so many texts
_MOST_ROUNDS = 20  # of searches in one text
_JSON_STRING = r'"(?:[^"\\]|\\.)*+"'
_MAY_HOLD_SECRETS = (str, list, dict)
_OPENING, _CLOSING = frozenset("{["), frozenset("}]")  # the first and the last character of a JSON object or list


class Scrubber:
    """Takes secrets out of texts and JSON values, and what the user's own regular expressions match.

    If such a pattern has a group named `secret`, that group alone is taken out. The patterns are tried after all rules,
    on each piece of text between the secrets. Raises ValueError if a pattern is wrong.
    """

    def __init__(self, patterns: str | Iterable[str] = ()) -> None:
        if not isinstance(patterns, Iterable):
            raise ValueError(f"patterns={patterns!r}: write a regular expression, or several")  # noqa: TRY004 - a setting
        self.patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
        self._users_rules = [*map(users_rule, self.patterns)]
        # Texts without secrets. Most texts of an entry are names of fields, which are the same in all entries.
        self._harmless: set[str] = set()

    def text(self, text: str) -> str:
        """Return `text` without secrets."""
        return SECRET.join(self._parts(text)[::2])

    def value(self, value: Any) -> Any:
        """Return a JSON value without the secrets in its texts, and without texts under names such as `password`."""
        return self._clean(value, [])

    def kinds_in(self, value: Any) -> list[str]:
        """Return the kinds of the secrets in a JSON value, in words for a report: each once, in their order."""
        if self._is_clean(value):
            return []
        kinds: list[str] = []
        self._clean(value, kinds)
        return list(dict.fromkeys(filter(None, kinds)))

    def _is_clean(self, value: Any) -> bool:
        """Whether `value` has neither a secret nor a placeholder. That is far quicker than to make a clean copy."""
        if isinstance(value, str):
            return value in self._harmless or len(self._parts(value)) == 1
        if isinstance(value, list):
            return not _has_pair(value) and all(map(self._is_clean, value))
        return self._is_clean_dict(value) if isinstance(value, dict) else True

    def _is_clean_dict(self, value: dict[Any, Any]) -> bool:
        if "value" in value and name_of_item(value) is not None:
            return False
        harmless = self._harmless
        for key, item in value.items():
            if key not in harmless and not self._is_clean(key):
                return False
            if not isinstance(item, _MAY_HOLD_SECRETS):
                continue
            if isinstance(key, str) and secret_word(key):
                return False
            if not self._is_clean(item):
                return False
        return True

    def _clean(self, value: Any, kinds: list[str]) -> Any:
        if isinstance(value, str):
            parts = self._parts(value)
            kinds += parts[1::2]
            return SECRET.join(parts[::2])
        if isinstance(value, list):
            if _has_pair(value):
                name = self._clean(value[0], kinds)
                kinds.append(kind_of(secret_word(value[0]) or "", value[1]))
                return [name, SECRET]
            return [self._clean(item, kinds) for item in value]
        return self._clean_dict(value, kinds) if isinstance(value, dict) else value

    def _clean_dict(self, value: dict[Any, Any], kinds: list[str]) -> dict[Any, Any]:
        clean: dict[Any, Any] = {}
        item_name, beside_user = name_of_item(value), has_user(value)
        for key, item in value.items():
            name = self._clean(key, kinds)
            while name in clean:  # two names with secrets may become the same one; both fields stay
                name = f"{name} {len(clean) + 1}"
            value_name = item_name if item_name is not None and name == "value" else name
            word = secret_word(value_name) if isinstance(value_name, str) else None
            if word == "token" and "logprob" in value:  # a word of an answer, with its probability
                word = None
            if word is None:
                clean[name] = self._clean(item, kinds)
            else:
                clean[name] = self._clean_named(value_name.lower(), word, item, kinds, beside_user=beside_user)
        return clean

    def _clean_named(  # noqa: PLR0913 - what stands around a value
        self, name: str, word: str, item: Any, kinds: list[str], *, is_item: bool = False, beside_user: bool = False
    ) -> Any:
        """The value of a field with a secret's name: a text is a secret, and so is each text of a list."""
        if isinstance(item, list):
            return [self._clean_named(name, word, each, kinds, is_item=True, beside_user=beside_user) for each in item]
        is_text = isinstance(item, str) and item not in {"", SECRET}
        if not is_text or not is_secret_value(name, word, item, is_item=is_item, has_user=beside_user):
            return self._clean(item, kinds)
        kinds.append(kind_of(word, item))
        return SECRET

    def _parts(self, text: str) -> list[str]:
        """Cut `text` at its secrets: a piece of text, a kind of secret, a piece, and so on. A placeholder has the kind ""."""
        if text in self._harmless:
            return [text]
        parts = self._parts_in_time(text)
        if len(parts) == 1 and len(text) < _SHORT and len(self._harmless) < _REMEMBERED:
            self._harmless.add(text)
        return parts

    def _parts_in_time(self, text: str) -> list[str]:
        """The parts of `text`. Raises ValueError if the user's patterns take too long."""
        if not self._users_rules:
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
        rules = [*likely_rules(text, runs), *self._users_rules]
        is_json = text[:1] in _OPENING and text.rstrip()[-1:] in _CLOSING
        if not (runs or rules or is_json or SECRET in text):  # most texts
            return [text]
        parts = self._parts_of_json(text, is_json=is_json)
        may_be_encoded = any(text[start:end].isalnum() for start, end in runs)
        for _ in range(_MOST_ROUNDS):  # a piece ends where a secret was: now a pattern may match that did not
            before = len(parts)
            for rule in rules:
                parts = [cut for at, part in enumerate(parts) for cut in ([part] if at % 2 else _cut(rule, part))]
            if may_be_encoded and len(parts) == before:
                parts = [cut for at, part in enumerate(parts) for cut in ([part] if at % 2 else self._decoded(part))]
            if len(parts) == before:
                return parts
        # It would go on character by character, so the whole text is one secret.
        return ["", next(filter(None, parts[1::2])), ""]

    def _parts_of_json(self, text: str, *, is_json: bool) -> list[str]:
        """Cut a text at the secrets of the JSON that it may be: there, the name beside a value is known."""
        kinds: list[str] = []
        if is_json:
            with suppress(ValueError, RecursionError):
                value = parsed_strictly(text)
                clean = self._clean(value, kinds)
                if clean != value:
                    words = _texts_in(clean)
                    text = compiled(_JSON_STRING).sub(lambda match: _rewritten(match[0], next(words)), text)
        pieces = text.split(SECRET)
        if len(kinds) != len(pieces) - 1:
            kinds = [next(filter(None, kinds), "")] * (len(pieces) - 1)
        return [part for at, piece in enumerate(pieces) for part in ([kinds[at - 1], piece] if at else [piece])]

    def _decoded(self, text: str) -> list[str]:
        """Cut `text` at each piece of Base64 that has a secret in it."""
        parts, end = [], 0
        for each in encoded_texts(text):
            kinds = [*filter(None, self._parts_between(each.text)[1::2])]
            if kinds:
                parts += [text[end : each.start], f"{kinds[0]} in Base64"]
                end = each.end
        return [*parts, text[end:]]


def _cut(rule: Rule, text: str) -> list[str]:
    """Cut `text` at the secrets of one form: a piece of text, a kind of secret, a piece, and so on."""
    group = "secret" if "secret" in rule.pattern.groupindex else 0
    parts, end = [], 0
    for match in rule.pattern.finditer(folded(text) if rule.folded else text):
        start, stop = match.span(group)
        if start < stop and (rule.proof is None or rule.proof(text[start:stop])):
            parts += [text[end:start], rule.kind or kind_of(match["name"], text[start:stop])]
            end = stop
    return [*parts, text[end:]]


def _has_pair(value: list[Any]) -> bool:
    return is_secret_pair(value) and value[1] != SECRET


def _texts_in(value: Any) -> Iterator[str]:
    """Yield all texts of a JSON value, names too, in the order in which they are written."""
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
    """Write `text` as JSON: as it was `written`, if that is the same text."""
    if json.loads(written, strict=False) == text:
        return written
    new = json.dumps(text, ensure_ascii=False)
    return new.replace("/", "\\/") if "\\/" in written else new
