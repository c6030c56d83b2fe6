"""`python -m tests.integrations.clients.table`: which calls of which client are run twice, as Markdown."""

from collections.abc import Iterator

from tests.integrations.clients.clients import CLIENTS, ROWS


def table() -> str:
    """A row for each kind of call; below it, why a client has none."""
    return "\n".join([*_rows(), "", *_reasons()])


def _rows() -> Iterator[str]:
    yield "| | " + " | ".join(CLIENTS) + " |"
    yield "|---" * (len(CLIENTS) + 1) + "|"
    for row in ROWS:
        yield f"| {row} | " + " | ".join("" if row in each.lacks else "yes" for each in CLIENTS.values()) + " |"


def _reasons() -> Iterator[str]:
    for name, client in CLIENTS.items():
        for row, reason in client.lacks.items():
            yield f"- {name}, {row}: {reason}"


if __name__ == "__main__":
    print(table())
