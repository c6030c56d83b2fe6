"""`Rule`: one form of secrets, as a regular expression; and the rule of a pattern that the user has set."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from nbcache.replay.secrets.compiled import compiled

# Within a character class: a no-break space, typographic dashes and quotes, and Chinese and Japanese characters. A
# value ends before one of them: a text in these languages goes on without a space.
WIDE = "\xa0\u2000-\uffef"


@dataclass(frozen=True, slots=True)
class Rule:
    """One form of secrets. The secret is the group `secret` of the pattern, or all that matches if there is no such group.

    The time that a pattern takes has to be in proportion to the length of the text. So whatever it looks ahead at has a
    maximal length, or ends where the next secret could begin (`tests/replay/test_scrubber_time.py`).

    A pattern is tried only if one of its `words` is in the text, or if a long run of characters begins with its
    `prefix` (`likely_rules.py`). Each rule has words or a prefix.
    """

    kind: str
    """What the secret is called in a report: `an OpenAI key`. "" if the name beside it says that (the group `name`)."""
    source: str
    """The regular expression. It is compiled at its first use."""
    words: tuple[str, ...] = ()
    """Texts, one of which is part of every match."""
    prefix: str = ""
    """A pattern of letters, digits, dashes and underscores. Every match begins with it, and with a run of 15 of these or more."""
    folded: bool = False
    """Whether the text is searched in lower case. That is faster than re.IGNORECASE."""
    proof: Callable[[str], bool] | None = None
    """A further condition that the secret has to meet."""
    is_token: bool = False
    """Whether the secret is the key or token of a service, which is recognised wherever it stands."""
    is_ascii: bool = True
    """Whether `\\w`, `\\d` and `\\s` stand for ASCII characters only."""

    @property
    def pattern(self) -> re.Pattern[str]:
        """The compiled pattern."""
        return compiled(self.source, re.ASCII if self.is_ascii else 0)


def users_rule(pattern: str) -> Rule:
    """Return the rule of a pattern that the user has set. Raises ValueError if it is wrong or matches the empty text."""
    try:
        wrong = "matches the empty text" if compiled(pattern).match("") else ""
    except (TypeError, re.error, OverflowError, RecursionError) as error:
        wrong = str(error)
    if wrong or not isinstance(pattern, str):
        raise ValueError(f"patterns={pattern!r}: {wrong or 'no text'}; write a regular expression like 'ACME-[0-9]+'")
    return Rule(f"your pattern '{pattern}'", pattern, is_ascii=False)


def folded(text: str) -> str:
    """`text` in lower case, and of the same length. The lower case of `İ` would be two characters."""
    return text.replace("İ", "i").lower()
