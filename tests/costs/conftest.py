"""What tests of costs share."""

from collections.abc import Iterator

import pytest

from tests.servers.canned import Canned


@pytest.fixture
def server() -> Iterator[Canned]:
    with Canned() as running_server:
        yield running_server
