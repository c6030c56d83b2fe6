"""Settings in the environment: `NBCACHE_MODE` and its siblings."""

import os
from collections.abc import Callable
from typing import TypeVar

REPORT = "NBCACHE_REPORT"  # the folder of the files in which each session tells pytest what it did
_T = TypeVar("_T")


def from_environment(name: str, check: Callable[[str], _T]) -> _T | None:
    """The setting in the environment, checked; None where there is none. Raises ValueError, naming it."""
    value = os.environ.get(f"NBCACHE_{name}")
    if not value:
        return None
    try:
        return check(value)
    except ValueError as error:
        raise ValueError(f"NBCACHE_{name} in the environment: {error}") from None


def comma_separated(text: str) -> list[str]:
    """The words of a list with commas."""
    return [word.strip() for word in text.split(",") if word.strip()]
