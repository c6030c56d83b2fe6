"""A setting is written once: arguments, `%config`, the environment and the docs follow from the table of settings."""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from traitlets import TraitError

import nbcache
from nbcache.cache.setting_field import Setting, settings_of, takes
from nbcache.cache.settings_docs import PAGE, table, with_table
from nbcache.cache.settings_table import SETTINGS, Configuration
from nbcache.costs.price_lookup import Prices
from nbcache.session import installation
from nbcache.session.environment import misspelt, with_environment
from nbcache.ui.jupyter.config_traits import NBCache, traits

ROOT = Path(__file__).parents[2]
# A value for each argument, as it is given and as it is checked.
VALUES: dict[str, tuple[Any, Any]] = {
    "store": ("answers", "answers"),
    "scope": ("folder", "folder"),
    "mode": ("Read-Only", "read-only"),
    "ttl": ("2h", 7200.0),
    "ttl_rules": ({"gpt-4o*": "7d", "tag:news": "none"}, {"gpt-4o*": 604800.0, "tag:news": None}),
    "max_bytes": ("2kB", 2000),
    "max_entries": (7, 7),
    "tags": (["a", "b"], ("a", "b")),
    "memory": (3, 3),
    "notebook": ("a.ipynb", Path("a.ipynb").absolute()),
    "prices": ({"m": {"input": 1, "output": 1}}, {"m": {"input": 1, "output": 1}}),
    "exclude": (["draft"], ("draft",)),
    "normalize": (str.lower, str.lower),
    "should_store": (bool, bool),
    "min_seconds": (1.5, 1.5),
    "min_usd": (0.01, Decimal("0.01")),
    "cassette": ("a.jsonl", Path("a.jsonl").absolute()),
    "clients": (["openai", "anthropic"], ("openai", "anthropic")),
    "secrets": (["ACME"], ("ACME",)),
}
ARGUMENTS = settings_of(Configuration)
INSTALL: Callable[..., Any] = nbcache.install


@dataclass(frozen=True, kw_only=True)
class _More(Configuration):
    """The settings, and one more."""

    flavour: Setting[str | None, str] = Setting(str.upper, "how it tastes", default="PLAIN", kind="text", from_text=str)


@pytest.mark.parametrize("called", [nbcache.install, nbcache.NotebookCache])
def test_the_table_has_all_that_can_be_given(called: Callable[..., Any]) -> None:
    assert list(inspect.signature(called).parameters) == [field.name for field in fields(Configuration)]
    assert [setting.name for setting in ARGUMENTS] == list(VALUES)
    assert set(NBCache.class_trait_names(config=True)) == {setting.config for setting in SETTINGS if setting.config}


def test_an_added_setting_is_an_argument_a_trait_a_variable_and_a_row_of_the_docs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @takes(_More)
    def function(given: dict[str, Any]) -> _More:
        """Take settings."""
        return _More(**given)

    parameter = inspect.signature(function).parameters["flavour"]
    assert (parameter.annotation, parameter.default, parameter.kind.name) == (str | None, "PLAIN", "KEYWORD_ONLY")
    assert function("store", flavour="sweet").flavour == "SWEET"
    assert function(flavour=None).flavour == "PLAIN"
    assert "\n    flavour: how it tastes.\n" in (function.__doc__ or "")
    trait = traits(settings_of(_More))["flavour"]
    assert (trait.default_value, trait.help, trait.metadata["config"]) == ("PLAIN", "How it tastes", True)
    monkeypatch.setenv("NBCACHE_FLAVOUR", "sour")
    assert with_environment({"ttl": 1}, settings_of(_More))["flavour"] == "SOUR"
    assert "| `flavour` | `flavour` | `NBCACHE_FLAVOUR` | `'PLAIN'` | How it tastes |" in table(
        settings_of(_More), _More
    )


@pytest.mark.parametrize("setting", ARGUMENTS, ids=lambda setting: setting.name)
def test_a_setting_comes_to_the_cache_by_argument_by_config_and_by_environment(
    setting: Setting[Any, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    given, checked = VALUES[setting.name]
    others: dict[str, Any] = {} if setting.name == "store" else {"store": "memory://"}

    def holds() -> bool:
        value = getattr(installation.installed().configuration, setting.name)
        if setting.name == "store":
            return bool(value.url == f"disk://{tmp_path / checked}")
        if setting.name == "notebook":
            return bool(value == tmp_path / checked.name)
        if setting.name == "cassette":
            return bool(value == tmp_path / checked.name)
        return bool((value.own if isinstance(value, Prices) else value) == checked)

    if setting.name != "scope":  # unknown notebooks share the folder
        nbcache.install(**others)
        assert not holds()
        nbcache.uninstall()
    INSTALL(**others, **{setting.name: given})
    assert holds()
    installation.reinstall(max_entries=7)
    assert holds()
    nbcache.uninstall()
    if setting.config is not None:
        config = NBCache(**{setting.config: given}, **others)
        config.install()
        assert holds()
        nbcache.uninstall()
    if setting.variable is not None:
        text = (
            json.dumps(given) if isinstance(given, dict) else ",".join(given) if isinstance(given, list) else str(given)
        )
        monkeypatch.setenv(setting.variable, text)
        nbcache.install(**others)
        assert holds()


@pytest.mark.parametrize("setting", ARGUMENTS, ids=lambda setting: setting.name)
def test_a_wrong_value_is_refused_by_name_and_by_where_it_came_from(
    setting: Setting[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = [3.5] if setting.name == "ttl" else object()
    with pytest.raises(ValueError, match=setting.name):
        INSTALL(**{setting.name: wrong})
    if setting.config is not None:
        with pytest.raises(TraitError, match=setting.config):
            NBCache(**{setting.config: wrong})
    if setting.variable is not None and setting.name in {
        "mode",
        "scope",
        "ttl",
        "max_bytes",
        "max_entries",
        "min_seconds",
        "min_usd",
    }:
        monkeypatch.setenv(setting.variable, "nonsense")
        with pytest.raises(
            ValueError, match=f"{setting.variable} in the environment: {setting.name}='nonsense': write"
        ):
            nbcache.install()
    assert not installation.is_installed()


def test_a_record_is_read_as_checked_and_cannot_be_changed() -> None:
    record = Configuration(ttl=timedelta(hours=2), tags=iter("ab"), exclude="draft", max_bytes="2kB")
    assert (record.mode, record.scope, record.store) == ("on", "notebook", None)
    assert (record.ttl, record.tags, record.exclude, record.max_bytes) == (7200, ("a", "b"), ("draft",), 2000)
    with pytest.raises(AttributeError):
        record.ttl = 1  # type: ignore[misc]


def test_what_is_only_set_in_a_notebook_is_said_of_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in SETTINGS:
        if setting.variable is None and setting.config is not None:
            name = f"NBCACHE_{setting.config.upper()}"
            monkeypatch.setenv(name, "x")
            assert f"%config NBCache.{setting.config} =" in misspelt()[name]


def test_the_docs_have_the_table() -> None:
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    assert with_table(page) == page, f"write it anew: python -m {with_table.__module__}"
    assert page.count(table(SETTINGS)) == 1
