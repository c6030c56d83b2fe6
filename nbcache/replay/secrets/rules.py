"""The list of all rules: what secrets look like, in the order in which they are taken out of a text.

A password in the middle of a sentence looks like any other word. For such secrets there are the user's own patterns.
"""

import functools

from nbcache.replay.secrets.assigned_values import ASSIGNMENTS, ELEMENT, OPTION
from nbcache.replay.secrets.command_passwords import COMMANDS
from nbcache.replay.secrets.header_values import BEARER_TOKEN, HEADERS
from nbcache.replay.secrets.logins import ACCOUNT, BASIC_LOGINS, URL_LOGIN
from nbcache.replay.secrets.rule import Rule
from nbcache.replay.secrets.token_patterns import PRIVATE_KEY, credential_digest, token_rules
from nbcache.replay.secrets.word_passwords import WORD_PASSWORDS


@functools.cache
def rules() -> tuple[Rule, ...]:
    """Return all rules. A secret that may contain another one comes before it, or only a part of it would be replaced."""
    return (
        PRIVATE_KEY,
        credential_digest(),
        *HEADERS,
        URL_LOGIN,
        *COMMANDS,
        *ASSIGNMENTS,
        *BASIC_LOGINS,
        *WORD_PASSWORDS,
        ACCOUNT,
        OPTION,
        ELEMENT,
        BEARER_TOKEN,
        *token_rules(),
    )
