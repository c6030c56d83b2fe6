"""README is a front door, and the pages claim what was run."""

import json
import re
import subprocess
import sys

import pytest

import nbcache
from tests.integrations.clients.table import table as table_of_other_clients
from tests.integrations.providers.table import table
from tests.support.paths import ROOT


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_table_of_clients_is_what_the_tests_run() -> None:
    assert table() in page("docs/clients.md"), "print it anew with `python -m tests.integrations.providers.table`"


def test_the_table_of_other_clients_is_what_the_tests_run() -> None:
    assert table_of_other_clients() in page("docs/clients.md"), (
        "print it anew with `python -m tests.integrations.clients.table`"
    )


def test_the_readme_is_two_screens() -> None:
    assert len(page("README.md").splitlines()) <= 110
    assert len(page("README.md").split()) <= 750


def test_the_reference_has_every_public_name() -> None:
    reference = page("docs/api.md")
    assert not [name for name in nbcache.__all__ if f":: nbcache.{name}\n" not in reference]


@pytest.mark.parametrize("name", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_file_that_developers_are_told_of_is_there(name: str) -> None:
    named = re.findall(r"`([\w/]+/\w+\.(?:py|md))`", page(name))
    assert named
    assert not [path for path in named if not ((ROOT / path).is_file() or (ROOT / "nbcache" / path).is_file())]


def test_the_package_index_gets_no_link_that_leads_nowhere() -> None:
    command = [sys.executable, "-m", "hatchling", "metadata"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    readme = json.loads(done.stdout)["readme"]["text"]
    assert "See what was saved (`docs/see-what-was-saved.md`)" in readme
    assert not re.findall(r"\]\((?!https:)", readme)
