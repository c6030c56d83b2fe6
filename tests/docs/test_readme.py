"""The README claims what was run."""

from pathlib import Path

from tests.clients.table import table

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_table_of_clients_is_what_the_tests_run() -> None:
    assert table() in README, "print it anew with `python -m tests.clients.table`"
