"""Times taken in alternation: on a shared machine only figures from the same minute can be compared."""

import gc
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any, TypeVar

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Series:
    """Seconds per call, one figure for each round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.rounds)

    @property
    def best(self) -> float:
        return min(self.rounds)

    @property
    def mean(self) -> float:
        """What the median hides: the rare expensive round (a checkpoint, a flush)."""
        return sum(self.rounds) / len(self.rounds)

    def ratio(self, other: "Series") -> float:
        """The median of the ratios of each round: both halves of every ratio met the same noise."""
        return median(mine / theirs for mine, theirs in zip(self.rounds, other.rounds, strict=True))

    def ratio_of_best(self, other: "Series") -> float:
        """The ratio of the rounds that were disturbed least."""
        return self.best / other.best


def alternate(runs: Mapping[Name, Callable[[int], float]], rounds: int) -> dict[Name, Series]:
    """Run every contender once per round, A B C, B C A, C A B, …: none always follows the same neighbour."""
    taken: dict[Name, list[float]] = {name: [] for name in runs}
    names = list(runs)
    gc.collect()
    gc.freeze()  # what one of them keeps in memory is not to be searched for garbage in the others' time
    try:
        for number in range(rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                taken[name].append(runs[name](number))
    finally:
        gc.unfreeze()
    return {name: Series(tuple(seconds)) for name, seconds in taken.items()}


def timed(call: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> tuple[float, list[Any]]:
    """Seconds per call over all arguments, and what the calls returned, to be checked afterwards."""
    gc.collect()  # the garbage of preparing this batch is not its own; what it makes itself is collected in its time
    start = perf_counter()
    results = [call(*each) for each in arguments]
    return (perf_counter() - start) / len(arguments), results
