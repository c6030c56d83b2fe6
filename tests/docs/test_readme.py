"""README is a front door, and the pages claim what was run."""

import nbcache
from tests.integrations.providers.table import table
from tests.support.paths import ROOT


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_table_of_clients_is_what_the_tests_run() -> None:
    assert table() in page("docs/clients.md"), "print it anew with `python -m tests.integrations.providers.table`"


def test_the_readme_is_two_screens() -> None:
    assert len(page("README.md").splitlines()) <= 110
    assert len(page("README.md").split()) <= 750


def test_the_reference_has_every_public_name() -> None:
    reference = page("docs/api.md")
    assert not [name for name in nbcache.__all__ if f":: nbcache.{name}\n" not in reference]
