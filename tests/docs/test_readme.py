"""The README claims what was run."""

from tests.integrations.providers.table import table
from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_clients_is_what_the_tests_run() -> None:
    assert table() in README, "print it anew with `python -m tests.integrations.providers.table`"
