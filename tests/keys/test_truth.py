"""The program that compares keys with requests: that it sees what is sent, and finds a key that is wrong."""

import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest

from nbcache.keys import identity
from nbcache.keys.ignored.langchain_parameters import ignore_also
from tests.keys.truth.capture import captured, made_fast
from tests.keys.truth.clients import clients
from tests.keys.truth.pairs import WRONG, Runner, Variant, sent
from tests.keys.truth.request import request_text
from tests.keys.truth.settings import Call, groups
from tests.keys.truth.sources import SOURCES
from tests.keys.truth.tasks import Task, run
from tests.servers.loopback import Handler, Loopback


class Received(Loopback):
    """A server that answers nothing, and notes each request as the program would."""

    def __init__(self) -> None:
        super().__init__(_Receiver)
        self.requests: list[str] = []


class _Receiver(Handler):
    def respond(self) -> None:
        host = f"http://{self.headers['host']}{self.path}"
        self.server.owner.requests.append(request_text(self.command, host, self.headers.items(), self.body()))
        self.send(400, "application/json", b'{"error": {"message": "no answer here"}}')


@pytest.fixture
def received() -> Iterator[Received]:
    with Received() as server:
        yield server


@pytest.mark.parametrize("name", clients())
def test_what_is_caught_is_what_a_server_receives(name: str, received: Received) -> None:
    client = clients([name])[name]
    retries = {"max_retries": 0} if "max_retries" in client.cls.model_fields else {}
    made = {client.address: received.url, **retries}
    calls = [Call(made), Call(made, options={"temperature": 0.5}), Call(made, options={"stop": ["a"]})]
    caught: list[Any] = []
    with made_fast():
        for call in calls:
            variant = Variant("", lambda call=call: call.prepared(client))  # type: ignore[misc]
            with captured():
                caught.append(sent(variant))
            sent(variant)
    assert received.requests == [request for request in caught if request is not None] != []


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    """Another process: the calls change clients that LangChain keeps for all models."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.slow
def test_no_call_has_the_key_of_another(name: str, elsewhere: ProcessPoolExecutor) -> None:
    tally = elsewhere.submit(run, Task(name, (), (), seed=11, pairs=0, share=0.04)).result()
    assert tally.count(verdict=WRONG) == 0, "\n".join(map(str, tally.examples.values()))
    assert tally.count() > 0


@pytest.mark.slow
def test_a_setting_that_the_key_leaves_out_is_found_wrong() -> None:
    client = clients(["ChatOllama"])["ChatOllama"]
    (group,) = (group for group in groups(client, random.Random(1)) if group.topic == "temperature")
    try:
        for ignored in ((), ("temperature",)):
            ignore_also(ignored)
            identity.forget()
            runner = Runner()
            with made_fast(), captured():
                runner.run(group)
            assert (runner.tally.count(verdict=WRONG) > 50) == bool(ignored)
    finally:
        ignore_also(())
        identity.forget()
