"""Tools whose calls are not cached, since they are told of the run that they are in, or their results are good for it alone."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from langchain.tools import ToolRuntime
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolArg, InjectedToolCallId, StructuredTool, tool
from langgraph.prebuilt import InjectedState, InjectedStore
from langgraph.types import Command
from pydantic import BaseModel

import nbcache
from tests.integrations.functions.runs import note
from tests.integrations.functions.tool_calls import tool_call


@tool
def with_id(text: str, call_id: Annotated[str, InjectedToolCallId]) -> str:
    """Take an id."""
    note(call_id)
    return call_id


@tool
def with_state(text: str, state: Annotated[dict[str, Any], InjectedState]) -> str:
    """Take a state."""
    note(state)
    return str(state)


@tool
def with_store(text: str, kept: Annotated[Any, InjectedStore()]) -> str:
    """Take a store."""
    note(kept)
    return str(kept)


@tool
def with_runtime(text: str, runtime: ToolRuntime) -> str:
    """Take a runtime."""
    note(runtime)
    return str(runtime)


@tool
def with_config(text: str, config: RunnableConfig) -> str:
    """Take a config."""
    note(config["metadata"]["user"])
    return str(config["metadata"]["user"])


@tool
def with_user(text: str, user: Annotated["str | None", InjectedToolArg] = None) -> str:
    """Take what the program adds."""
    note(user)
    return str(user)


@tool
async def awaited_with_config(text: str, settings: RunnableConfig) -> str:
    """Take a config."""
    note(settings)
    return "x"


class Fields(BaseModel):
    """What a tool is given."""

    text: str
    call_id: Annotated[str, InjectedToolCallId]


class OfAClass(BaseTool):
    name: str = "of_a_class"
    description: str = "Take a config."

    def _run(self, text: str, config: RunnableConfig) -> str:
        note(config)
        return "x"


def by_schema(text: str, call_id: str) -> str:
    note(call_id)
    return call_id


by_fields = StructuredTool(name="by_fields", description="Take an id.", args_schema=Fields, func=by_schema)
HANDED = [
    (with_id, "call_id", {}),
    (with_state, "state", {"state": {"a": 1}}),
    (with_store, "kept", {"kept": 1}),
    (with_config, "config", {}),
    (with_user, "user", {"user": "ada"}),
    (OfAClass(), "config", {}),
    (by_fields, "call_id", {}),
]


@pytest.mark.parametrize(("handed", "name", "more"), HANDED, ids=[each.name for each, _, _ in HANDED])
def test_a_tool_that_is_told_of_its_run_is_not_cached(
    store: Path, runs: list[Any], handed: BaseTool, name: str, more: dict[str, Any]
) -> None:
    cached = nbcache.wrap(handed)

    def message(number: str) -> ToolMessage:
        call = tool_call(handed.name, {"text": "a", **more}, number)
        return cached.invoke(call, {"metadata": {"user": f"user {number}"}})  # type: ignore[no-any-return]

    with pytest.warns(nbcache.NbcacheWarning, match=f"the tool {handed.name} are not cached.*{name!r}"):
        first = message("1")
    assert (first.tool_call_id, message("2").tool_call_id) == ("1", "2")  # the reason is said once
    assert len(runs) == 2
    assert nbcache.stats().entries == 0
    assert nbcache.last()["why"].tolist() == ["not cacheable"] * 2
    with nbcache.mode("replay"), pytest.raises(nbcache.ReplayMiss, match=handed.name):
        cached.invoke(tool_call(handed.name, {"text": "a", **more}))


async def test_an_async_one_neither(store: Path, runs: list[Any]) -> None:
    cached = nbcache.wrap(awaited_with_config)
    with pytest.warns(nbcache.NbcacheWarning, match="'settings'"):
        assert [await cached.ainvoke("a"), await cached.ainvoke("a")] == ["x", "x"]
    assert len(runs) == 2


def test_whoever_knows_that_no_result_depends_on_it_says_so(store: Path, runs: list[Any]) -> None:
    cached = nbcache.wrap(with_config, ignore="config")
    users = [cached.invoke("a", {"metadata": {"user": user}}) for user in ("ada", "bob")]
    assert users == ["ada", "ada"]
    cached = nbcache.wrap(with_id, ignore=("call_id",))
    messages = [cached.invoke(tool_call("with_id", {"text": "a"}, number)) for number in "12"]
    assert [message.tool_call_id for message in messages] == ["1", "2"]
    assert len(runs) == 2


RESULTS: dict[str, Callable[[], Any]] = {
    "Command": lambda: Command(update={"a": 1}),
    "ToolMessage": lambda: ToolMessage("a", tool_call_id="1"),
    "several": lambda: [ToolMessage("a", tool_call_id="1"), Command(update={})],
}


@pytest.mark.parametrize("kind", RESULTS)
def test_a_result_that_is_good_for_one_run_is_returned_and_not_kept(store: Path, runs: list[Any], kind: str) -> None:
    make = RESULTS[kind]

    @tool
    def act(text: str) -> Any:
        """Act."""
        note(text)
        return make()

    cached = nbcache.wrap(act)
    name = "ToolMessage" if kind == "several" else kind
    with pytest.warns(nbcache.NbcacheWarning, match=f"act returns is not cached: a {name} is good for one run"):
        first = cached.invoke(tool_call("act", {"text": "a"}))
    assert str(first) == str(make()) == str(cached.invoke(tool_call("act", {"text": "a"})))
    assert len(runs) == 2
    assert nbcache.stats().entries == 0


def test_a_message_of_a_model_is_a_result_as_others_are(store: Path, runs: list[Any]) -> None:
    @tool
    def ask(text: str) -> Any:
        """Ask."""
        note(text)
        return AIMessage(text, id="run-1")

    cached = nbcache.wrap(ask)
    assert cached.invoke("a") == cached.invoke("a") == AIMessage("a", id="run-1")
    assert len(runs) == 1


def test_what_is_not_written_in_python_says_so(store: Path) -> None:
    cached = nbcache.wrap(StructuredTool(name="length", description="Count.", func=len, args_schema=Fields))
    schema = {"type": "object", "properties": {"obj": {"type": "string"}}}
    cached = nbcache.wrap(StructuredTool(name="length", description="Count.", func=len, args_schema=schema))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            with pytest.raises(TypeError):  # it takes no keyword arguments
                cached.invoke({"obj": "a"})
    assert ["the tool length" in str(each.message) for each in caught] == [True]
