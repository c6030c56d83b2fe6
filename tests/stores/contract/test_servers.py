"""Which servers the contract is run with."""

import os

import pytest

from tests.servers.redis_server import PROGRAMS
from tests.stores.contract.conftest import SERVERS, STORES


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_contract_is_run_with_this_server(name: str) -> None:
    assert not os.environ.get("CI") or SERVERS, "CI needs redis-server or valkey-server, and redis-py"
    if name not in SERVERS:
        pytest.skip(f"not run with {PROGRAMS[name]}, which is not here, or without redis-py")
    assert name in STORES
