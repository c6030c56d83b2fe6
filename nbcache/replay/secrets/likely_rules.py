"""Finds the few rules that may match a text, so that the others' patterns need not be tried.

A rule with words may match if one of them is in the text. A rule with a prefix may match if a long run of characters
begins with it. Both are far quicker to find out than a match of the pattern.
"""

import functools
from typing import NamedTuple

from nbcache.replay.secrets.compiled import compiled
from nbcache.replay.secrets.rule import Rule, folded
from nbcache.replay.secrets.rules import rules
from nbcache.replay.secrets.runs import Characters
from nbcache.replay.secrets.secret_names import kind_by_name
from nbcache.replay.secrets.token_patterns import PRIVATE_KEY
from nbcache.replay.secrets.word_search import WordSearch

_KEY_CHARACTERS, _SHORTEST_RUN = Characters("_-"), 15
# A token that is known by a word in its middle has a run of more characters than this, or one of these beside its run.
_VERY_LONG_RUN, _JOINTS = 34, frozenset("./~:")
_LOOKUP_LENGTH = 4  # so many characters of a prefix are looked up
_LOOKUP_LENGTHS = range(2, _LOOKUP_LENGTH + 1)
_CAPITALS_AND_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
# A run may begin within an escape if one of these stands before it: `\n`, `%3D`, a terminal's color.
_ESCAPE_CHARACTERS, _END_OF_COLOR = frozenset("\\%[;"), r"\d{0,3}m"


def long_runs(text: str) -> list[tuple[int, int]]:
    """The start and the end of each run of characters in `text` that is long enough for a key."""
    return list(_KEY_CHARACTERS.runs(text, _SHORTEST_RUN))


def likely_rules(text: str, runs: list[tuple[int, int]]) -> list[Rule]:
    """The rules that may match `text`, in their order. `runs` are its long runs."""
    all_rules = rules()
    may_have_inner_tokens = any(
        text[start - 1 : start] in _JOINTS or text[end : end + 1] in _JOINTS or end - start > _VERY_LONG_RUN
        for start, end in runs
    )
    places: set[int] = set()
    for roots in _roots():
        if roots.are_of_tokens and not may_have_inner_tokens:
            continue
        where = folded(text) if roots.is_folded else text
        for root in roots.search.words_in(where):
            for at in roots.rules_of[root]:
                if root in all_rules[at].words or any(word in where for word in all_rules[at].words):
                    places.add(at)
    prefixes = _prefixes()
    for start, _ in runs:
        for at in (start,) if text[start - 1 : start] not in _ESCAPE_CHARACTERS else _starts_after_escape(text, start):
            if text[at : at + 2] in prefixes:
                places.update(*(prefixes.get(text[at : at + length], ()) for length in _LOOKUP_LENGTHS))
    return [all_rules[at] for at in sorted(places)]


def kind_of(name: str, secret: str) -> str:
    """What a secret is called in reports: by its own form (`an OpenAI key`), or else by its name (`a password`)."""
    forms = (rule for rule in likely_rules(secret, long_runs(secret)) if rule.is_token or rule is PRIVATE_KEY)
    return next((rule.kind for rule in forms if rule.pattern.fullmatch(secret)), None) or kind_by_name(name)


class _Roots(NamedTuple):
    """Words to look for, and the indexes of the rules that each may lead to."""

    is_folded: bool
    are_of_tokens: bool
    rules_of: dict[str, list[int]]
    search: WordSearch


@functools.cache
def _roots() -> list[_Roots]:
    """The words to look for first: those that contain no other word. A text without `key` needs no look for `api_key`."""
    with_words = [(at, rule) for at, rule in enumerate(rules()) if rule.words]
    words = {(word, rule.folded) for _, rule in with_words for word in rule.words}
    kinds: dict[tuple[bool, bool], dict[str, list[int]]] = {}
    for root, is_folded in sorted(words):
        if sum(word in root for word, case in words if case is is_folded) > 1:  # it contains another one than itself
            continue
        at_root = [
            at for at, rule in with_words if rule.folded is is_folded and any(root in word for word in rule.words)
        ]
        kinds.setdefault((is_folded, all(rules()[at].is_token for at in at_root)), {})[root] = at_root
    return [_Roots(*kind, rules_of, WordSearch(rules_of)) for kind, rules_of in kinds.items()]


@functools.cache
def _prefixes() -> dict[str, list[int]]:
    """The indexes of the rules, by the first characters (at most four) of their keys.

    The first two characters of each are an entry of their own, so that to look up two characters is enough for most
    texts.
    """
    places: dict[str, list[int]] = {}
    for at, rule in enumerate(rules()):
        for prefix in {each[:_LOOKUP_LENGTH] for each in _expanded(rule.prefix)} if rule.prefix else ():
            places.setdefault(prefix[:2], [])
            places.setdefault(prefix, []).append(at)
    return places


def _expanded(prefix: str) -> list[str]:
    r"""All texts that the pattern `prefix` matches, each up to the first `\d`: `gh[po]_` gives `ghp_` and `gho_`."""
    texts = [""]
    for part in compiled(r"\[[^]]*\]|\\.|.").findall(prefix):
        if part == r"\d":
            break
        characters = _CAPITALS_AND_DIGITS if part == "[A-Z0-9]" else part.strip("[]")
        texts = [text + character for text in texts for character in characters]
    return texts


def _starts_after_escape(text: str, start: int) -> tuple[int, ...]:
    """Where a key may begin in a run that begins at `start`, if the first characters of the run belong to an escape."""
    color = compiled(_END_OF_COLOR).match(text, start)
    return (start, start + 1, start + 2, start + 3, start + 5, *((color.end(),) if color else ()))
