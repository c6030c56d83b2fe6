"""The environment variables that the user's code reads: those whose names are in it.

Credentials don't count, so that a user with another API key, or without one, gets the same answers. Nor do variables that
describe the machine and its user.
"""

import os
import re
from typing import Any

_NAME = re.compile(r"[A-Z][A-Z0-9_]{2,}")
_LEFT_OUT = re.compile(
    r".*(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)|HOME|USER|LOGNAME|PATH|PWD|SHELL|HOSTNAME|LANG|TERM|TMPDIR|TEMP|TMP"
)


def is_variable(text: Any) -> bool:
    """Whether a text may be the name of a variable that counts."""
    return type(text) is str and _NAME.fullmatch(text) is not None and _LEFT_OUT.fullmatch(text) is None


def is_environment(value: Any) -> bool:
    """Whether `value` is `os.environ` or `os.getenv`."""
    return value is os.environ or value is os.getenv


def value_of(name: str) -> str | None:
    """The present value of a variable. None if it isn't set."""
    return os.environ.get(name)


class Environment:
    """The environment, as a namespace in which each name has a value: None where it isn't set."""

    @staticmethod
    def get(name: str, _default: object = None) -> str | None:
        """The present value of a variable."""
        return value_of(name)
