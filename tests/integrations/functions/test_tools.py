"""`nbcache.wrap(tool)`: a tool's call runs once, and all that LangChain does around it stays as it is."""

import asyncio
import copy
import functools
import pickle
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler, CallbackManagerForToolRun
from langchain_core.documents import Document
from langchain_core.messages import ToolMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import (
    BaseTool,
    StructuredTool,
    Tool,
    ToolException,
    create_retriever_tool,
    tool,
)
from pydantic import BaseModel, Field

import nbcache
from tests.integrations.functions.runs import note
from tests.integrations.functions.tool_calls import tool_call


@tool
def search(query: str, limit: int = 3) -> str:
    """Search for something."""
    note((query, limit))
    return f"{limit} of {query}"


@tool(response_format="content_and_artifact")
def measure(name: str) -> tuple[str, dict[str, int]]:
    """Measure something."""
    note(name)
    return f"{name} is long", {"length": len(name)}


@tool
async def fetch(url: str) -> str:
    """Fetch a page."""
    note(url)
    await asyncio.sleep(0)
    return f"the page of {url}"


def test_a_call_runs_once_however_its_arguments_are_passed(store: Path, runs: list[Any]) -> None:
    cached = nbcache.wrap(search)
    calls: list[Any] = [
        "ships",
        {"query": "ships"},
        {"limit": 3, "query": "ships"},
        tool_call("search", {"query": "ships"}),
    ]
    results = [cached.invoke(call) for call in calls]
    results += [cached.run("ships"), *cached.batch(["ships", {"query": "ships"}])]
    assert [getattr(result, "content", result) for result in results] == ["3 of ships"] * 7
    assert runs == [("ships", 3)]
    cached.invoke({"query": "ships", "limit": 4})
    assert runs == [("ships", 3), ("ships", 4)]


async def test_a_call_that_is_awaited_is_the_same_call(store: Path, runs: list[Any]) -> None:
    cached = nbcache.wrap(search)
    assert await cached.ainvoke("ships") == cached.invoke("ships") == "3 of ships"
    assert await cached.abatch(["ships", "ships"]) == ["3 of ships"] * 2
    pages = nbcache.wrap(fetch)
    assert [await pages.ainvoke("/"), await pages.ainvoke({"url": "/"})] == ["the page of /"] * 2
    assert runs == [("ships", 3), "/"]


def test_the_message_is_the_answer_to_the_request_that_asks_now(store: Path, runs: list[Any]) -> None:
    cached = nbcache.wrap(measure)
    first, again = (cached.invoke(tool_call("measure", {"name": "boat"}, number)) for number in "12")
    assert (first.tool_call_id, again.tool_call_id) == ("1", "2")
    for message in (first, again):
        assert isinstance(message, ToolMessage)
        assert (message.content, message.artifact) == ("boat is long", {"length": 4})
        assert (message.name, message.status) == ("measure", "success")
    assert again.artifact is not first.artifact
    assert cached.invoke("boat") == "boat is long"
    assert runs == ["boat"]


def test_the_wrapped_tool_is_one_of_the_same_class_and_the_tool_itself_is_unchanged(
    store: Path, runs: list[Any]
) -> None:
    before = dict(search.__dict__)
    cached = nbcache.wrap(search)
    assert isinstance(cached, StructuredTool)
    assert (cached.name, cached.description, cached.args) == (search.name, search.description, search.args)
    assert repr(cached) == repr(search)
    assert cached.tool_call_schema.model_json_schema() == search.tool_call_schema.model_json_schema()  # type: ignore[union-attr]
    assert type(search) is StructuredTool
    assert {name: search.__dict__[name] for name in before} == before
    search.invoke("ships")
    search.invoke("ships")
    assert len(runs) == 2
    assert nbcache.stats().entries == 0


def test_while_nothing_is_installed_it_is_the_plain_tool(runs: list[Any]) -> None:
    cached = nbcache.wrap(search)
    cached.invoke("ships")
    cached.invoke("ships")
    assert len(runs) == 2


def test_several_tools_are_wrapped_together_and_each_once(store: Path, runs: list[Any]) -> None:
    tools = nbcache.wrap([search, measure])
    assert type(tools) is list
    assert [each.name for each in tools] == ["search", "measure"]
    assert type(nbcache.wrap((search,))) is tuple
    assert nbcache.wrap([]) == []
    again = nbcache.wrap(nbcache.wrap(tools[0], ttl="7d"))
    again.invoke("ships")
    again.invoke("ships")
    assert len(runs) == 1
    assert nbcache.entries()["expires"].notna().all()
    assert nbcache.stats().misses == 1


def test_a_copy_or_a_pickled_one_has_the_same_cache(store: Path, runs: list[Any]) -> None:
    cached = nbcache.wrap(lookup, tags="kept")
    cached.invoke("ships")
    copies = [copy.copy(cached), copy.deepcopy(cached), cached.model_copy(), pickle.loads(pickle.dumps(cached))]
    for each in copies:
        assert each.invoke("ships") == "found ships"
        assert isinstance(each, Lookup)
    assert runs == ["ships"]
    other = cached.model_copy(update={"prefix": "lost"})
    assert (other.invoke("ships"), cached.invoke("ships")) == ("lost ships", "found ships")


class Lookup(BaseTool):
    """A tool of a class of its own."""

    name: str = "lookup"
    description: str = "Look something up."
    prefix: str = "found"
    found: int = 0

    def _run(self, text: str, run_manager: CallbackManagerForToolRun | None = None) -> str:
        assert run_manager is not None
        note(text)
        return self._written(text)

    def _written(self, text: str) -> str:
        return f"{self.prefix} {text}"


lookup = Lookup()


class AsyncLookup(Lookup):
    """One with an async method, which calls the other."""

    async def _arun(self, text: str, run_manager: Any = None) -> str:
        return self._run(text, run_manager=run_manager) + "!"


async def test_a_tool_of_a_class_counts_by_what_it_holds(store: Path, runs: list[Any]) -> None:
    for each in (Lookup(), Lookup(), Lookup(prefix="lost"), Lookup(tags=["a tag"], callbacks=[Started()])):
        cached = nbcache.wrap(each)
        assert cached.invoke("ships") == await cached.ainvoke("ships") == f"{each.prefix} ships"
    assert len(runs) == 3
    cached.prefix = "new"
    assert cached.invoke("ships") == "new ships"
    cached = nbcache.wrap(AsyncLookup())
    assert [await cached.ainvoke("ships"), await cached.ainvoke("ships")] == ["found ships!"] * 2
    assert len(runs) == 5


async def test_two_functions_of_ones_own_share_nothing(store: Path, runs: list[Any]) -> None:
    def look(text: str) -> str:
        note(text)
        return f"looked at {text}"

    async def watch(text: str) -> str:
        note(text)
        return f"watched {text}"

    cached = nbcache.wrap(StructuredTool.from_function(look, watch, name="look", description="Look."))
    for _ in range(2):
        assert [cached.invoke("ships"), await cached.ainvoke("ships")] == ["looked at ships", "watched ships"]
    assert len(runs) == 2


def test_what_langchain_reads_of_a_tool_counts_where_its_class_may_read_it(store: Path) -> None:
    class Told(BaseTool):
        name: str = "told"
        description: str = "Tell."

        def _run(self, text: str) -> str:
            return f"{text} {self.return_direct} {self.response_format}"

    assert nbcache.wrap(Told()).invoke("a") == "a False content"
    assert nbcache.wrap(Told(return_direct=True)).invoke("a") == "a True content"


def test_what_a_tool_notes_of_itself_is_noted_in_the_wrapped_one(store: Path) -> None:
    class Counter(BaseTool):
        name: str = "counter"
        description: str = "Count."
        calls: int = 0

        def _run(self, text: str) -> str:
            self.calls += 1
            return text

    plain = Counter()
    cached = nbcache.wrap(plain, ignore="calls")
    for text in ("a", "a", "b"):
        cached.invoke(text)
    assert (cached.calls, plain.calls) == (2, 0)


@pytest.mark.parametrize("handled", [False, True, "sorry", lambda error: f"{error}!"])
def test_no_error_is_kept_handled_or_not(store: Path, runs: list[Any], handled: Any) -> None:
    @tool
    def fail(text: str) -> str:
        """Fail."""
        note(text)
        raise ToolException(text)

    cached = nbcache.wrap(fail)
    cached.handle_tool_error = handled
    for number in "12":
        if handled:
            message = cached.invoke(tool_call("fail", {"text": "no"}, number))
            assert (message.status, message.tool_call_id) == ("error", number)
        else:
            with pytest.raises(ToolException, match="no"):
                cached.invoke("no")
    assert runs == ["no", "no"]
    assert nbcache.stats().entries == 0


def test_arguments_that_are_refused_reach_no_cache(store: Path, runs: list[Any]) -> None:
    cached = nbcache.wrap(search)
    cached.handle_validation_error = True
    message = cached.invoke(tool_call("search", {"query": "ships", "limit": "many"}))
    assert (message.status, runs, len(nbcache.last())) == ("error", [], 0)


class Started(BaseCallbackHandler):
    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_tool_start(self, serialized: dict[str, Any], input_str: str, **kwargs: Any) -> None:
        self.events.append(("start", serialized["name"], input_str))

    def on_tool_end(self, output: Any, **kwargs: Any) -> None:
        self.events.append(("end", output))


def test_callbacks_hear_of_hits_too(store: Path) -> None:
    handler = Started()
    cached = nbcache.wrap(search)
    cached.invoke("ships", {"callbacks": [handler]})
    cached.invoke("ships", {"callbacks": [handler], "metadata": {"one": 1}, "tags": ["t"], "run_name": "r"})
    assert handler.events == [("start", "search", "ships"), ("end", "3 of ships")] * 2
    assert nbcache.stats().hits == 1


def named(text: str) -> StructuredTool:
    def run(query: str) -> str:
        note(text)
        return query

    return StructuredTool.from_function(run, name="named", description=text)


def changed(**update: Any) -> BaseTool:
    return search.model_copy(update=update)


def search_again(query: str, limit: int = 3) -> str:
    note((query, limit))
    return f"{limit} for {query}"


class Other(BaseModel):
    """Search for something."""

    query: str = Field(description="What to search for.")
    limit: int = 3


@pytest.mark.parametrize(
    "other",
    [
        changed(description="Search the web."),
        changed(name="find"),
        changed(args_schema=Other),
        changed(func=search_again),
    ],
    ids=["description", "name", "schema", "code"],
)
def test_a_tool_that_is_another_now_runs_again(store: Path, runs: list[Any], other: BaseTool) -> None:
    nbcache.wrap(search).invoke("ships")
    nbcache.wrap(search).invoke("ships")
    assert len(runs) == 1
    nbcache.wrap(other).invoke("ships")
    assert len(runs) == 2


def test_what_does_not_reach_its_code_does_not_count(store: Path, runs: list[Any]) -> None:
    for update in ({}, {"return_direct": True}, {"handle_tool_error": True}, {"verbose": True}, {"tags": ["a"]}):
        cached = nbcache.wrap(changed(**update))
        cached.invoke("ships")
        assert cached.return_direct == update.get("return_direct", False)
    assert len(runs) == 1


def test_why_says_that_the_description_changed(store: Path) -> None:
    nbcache.wrap(search).invoke("ships")
    nbcache.wrap(changed(description="Search the web.")).invoke("ships")
    assert nbcache.why().changes == ('the tool\'s description: "Search for something." → "Search the web."',)


def test_a_version_stands_in_place_of_the_code(store: Path, runs: list[Any]) -> None:
    client = threading.Lock()

    def made(ending: str) -> StructuredTool:
        def run(query: str) -> str:
            """Run."""
            with client:
                note(query)
            return query + ending

        return StructuredTool.from_function(run)

    assert [nbcache.wrap(made(ending), version="1").invoke("a") for ending in "!?"] == ["a!", "a!"]
    assert nbcache.wrap(made("?"), version="2").invoke("a") == "a?"
    assert len(runs) == 2
    cached = nbcache.wrap(made("."))
    with pytest.warns(nbcache.NbcacheWarning, match=r"the tool run are not cached.*'client'.*version=.*ignore="):
        cached.invoke("a")
    cached.invoke("a")  # said once
    assert len(runs) == 4
    ignoring = nbcache.wrap(made("."), ignore="client")
    assert [ignoring.invoke("a"), ignoring.invoke("a")] == ["a."] * 2
    assert len(runs) == 5


def test_options_hold_for_its_entries(store: Path) -> None:
    nbcache.wrap(search, ttl="7d", tags=("eval", "draft"), ignore="limit").invoke({"query": "a", "limit": 5})
    (row,) = nbcache.entries().to_dict("records")
    assert row["tags"] == "draft, eval"
    assert row["expires"] is not None
    assert (row["kind"], row["function"]) == ("tool", "search")
    assert nbcache.wrap(search, ignore="limit").invoke({"query": "a", "limit": 6}) == "5 of a"


@pytest.mark.parametrize(
    ("target", "options", "error", "text"),
    [
        (search, {"ignore": "nothing"}, ValueError, "search has no argument or field 'nothing'"),
        (search, {"ttl": "soon"}, ValueError, "soon"),
        (search, {"version": 2}, TypeError, 'version="2"'),
        (search, {"ignore": 3}, TypeError, "ignore=3"),
        ([search, print], {}, TypeError, "only tools are wrapped in a list, and print is none"),
        (StructuredTool, {}, TypeError, "is a class"),
        (tool_call, {}, TypeError, "is a function.*@nbcache.memoize.*@tool"),
        (object(), {"ttl": "7d"}, TypeError, "are for tools"),
    ],
)
def test_what_is_wrong_is_said_at_once(target: Any, options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        nbcache.wrap(target, **options)


class Catalogue(BaseRetriever):
    """Finds its lines by a word."""

    lines: list[str]

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        note(query)
        return [Document(line) for line in self.lines if query in line]


async def test_a_retriever_is_a_part_of_its_tool(store: Path, runs: list[Any]) -> None:
    def made(*lines: str) -> BaseTool:
        return nbcache.wrap(create_retriever_tool(Catalogue(lines=[*lines]), "find", "Find lines."))

    assert made("a boat", "a ship").invoke("boat") == await made("a boat", "a ship").ainvoke("boat") == "a boat"
    assert len(runs) == 1
    assert made("the boat").invoke("boat") == "the boat"
    assert len(runs) == 2


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
async def test_a_runnable_is_a_part_of_its_tool(store: Path, runs: list[Any]) -> None:
    def made(ending: str) -> BaseTool:
        def end(values: dict[str, str]) -> str:
            note(values)
            return values["text"] + ending

        chain = RunnableLambda(end) | RunnableLambda(str.upper)
        return nbcache.wrap(chain.as_tool(arg_types={"text": str}, name="end", description="End it."))

    assert [made("!").invoke({"text": "a"}), made("!").invoke({"text": "a"})] == ["A!"] * 2
    assert await made("!").ainvoke({"text": "a"}) == "A!"
    assert made("?").invoke({"text": "a"}) == "A?"
    assert len(runs) == 2


def test_functions_with_arguments_bound_before(store: Path, runs: list[Any]) -> None:
    def run(query: str, ending: str) -> str:
        note(query)
        return query + ending

    def made(ending: str) -> BaseTool:
        return nbcache.wrap(Tool(name="end", func=functools.partial(run, ending=ending), description="End it."))

    assert [made(ending).invoke("a") for ending in "!!?"] == ["a!", "a!", "a?"]
    assert len(runs) == 2
    assert set(nbcache.entries()["prompt"]) == {"end(query='a')"}


class Shop:
    def __init__(self, wares: list[str]) -> None:
        self.wares = wares

    def price(self, ware: str) -> int:
        """What it costs."""
        note(ware)
        return self.wares.index(ware)

    def __call__(self, ware: str) -> int:
        return self.price(ware)


@pytest.mark.parametrize("of", [lambda shop: shop.price, lambda shop: shop], ids=["method", "object"])
def test_methods_and_objects_count_by_what_they_hold(store: Path, runs: list[Any], of: Callable[[Shop], Any]) -> None:
    def made(*wares: str) -> BaseTool:
        shop = Shop([*wares])
        schema = StructuredTool.from_function(shop.price).args_schema
        return nbcache.wrap(StructuredTool(name="price", func=of(shop), args_schema=schema, description="A price."))

    assert [made("oil", "coal").invoke("coal"), made("oil", "coal").invoke("coal")] == [1, 1]
    assert made("coal").invoke("coal") == 0
    assert len(runs) == 2


async def test_a_tool_of_a_server_has_a_coroutine_and_a_schema_as_json(store: Path, runs: list[Any]) -> None:
    async def call(**arguments: Any) -> tuple[str, None]:
        note(arguments)
        return f"{arguments}", None

    schema = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
    cached = nbcache.wrap(
        StructuredTool(
            name="weather",
            description="The weather.",
            args_schema=schema,
            coroutine=call,
            response_format="content_and_artifact",
        )
    )
    first = await cached.ainvoke(tool_call("weather", {"city": "Ulm", "days": 2}, "1"))
    again = await cached.ainvoke(tool_call("weather", {"days": 2, "city": "Ulm"}, "2"))
    assert first.content == again.content
    assert again.tool_call_id == "2"
    assert len(runs) == 1


def test_identical_calls_at_the_same_time_run_once(store: Path, runs: list[Any]) -> None:
    begun, goes_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert goes_on.wait(30)

    @tool
    def slow(text: str) -> str:
        """Take long."""
        note(text)
        wait()
        return text

    cached = nbcache.wrap(slow, ignore=("wait", "begun", "goes_on"))
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(cached.invoke, "a")
        assert begun.wait(30)
        others = [pool.submit(cached.invoke, "a") for _ in range(3)]
        goes_on.set()
        assert [each.result(30) for each in (first, *others)] == ["a"] * 4
    assert runs == ["a"]


def test_in_replay_a_call_that_was_not_recorded_names_the_tool(store: Path, runs: list[Any]) -> None:
    cached = nbcache.wrap(search)
    cached.invoke("ships")
    with nbcache.mode("replay"):
        assert cached.invoke(tool_call("search", {"query": "ships"}, "9")).tool_call_id == "9"
        with pytest.raises(nbcache.ReplayMiss, match="search"):
            cached.invoke("boats")
    assert len(runs) == 1


def test_a_cassette_replays_it_elsewhere(store: Path, tmp_path: Path, runs: list[Any]) -> None:
    cached = nbcache.wrap(measure)
    cached.invoke("boat")
    assert nbcache.export_cassette(tmp_path / "c.jsonl").entries == 1
    nbcache.uninstall()
    nbcache.install(tmp_path / "other", mode="replay", cassette=tmp_path / "c.jsonl")
    message = cached.invoke(tool_call("measure", {"name": "boat"}, "5"))
    assert (message.content, message.artifact, message.tool_call_id) == ("boat is long", {"length": 4}, "5")
    assert len(runs) == 1


def test_a_tool_that_a_function_uses_counts_by_what_it_is(store: Path, runs: list[Any]) -> None:
    def made(used: BaseTool) -> Any:
        @nbcache.memoize
        def run(text: str) -> str:
            return str(used.invoke(text))

        return run

    plain, wrapped = made(search), made(nbcache.wrap(search))
    key = plain.cache_key("a")
    search.args  # noqa: B018 - LangChain keeps a class in memory that it makes for this
    assert plain.cache_key("a") == key == wrapped.cache_key("a")
    assert made(changed(description="Other.")).cache_key("a") != key
    boats, ships = (create_retriever_tool(Catalogue(lines=[line]), "f", "Find.") for line in ("boat", "ship"))
    assert made(boats).cache_key("a") != made(ships).cache_key("a")
    assert wrapped("a") == wrapped("a") == "3 of a"
    assert len(runs) == 1


def test_nothing_is_said_where_all_is_well(store: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for each in nbcache.wrap((search, measure, lookup)):
            each.invoke("a")
            each.invoke("a")
    assert nbcache.stats().hits == 3
