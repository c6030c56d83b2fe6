"""Tables in Markdown."""

from collections.abc import Iterable, Mapping, Sequence

from .timing import Series

MICRO, MILLI = (1e6, "µs"), (1e3, "ms")
Unit = tuple[float, str]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def time_text(series: Series, unit: Unit) -> str:
    """The median, and the best in brackets."""
    factor, name = unit
    return f"{series.median * factor:,.1f} {name} ({series.best * factor:,.1f})"


def compared(what: str, of: Mapping[str, Series], floor: str, unit: Unit) -> Iterable[str]:
    """A table of times, each beside that of `floor`."""
    rows = ((name, time_text(each, unit), f"{each.ratio(of[floor]):.2f}") for name, each in of.items())
    return table((what, "time", f"/ {floor}"), rows)
