"""Times taken in alternation: on a shared machine only figures from the same minute can be compared."""

import gc
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any, TypeVar

from .instructions import counted

Name = TypeVar("Name", bound=Hashable)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Times:
    """Seconds a call, and seconds of processor time."""

    seconds: float
    processor: float


def alternate(runs: Mapping[Name, Callable[[int], Result]], rounds: int) -> dict[Name, list[Result]]:
    """Run every contender once per round, A B C, B C A, C A B, …: none always follows the same neighbour."""
    found: dict[Name, list[Result]] = {name: [] for name in runs}
    names = list(runs)
    gc.collect()
    gc.freeze()  # what one of them keeps in memory is not to be searched for garbage in the others' time
    try:
        for number in range(rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                found[name].append(runs[name](number))
    finally:
        gc.unfreeze()
    return found


def timed(call: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], label: str = "") -> tuple[Times, list[Any]]:
    """The time of one call, and what the calls returned, to be checked afterwards. With a label, instructions are counted."""
    gc.collect()  # the garbage of preparing this batch is not its own; what it makes itself is collected in its time
    with counted(label) if label else nullcontext():
        worked, start = process_time(), perf_counter()
        results = [call(*each) for each in arguments]
        seconds, processor = perf_counter() - start, process_time() - worked
    return Times(seconds / len(arguments), processor / len(arguments)), results
