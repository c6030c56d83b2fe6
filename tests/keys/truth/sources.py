"""Which groups of calls there are, by client."""

import random
from collections.abc import Callable, Iterator

from tests.keys.truth import messages, places, sdks, settings, tools
from tests.keys.truth.clients import clients
from tests.keys.truth.pairs import Group

Source = Callable[[random.Random, float], Iterator[Group]]


def _of_langchain(name: str) -> Source:
    def source(rng: random.Random, share: float) -> Iterator[Group]:
        client = clients([name])[name]
        yield from settings.groups(client, rng, share=share)
        for kind in (places, messages, tools):
            yield from kind.groups(client, rng, share=share)

    return source


def _of_sdk(name: str) -> Source:
    return lambda rng, share: sdks.groups(name, rng, max(share, 0.3))  # they take no time


SOURCES: dict[str, Source] = {
    **{name: _of_langchain(name) for name in clients()},
    **{name: _of_sdk(name) for name in sdks.SDKS},
}


def groups_of(client: str, rng: random.Random, share: float) -> Iterator[Group]:
    """The groups of one client; `share` is how much of the calls is made, from 0 to 1."""
    return SOURCES[client](rng, share)
