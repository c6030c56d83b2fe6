"""Regular expressions that are compiled when they are first used: most notebooks need none of them."""

import functools
import re


@functools.cache
def compiled(source: str, flags: int = 0) -> re.Pattern[str]:
    """The pattern of `source`. Raises re.error where it is none."""
    return re.compile(source, flags)
