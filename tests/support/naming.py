"""Names of parametrized tests."""

import re


def shown(value: object) -> str:
    """A value's repr, the same in every process: two that share the tests have to agree on their names."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
