"""What came out, as tables."""

import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.keys.truth.pairs import AGAIN, REFUSED, WRONG, Tally

_FILE = Path(__file__).parent / "RESULTS.md"
_PACKAGES = (
    *("langchain-core", "langchain-openai", "langchain-anthropic", "langchain-google-genai", "langchain-aws"),
    *("langchain-mistralai", "langchain-groq", "langchain-ollama", "openai", "anthropic"),
)


def table(tally: Tally) -> str:
    """The pairs by kind of difference, and by client."""
    kinds = sorted({kind for _, kind, _ in tally.verdicts})
    clients = list(dict.fromkeys(client for client, _, _ in tally.verdicts))
    by_kind = [(kind, *_counts(tally, kind=kind)) for kind in kinds]
    by_client = [(client, *_counts(tally, client=client)) for client in clients]
    head = ("pairs", "wrong", "pays again", "refused")
    total = ("all", *_counts(tally))
    return "\n\n".join(
        [_markdown(("kind", *head), [*by_kind, total]), _markdown(("client", *head), [*by_client, total])]
    )


def results(tally: Tally, seconds: float, seed: int) -> str:
    """The page that is written: the tables, when, where and of what."""
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    return "\n".join(
        [
            "# Keys against requests",
            "",
            "Written by `make truth`. Calls that differ in one thing are made by real clients; what each would send is",
            "caught at its transport, and compared with the key under which nbcache looked it up.",
            "",
            f"{datetime.now(UTC):%Y-%m-%d}, {machine}; {seconds:.0f} s, seed {seed}: {tally.calls:,} calls were sent, "
            f"{tally.unsent:,} were refused by their clients.",
            f"Packages: {versions}.",
            "",
            table(tally),
            "",
        ]
    )


def written(text: str) -> None:
    """Write the page."""
    _FILE.write_text(text)


def _counts(tally: Tally, *, client: str = "", kind: str = "") -> tuple[str, ...]:
    whole = tally.count(client=client, kind=kind)
    judged = (tally.count(client=client, kind=kind, verdict=verdict) for verdict in (WRONG, AGAIN, REFUSED))
    return tuple(f"{count:,}" for count in (whole, *judged))


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
