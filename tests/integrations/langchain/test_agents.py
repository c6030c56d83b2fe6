"""Agents and the ways in which models are put together: a re-run pays nothing, and every message has its own id."""

from collections.abc import Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from pydantic import BaseModel

import nbcache
from nbcache.session import installation
from tests.servers.provider import Answer, Provider

asked: list[str] = []


@tool
def population(city: str) -> str:
    """How many people live in a city."""
    asked.append(city)
    return f"{city}: {len(city) * 1000}"


class Report(BaseModel):
    """What is to be told."""

    city: str
    people: int


@pytest.fixture(autouse=True)
def installed(tmp_path: Any) -> Iterator[None]:
    nbcache.install(tmp_path / "store")
    asked.clear()
    yield
    asked.clear()


def openai(provider: Provider, **settings: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": "gpt-4o-mini", "max_retries": 0, **provider.openai, **settings})


def answers(provider: Provider) -> None:
    provider.answer(
        Answer(tool_calls=(("population", {"city": "Ulm"}), ("population", {"city": "Bonn"}))),
        Answer(tool_calls=(("population", {"city": "Bern"}),)),
        "Bern and Bonn are as big.",
    )


def in_a_new_kernel() -> None:
    store = installation.installed().store
    nbcache.uninstall()
    nbcache.install(store)


def said(messages: list[Any]) -> list[Any]:
    """What messages say, without their ids."""
    return [(type(m).__name__, m.content, getattr(m, "tool_calls", None)) for m in messages]


def have_ids_of_their_own(*runs: list[Any]) -> bool:
    ids = [message.id for run in runs for message in run]
    return None not in ids and len(set(ids)) == len(ids)


def test_an_agents_rerun_pays_nothing(provider: Provider) -> None:
    answers(provider)

    def run() -> list[Any]:
        agent = create_agent(openai(provider), tools=[population], system_prompt="Be brief.")
        return list(agent.invoke({"messages": [HumanMessage("Which is bigger?")]})["messages"])

    first = run()
    assert first[-1].content == "Bern and Bonn are as big."
    in_a_new_kernel()
    again = run()
    assert len(provider.requests) == 3
    assert said(again) == said(first)
    assert have_ids_of_their_own(first, again)
    assert nbcache.stats().hits == 3


def _said(messages: list[Any]) -> tuple[list[Any], list[Any]]:
    """What the model said, in its order, and what its tools did, which run at the same time."""
    tools = [message.content for message in messages if message.type == "tool"]
    return [message.content for message in messages if message.type != "tool"], sorted(tools)


async def test_streamed_and_awaited_it_pays_nothing_either(provider: Provider) -> None:
    answers(provider)
    agent: Any = create_agent(openai(provider), tools=[population])
    question = {"messages": [HumanMessage("Which is bigger?", id="q")]}
    first = [message async for message, _ in agent.astream(question, stream_mode="messages")]
    again = [message for message, _ in agent.stream(question, stream_mode="messages")]
    assert _said(first) == _said(again)
    events = [event["event"] async for event in agent.astream_events(question, version="v2")]
    assert events.count("on_chat_model_stream") >= 3
    assert (await agent.ainvoke(question))["messages"][-1].content == "Bern and Bonn are as big."
    assert len(provider.requests) == 3


def test_a_graph_with_a_checkpointer_goes_on_for_nothing(provider: Provider) -> None:
    answers(provider)
    provider.answer("Ulm is smaller.")

    def conversation() -> list[Any]:
        model = openai(provider).bind_tools([population])
        built: Any = StateGraph(MessagesState)
        built.add_node("ask", lambda state: {"messages": [model.invoke(state["messages"])]})
        built.add_node("tools", ToolNode([population]))
        built.add_edge(START, "ask")
        built.add_conditional_edges("ask", tools_condition)
        built.add_edge("tools", "ask")
        graph = built.compile(checkpointer=InMemorySaver())
        thread = {"configurable": {"thread_id": "1"}}
        graph.invoke({"messages": [("user", "Which is bigger?")]}, thread)
        return list(graph.invoke({"messages": [("user", "And Ulm?")]}, thread)["messages"])

    first = conversation()
    assert len(provider.requests) == 4
    again = conversation()
    assert len(provider.requests) == 4
    assert said(again) == said(first)
    assert len(first) == 9
    assert sum(isinstance(message, ToolMessage) for message in first) == 3
    assert have_ids_of_their_own(first, again)


def test_the_same_question_twice_in_one_conversation_adds_two_answers(provider: Provider) -> None:
    """LangGraph's add_messages replaces a message by one of the same id (langchain#33883)."""
    model = openai(provider)
    built: Any = StateGraph(MessagesState)
    built.add_node("ask", lambda state: {"messages": [model.invoke("always the same")]})
    built.add_edge(START, "ask")
    graph = built.compile(checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": "1"}}
    for _ in range(3):
        state = graph.invoke({"messages": [("user", "again")]}, thread)
    assert sum(isinstance(message, AIMessage) for message in state["messages"]) == 3
    assert len(provider.requests) == 1


def test_an_agent_with_structured_output_pays_once(provider: Provider) -> None:
    provider.answer(Answer(tool_calls=(("Report", {"city": "Ulm", "people": 3000}),)))

    def run() -> Any:
        from langchain.agents.structured_output import ToolStrategy

        agent: Any = create_agent(openai(provider), tools=[], response_format=ToolStrategy(Report))
        return agent.invoke({"messages": [("user", "Ulm?")]})["structured_response"]

    assert run() == run() == Report(city="Ulm", people=3000)
    assert len(provider.requests) == 1


def test_init_chat_model_and_its_configurable_kind_pay_once(provider: Provider) -> None:
    made: Any = init_chat_model("openai:gpt-4o-mini", **provider.openai)
    configurable: Any = init_chat_model(**provider.openai)
    chosen = {"configurable": {"model": "gpt-4o-mini", "model_provider": "openai"}}
    text = made.invoke("q").text
    assert configurable.invoke("q", config=chosen).text == text
    assert "".join(chunk.text for chunk in configurable.stream("q", config=chosen)) == text
    assert len(provider.requests) == 1
    chosen["configurable"]["model"] = "gpt-4o"
    configurable.invoke("q", config=chosen)
    assert len(provider.requests) == 2


def test_fallbacks_pay_once(provider: Provider) -> None:
    provider.fail(500)
    model = openai(provider).with_fallbacks([openai(provider, model="gpt-4o")])
    first = model.invoke("q").text
    assert first.startswith("gpt-4o ")
    assert len(provider.requests) == 2
    assert openai(provider, model="gpt-4o").invoke("q").text == first
    assert len(provider.requests) == 2


def test_bound_options_and_tools_count(provider: Provider) -> None:
    model = openai(provider)
    for bound in (model.bind(temperature=0.5), model.bind(stop=["x"]), model.bind_tools([population])):
        first = bound.invoke("q")
        assert bound.invoke("q").text == first.text
        assert [chunk.id for chunk in bound.stream("q")]
    assert len(provider.requests) == 3


def test_a_rate_limiter_is_asked_for_paid_calls_alone(provider: Provider) -> None:
    class Counts(InMemoryRateLimiter):
        def acquire(self, *, blocking: bool = True) -> bool:
            waited.append(1)
            return True

    waited: list[int] = []
    model = openai(provider, rate_limiter=Counts())
    for _ in range(3):
        model.invoke("q")
        list(model.stream("q"))
    assert len(waited) == len(provider.requests) == 1


def test_a_tool_that_asks_a_model_is_paid_once(provider: Provider) -> None:
    inner = openai(provider, model="gpt-4o")

    @tool
    def think(about: str) -> str:
        """Think about something."""
        return str(inner.invoke(about).text)

    provider.answer(Answer(tool_calls=(("think", {"about": "x"}),)), "a thought", "done")
    agent: Any = create_agent(openai(provider), tools=[think])
    for _ in range(2):
        assert agent.invoke({"messages": [("user", "q")]})["messages"][-1].content == "done"
    assert len(provider.requests) == 3
