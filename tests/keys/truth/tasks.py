"""What one process does: the pairs of one client."""

import random
from dataclasses import dataclass

from tests.keys.truth.capture import captured, made_fast
from tests.keys.truth.pairs import Runner, Tally
from tests.keys.truth.sources import groups_of

_ROUNDS = 50  # at most: each with other settings around what is varied


@dataclass(frozen=True)
class Task:
    """The pairs of one client that one process makes: at least `pairs`, of these kinds and topics."""

    client: str
    kinds: tuple[str, ...]
    topics: tuple[str, ...]
    seed: int
    pairs: int
    share: float


def run(task: Task) -> Tally:
    """Make the calls of a task."""
    runner = Runner()
    with made_fast(), captured():
        for number in range(_ROUNDS):
            rng = random.Random(f"{task.seed} {task.client} {number}")
            for group in groups_of(task.client, rng, task.share):
                if (not task.kinds or group.kind in task.kinds) and (not task.topics or group.topic in task.topics):
                    runner.run(group)
            if runner.tally.count() >= task.pairs:
                break
    return runner.tally
