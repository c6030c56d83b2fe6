"""Which groups of calls there are, by client."""

import random
from collections.abc import Callable, Iterator

from tests.truth import places, settings
from tests.truth.clients import clients
from tests.truth.pairs import Group

Source = Callable[[random.Random, float], Iterator[Group]]


def _of_langchain(name: str) -> Source:
    def source(rng: random.Random, share: float) -> Iterator[Group]:
        client = clients([name])[name]
        yield from settings.groups(client, rng, share=share)
        yield from places.groups(client, rng, share=share)

    return source


SOURCES: dict[str, Source] = {name: _of_langchain(name) for name in clients()}


def groups_of(client: str, rng: random.Random, share: float) -> Iterator[Group]:
    """The groups of one client; `share` is how much of the calls is made, from 0 to 1."""
    return SOURCES[client](rng, share)
