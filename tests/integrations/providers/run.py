"""`python -m tests.integrations.providers.run PROVIDER BASE_URL FOLDER`: all scenarios of a provider, with the cache in that folder.

Prints one JSON object: what came back from each scenario, or the error that it ended with.
"""

import asyncio
import functools
import inspect
import json
import sys
import traceback
from typing import Any

import nbcache
from tests.integrations.providers.plain import plain
from tests.integrations.providers.providers import CLIENTS, scenarios_of
from tests.integrations.providers.scenarios import Make, Scenario


def outcomes(provider: str, url: str) -> dict[str, dict[str, Any]]:
    """By mark, `result` or `error`."""
    connect = functools.cache(lambda client: CLIENTS[client].connect(url))
    with asyncio.Runner() as runner:  # one event loop, as in a notebook: a client keeps its connections in it
        return {
            mark: _outcome(runner, scenario, connect(client), mark) for mark, client, scenario in scenarios_of(provider)
        }


def _outcome(runner: asyncio.Runner, scenario: Scenario, make: Make, mark: str) -> dict[str, Any]:
    try:
        came = scenario.run(make, lambda text: f"{mark} {text}")
        return {"result": plain(runner.run(came) if inspect.iscoroutine(came) else came)}
    except Exception:  # noqa: BLE001 - one scenario's failure must not hide the others
        return {"error": traceback.format_exc()}


if __name__ == "__main__":
    nbcache.install(sys.argv[3])
    json.dump(outcomes(*sys.argv[1:3]), sys.stdout)
