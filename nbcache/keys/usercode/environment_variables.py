"""The variables of the environment that code reads: those that it names, wherever it does so.

What authenticates doesn't count, so that who has another key, or none, finds the same answers; nor does what says whose
machine this is.
"""

import os
import re
from typing import Any

_NAME = re.compile(r"[A-Z][A-Z0-9_]{2,}")
_LEFT_OUT = re.compile(
    r".*(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)|HOME|USER|LOGNAME|PATH|PWD|SHELL|HOSTNAME|LANG|TERM|TMPDIR|TEMP|TMP"
)


def is_variable(text: Any) -> bool:
    """Whether a text may name a variable that counts."""
    return type(text) is str and _NAME.fullmatch(text) is not None and _LEFT_OUT.fullmatch(text) is None


def is_environment(value: Any) -> bool:
    """Whether `value` is what code reads variables by."""
    return value is os.environ or value is os.getenv


def value_of(name: str) -> str | None:
    """What a variable is now; None where it isn't set."""
    return os.environ.get(name)
