from collections.abc import Iterator
from typing import Any

import pytest

from tests.integrations.functions.runs import noted


@pytest.fixture
def runs() -> Iterator[list[Any]]:
    """What functions and tools note while they run."""
    with noted() as noted_runs:
        yield noted_runs
