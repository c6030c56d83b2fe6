"""Functions and tools that read the run they are in: a human's answer, a config, a frame. A hit would return another run's."""

import builtins
import contextvars
import functools
import getpass
import inspect
import io
import sys
import threading
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import langgraph
import langgraph.config
import langgraph.types
import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda, ensure_config
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tools import BaseTool, tool
from langgraph import types as graph_types
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_config, get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import get_runtime
from langgraph.types import Command, interrupt
from langgraph.types import interrupt as ask_a_human

import nbcache
from tests.integrations.functions.runs import note


class State(TypedDict):
    answer: str


def answers_in_graph(step: Callable[[str], str], *answers: str) -> list[str]:
    """What a graph's only node, which calls `step("Send?")`, returns in one thread after another, each answered by a human."""
    graph = StateGraph(State)
    graph.add_node("step", lambda _: {"answer": step("Send?")})
    graph.add_edge(START, "step")
    graph.add_edge("step", END)
    app = graph.compile(checkpointer=InMemorySaver())
    results = []
    for number, answer in enumerate(answers):
        config: RunnableConfig = {"configurable": {"thread_id": str(number)}}
        app.invoke({"answer": ""}, config)
        results.append(app.invoke(Command(resume=answer), config)["answer"])
    return results


def approved(question: str) -> str:
    return str(interrupt(question))


def by_module(question: str) -> str:
    return str(langgraph.types.interrupt(question))


def by_alias(question: str) -> str:
    return str(ask_a_human(question))


def by_module_alias(question: str) -> str:
    return str(graph_types.interrupt(question))


def by_local_import(question: str) -> str:
    from langgraph.types import interrupt as ask

    return str(ask(question))


def by_local_module(question: str) -> str:
    import langgraph.types as local

    return str(local.interrupt(question))


def by_local_package(question: str) -> str:
    import langgraph

    return str(langgraph.types.interrupt(question))


def by_helper(question: str) -> str:
    return approved(question)


def by_default(question: str, ask: Callable[[str], Any] = interrupt) -> str:
    return str(ask(question))


class Approval:
    ask = staticmethod(interrupt)

    def answer(self, question: str) -> str:
        return str(self.ask(question))  # type: ignore[call-arg]


def by_class(question: str) -> str:
    return Approval().answer(question)


BY_PARTIAL = functools.partial(interrupt)
IN_A_DICT = {"ask": [interrupt, 1.5]}


def by_partial(question: str) -> str:
    return str(BY_PARTIAL(question))


def by_dict(question: str) -> str:
    return str(IN_A_DICT["ask"][0](question))  # type: ignore[operator]


WAYS = [
    *(approved, by_module, by_alias, by_module_alias, by_local_import, by_local_module, by_local_package, by_helper),
    *(by_default, by_class, by_partial, by_dict),
]


@pytest.mark.parametrize("function", WAYS)
def test_a_humans_answer_is_asked_for_in_every_run(store: Path, function: Callable[[str], str]) -> None:
    """LangGraph's `interrupt` returns the answer when the graph is resumed."""
    with pytest.warns(
        nbcache.NbcacheWarning, match=r"not cached: .*langgraph\.types\.interrupt.*ignore=\('interrupt',\)"
    ):
        assert answers_in_graph(nbcache.memoize(function), "yes", "no") == ["yes", "no"]
    assert nbcache.stats().entries == 0
    with nbcache.mode("replay"), pytest.raises(nbcache.ReplayMiss, match=function.__name__):
        nbcache.memoize(function)("Send?")


@tool
def approve(question: str) -> str:
    """Ask a human."""
    return approved(question)


class Approve(BaseTool):
    name: str = "approve"
    description: str = "Ask a human."

    def _run(self, question: str) -> str:
        return str(interrupt(question))


@pytest.mark.parametrize("version", [None, "1"])
@pytest.mark.parametrize("asking", [approve, Approve()], ids=["of a function", "of a class"])
def test_a_tool_asks_a_human_in_every_run(store: Path, asking: BaseTool, version: str | None) -> None:
    cached = nbcache.wrap(asking, version=version)
    with pytest.warns(nbcache.NbcacheWarning, match=r"the tool approve are not cached: .*langgraph\.types\.interrupt"):
        assert answers_in_graph(lambda text: str(cached.invoke({"question": text})), "yes", "no") == ["yes", "no"]
    assert nbcache.stats().entries == 0


def test_a_version_stands_for_the_code_and_not_for_the_run(store: Path) -> None:
    with pytest.warns(nbcache.NbcacheWarning, match="interrupt"):
        assert answers_in_graph(nbcache.memoize(version="1")(approved), "yes", "no") == ["yes", "no"]


@pytest.mark.parametrize("function", WAYS)
def test_whoever_wants_the_first_answer_for_good_says_so(store: Path, function: Callable[[str], str]) -> None:
    kept = nbcache.memoize(ignore="interrupt")(function)
    assert answers_in_graph(kept, "yes") == ["yes"]
    assert kept("Send?") == "yes"
    cached = nbcache.wrap(approve, ignore="interrupt")
    assert answers_in_graph(lambda text: str(cached.invoke({"question": text})), "no") == ["no"]
    assert cached.invoke({"question": "Send?"}) == "no"


def users_config(text: str) -> str:
    return f"{text} {ensure_config()['configurable']['user']}"


def users_config_of_the_graph(text: str) -> str:
    return f"{text} {get_config()['configurable']['user']}"


def users_config_of_the_module(text: str) -> str:
    import langchain_core.runnables.config as configs

    config = configs.var_child_runnable_config.get()
    assert config is not None
    return f"{text} {config['configurable']['user']}"


def users_config_of_the_variable(text: str) -> str:
    config = var_child_runnable_config.get()
    assert config is not None
    return f"{text} {config['configurable']['user']}"


@pytest.mark.parametrize(
    "function",
    [users_config, users_config_of_the_graph, users_config_of_the_module, users_config_of_the_variable],
)
def test_the_config_of_a_run_is_read_in_every_run(store: Path, function: Callable[[str], str]) -> None:
    chain = RunnableLambda(nbcache.memoize(function))
    with pytest.warns(nbcache.NbcacheWarning, match="not cached"):
        results = [chain.invoke("hello", {"configurable": {"user": user}}) for user in ("ada", "bob")]
    assert results == ["hello ada", "hello bob"]


USER = contextvars.ContextVar("USER", default="nobody")
LOCAL = threading.local()
library = types.ModuleType("json.users")  # as a library's, by its name
library.user = contextvars.ContextVar("user", default="nobody")  # type: ignore[attr-defined]
library.local = LOCAL  # type: ignore[attr-defined]


def of_a_runtime() -> Any:
    return get_runtime()


def of_a_store() -> Any:
    return langgraph.config.get_store()


def of_a_person() -> str:
    return input()


def of_builtins() -> str:
    return builtins.input()


def of_a_secret() -> str:
    return getpass.getpass()


def of_a_notebook() -> Any:
    from IPython import get_ipython

    return get_ipython()


def of_a_frame() -> Any:
    return inspect.currentframe()


def of_a_callers_frame() -> Any:
    return sys._getframe(1)


def of_loaded_modules() -> Any:
    import sys

    return len(sys.modules)


def of_a_variable() -> str:
    return USER.get()


def of_a_thread() -> Any:
    return LOCAL.user


def of_a_librarys_variable() -> Any:
    return library.user.get()


def of_a_librarys_thread() -> Any:
    return library.local.user


def of_all_variables() -> Any:
    return contextvars.copy_context()


READERS = [
    of_a_runtime,
    of_a_store,
    of_a_person,
    of_builtins,
    of_a_secret,
    of_a_notebook,
    of_a_frame,
    of_a_callers_frame,
    of_loaded_modules,
    of_a_variable,
    of_a_thread,
    of_a_librarys_variable,
    of_a_librarys_thread,
    of_all_variables,
]


@pytest.mark.parametrize("function", READERS)
def test_what_reads_the_run_has_no_key(function: Callable[[], Any]) -> None:
    with pytest.raises(nbcache.UnstableIdentityError, match="To have them cached"):
        nbcache.memoize(function).cache_key()


def test_what_is_typed_is_asked_for_every_time(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @nbcache.memoize
    def name(question: str) -> str:
        return input(question)

    monkeypatch.setattr("sys.stdin", io.StringIO("ada\nbob\n"))
    with pytest.warns(nbcache.NbcacheWarning, match=r"builtins\.input.*ignore=\('input',\)"):
        assert [name("Who?"), name("Who?")] == ["ada", "bob"]


def test_a_kernels_input_is_one_too(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Kernel:
        def raw_input(self, prompt: str = "") -> str:
            return prompt

    kernel = Kernel()
    monkeypatch.setattr(builtins, "input", kernel.raw_input)
    monkeypatch.setattr(getpass, "getpass", kernel.raw_input)
    with pytest.raises(nbcache.UnstableIdentityError, match=r"builtins\.input"):
        nbcache.memoize(lambda: input("a")).cache_key()
    with pytest.raises(nbcache.UnstableIdentityError, match=r"getpass\.getpass"):
        nbcache.memoize(lambda: getpass.getpass("a")).cache_key()


def test_a_function_that_is_handed_one_is_not_cached() -> None:
    @nbcache.memoize
    def run(ask: Any) -> Any:
        return ask("a")

    for ask in (interrupt, input, functools.partial(interrupt), [input]):
        with pytest.raises(nbcache.UnstableIdentityError, match="To have them cached"):
            run.cache_key(ask)


def test_a_helper_that_is_not_imported_yet_is_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "asking_helper.py").write_text(
        "import langgraph.types\ndef ask(text): return langgraph.types.interrupt(text)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    @nbcache.memoize
    def run(text: str) -> Any:
        from asking_helper import ask  # type: ignore[import-not-found]

        return ask(text)

    with pytest.raises(nbcache.UnstableIdentityError, match=r"langgraph\.types\.interrupt"):
        run.cache_key("a")
    assert "asking_helper" not in sys.modules


def test_what_a_function_only_writes_to_its_run_is_output(store: Path, runs: list[Any]) -> None:
    @nbcache.memoize
    def step(text: str) -> str:
        note(text)
        get_stream_writer()(text)
        return text.upper()

    graph = StateGraph(State)
    graph.add_node("step", lambda state: {"answer": step(state["answer"])})
    graph.add_edge(START, "step")
    app = graph.compile()
    written = [[*app.stream({"answer": "a"}, stream_mode="custom")] for _ in range(2)]
    assert written == [["a"], []]
    assert app.invoke({"answer": "a"}) == {"answer": "A"}
    assert runs == ["a"]


def test_names_that_are_only_alike_are_no_matter(store: Path) -> None:
    def interrupt(text: str) -> str:
        return text

    @nbcache.memoize
    def own(input: str, stack: list[str]) -> str:  # noqa: A002 - a parameter is no builtin
        import inspect

        assert inspect.signature(interrupt)
        return interrupt(input)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [own("a", ["b"]), own("a", ["b"])] == ["a", "a"]
    assert own.cache_info().hits == 1
