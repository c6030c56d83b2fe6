"""Compiles a regular expression at its first use: the texts of most notebooks need none of them."""

import functools
import re


@functools.cache
def compiled(source: str, flags: int = 0) -> re.Pattern[str]:
    """Return the pattern of `source`. Raises re.error if `source` is not a regular expression."""
    return re.compile(source, flags)
