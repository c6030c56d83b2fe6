"""`python -m tests.integrations.providers.table`: what is run through which client, as Markdown."""

from collections.abc import Iterator

from tests.integrations.providers.providers import CLIENTS, Client
from tests.integrations.providers.scenarios import CHAT, OWN


def table() -> str:
    """A row for each scenario; below it, why a client can't do one."""
    return "\n".join([*_rows(), "", *_reasons()])


def _rows() -> Iterator[str]:
    yield "| | " + " | ".join(CLIENTS) + " |"
    yield "|---" * (len(CLIENTS) + 1) + "|"
    for scenario in [*CHAT, *OWN]:
        yield f"| {scenario} | " + " | ".join(_cell(client, scenario) for client in CLIENTS.values()) + " |"


def _cell(client: Client, scenario: str) -> str:
    if scenario in client.cannot:
        return "no"
    return "yes" if scenario in client.scenarios else ""


def _reasons() -> Iterator[str]:
    for name, client in CLIENTS.items():
        for scenario, reason in client.cannot.items():
            yield f"- {name}, {scenario}: {reason}"


if __name__ == "__main__":
    print(table())
