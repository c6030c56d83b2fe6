"""Configurable models, and tools that read the metadata of their run: none gets what another run configured or said."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField, Runnable, RunnableLambda
from langchain_core.tools import BaseTool, tool

import nbcache


def in_runs_of_two_users(function: Callable[[str], Any], name: str) -> list[Any]:
    runnable = RunnableLambda(function)
    return [runnable.invoke("a", {"configurable": {name: user}}) for user in ("ada", "bob")]


MODEL = FakeListChatModel(responses=["of nobody"], cache=False)
CONFIGURABLE: dict[str, Runnable[Any, Any]] = {
    "fields": MODEL.configurable_fields(responses=ConfigurableField(id="replies")),
    "alternatives": MODEL.configurable_alternatives(
        ConfigurableField(id="replies"),
        ada=FakeListChatModel(responses=["of ada"], cache=False),
        bob=FakeListChatModel(responses=["of bob"], cache=False),
    ),
    "a chain": ChatPromptTemplate.from_template("{question}")
    | MODEL.configurable_fields(responses=ConfigurableField(id="replies")),
}


@pytest.mark.parametrize("kind", CONFIGURABLE)
def test_a_configurable_model_counts_by_what_the_run_configures(store: Path, kind: str) -> None:
    model = CONFIGURABLE[kind]
    replies = {user: [f"of {user}"] if kind != "alternatives" else user for user in ("ada", "bob")}

    @nbcache.memoize
    def ask(question: str) -> str:
        return str(model.invoke(question).content)

    runnable: Runnable[str, str] = RunnableLambda(ask)

    def asked(user: str, **others: str) -> str:
        return runnable.invoke("who?", {"configurable": {"replies": replies[user], **others}})

    assert [asked("ada"), asked("bob"), asked("ada", thread_id="2")] == ["of ada", "of bob", "of ada"]
    assert nbcache.stats().hits == 1


def test_so_does_one_of_init_chat_model(store: Path) -> None:
    init: Any = importlib.import_module("langchain.chat_models").init_chat_model
    model = init(
        "gpt-4o", model_provider="openai", api_key="none", configurable_fields=["model"], config_prefix="first"
    )

    @nbcache.memoize
    def name(text: str) -> str:
        return str(model._model().model_name)

    assert in_runs_of_two_users(name, "first_model") == ["ada", "bob"]
    assert in_runs_of_two_users(name, "first_model") == ["ada", "bob"]
    assert nbcache.stats().hits == 2


@tool
def of_metadata(text: str, callbacks: Any = None) -> str:
    """Tell the user."""
    return str(callbacks.metadata["user"])


class OfTheManager(BaseTool):
    name: str = "of_the_manager"
    description: str = "Tell the user."

    def _run(self, text: str, run_manager: Any = None) -> str:
        return str(run_manager.metadata["user"])


@pytest.mark.parametrize("reader", [of_metadata, OfTheManager()], ids=lambda reader: reader.name)
def test_a_tool_that_reads_metadata_of_its_run_is_not_cached(store: Path, reader: BaseTool) -> None:
    cached = nbcache.wrap(reader)
    with pytest.warns(nbcache.NbcacheWarning, match="hands it '(callbacks|run_manager)'"):
        users = [cached.invoke("a", {"metadata": {"user": user}}) for user in ("ada", "bob")]
    assert users == ["ada", "bob"]
