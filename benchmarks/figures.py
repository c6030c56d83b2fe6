"""All figures of one run: by what was measured (a row) and of what (a column), one figure for each round."""

from dataclasses import dataclass, field
from statistics import median
from typing import Any

Rounds = dict[str, dict[str, list[float]]]
SECONDS, PROCESSOR, INSTRUCTIONS = "seconds", "processor", "instructions"
KINDS = (SECONDS, PROCESSOR, INSTRUCTIONS)


@dataclass(frozen=True)
class Spread:
    """The median of some rounds, and the least and the most of them."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, rounds: list[float]) -> "Spread":
        return cls(median(rounds), min(rounds), max(rounds))


@dataclass
class Figures:
    """`kinds` has seconds (or bytes, or a count), seconds of processor time, and instructions."""

    kinds: dict[str, Rounds] = field(default_factory=lambda: {kind: {} for kind in KINDS})

    def add(self, row: str, column: str, figure: float, kind: str = SECONDS) -> None:
        """Add a round."""
        self.kinds[kind].setdefault(row, {}).setdefault(column, []).append(figure)

    def add_all(self, kinds: dict[str, dict[str, dict[str, float]]]) -> None:
        """Add a round of everything that a process has measured."""
        for kind, rows in kinds.items():
            for row, columns in rows.items():
                for column, figure in columns.items():
                    self.add(row, column, figure, kind)

    def rounds(self, row: str, column: str, kind: str = SECONDS) -> list[float]:
        """The rounds of one figure; none if it wasn't measured."""
        return self.kinds.get(kind, {}).get(row, {}).get(column, [])

    def spread(self, row: str, column: str, kind: str = SECONDS) -> Spread | None:
        """One figure. None if it wasn't measured."""
        rounds = self.rounds(row, column, kind)
        return Spread.of(rounds) if rounds else None

    def ratio(self, ours: tuple[str, str], theirs: tuple[str, str], kind: str = SECONDS) -> Spread | None:
        """One figure to another. Each ratio is of one round: both halves of it met the same noise.

        A round in which the other figure is 0 has no ratio.
        """
        pairs = zip(self.rounds(*ours, kind), self.rounds(*theirs, kind), strict=False)
        ratios = [mine / other for mine, other in pairs if other]
        return Spread.of(ratios) if ratios else None

    def columns(self, row: str) -> list[str]:
        """The columns of a row."""
        return list(self.kinds[SECONDS].get(row, {}))

    def as_json(self) -> dict[str, Any]:
        """Every round, to four digits."""
        return {
            kind: {
                row: {column: [float(f"{each:.4g}") for each in rounds] for column, rounds in columns.items()}
                for row, columns in rows.items()
            }
            for kind, rows in self.kinds.items()
        }
