"""Which sample a call is, if identical calls are to get answers of their own.

Sample 0 is the plain entry. Samples number the identical calls of a cell or a block. A retry (`with_retry`) continues after
the samples that its earlier attempts got and rejected.
"""

import heapq
from dataclasses import dataclass, field

from nbcache.concurrency.context_blocks import BlockVar
from nbcache.concurrency.locks import Lock


class Samples:
    """The identical calls of one execution of a cell, or of one block, each a sample of its own."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}
        self._given_back: dict[str, list[int]] = {}
        self._lock = Lock()

    def take(self, key: str) -> "Sample":
        """The next sample of this call: the lowest that was given back, else a new one."""
        with self._lock:
            if back := self._given_back.get(key):
                return Sample(heapq.heappop(back), key, self)
            number = self._next.get(key, 0)
            self._next[key] = number + 1
            return Sample(number, key, self)

    def give_back(self, sample: "Sample") -> None:
        """The call of `sample` got no answer: the next call is that sample."""
        with self._lock:
            heapq.heappush(self._given_back.setdefault(sample.key, []), sample.number)


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of the call `key`."""

    number: int
    key: str
    samples: Samples

    def give_back(self) -> None:
        """The call got no answer: the next is this sample."""
        self.samples.give_back(self)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt of a retried chain: its number, after those of the retried chains around it.

    `answered` has, for each key, the attempts in which it was answered; all attempts of the outermost chain share it.
    """

    path: tuple[int, ...] = (1,)
    answered: dict[str, set[tuple[int, ...]]] = field(default_factory=dict)

    def sample(self, key: str) -> int:
        """Which sample the call `key` is: as many were given in earlier attempts, and rejected."""
        return sum(path < self.path for path in tuple(self.answered.get(key, ())))  # others may add to them

    def note(self, key: str) -> None:
        """The call `key` was answered in this attempt."""
        self.answered.setdefault(key, set()).add(self.path)

    def forget(self) -> None:
        """What was answered in this attempt was not rejected."""
        for paths in list(self.answered.values()):
            paths.difference_update([path for path in tuple(paths) if path[: len(self.path)] == self.path])


current_attempt: BlockVar[Attempt] = BlockVar("nbcache_attempt")


def note_attempt(key: str) -> None:
    """The call `key` has its answer: if a retry makes it again, that is another sample."""
    if (attempt := current_attempt.get()) is not None:
        attempt.note(key)
