"""What was to be reached."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """Something measured that should be at most `limit`. `best` is of the least disturbed rounds.

    None is what could not be measured here.
    """

    what: str
    measured: float | None
    limit: float
    best: float | None = None

    @property
    def reached(self) -> bool:
        return self.measured is not None and self.measured <= self.limit
