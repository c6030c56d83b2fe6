"""`nbcache.memoize`: a call runs once, whatever follows has its value, and where that can't be, the function runs as it is."""

import functools
import inspect
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import FakeListChatModel
from langchain_core.tools import StructuredTool

import nbcache
from nbcache import NbcacheWarning, ReplayMiss, UnstableIdentityError
from tests.support.clock import Clock

RUNS: list[Any] = []


@pytest.fixture(autouse=True)
def no_runs() -> None:
    RUNS.clear()


@nbcache.memoize(ignore="RUNS")
def judge(question: str, scale: int = 5) -> dict[str, Any]:
    """How good it is."""
    RUNS.append((question, scale))
    return {"question": question, "marks": [scale, len(RUNS)]}


def test_a_call_runs_once_however_its_arguments_are_passed(store: Path) -> None:
    first = judge("a")
    assert [judge("a"), judge(question="a"), judge("a", 5), judge(scale=5, question="a")] == [first] * 4
    assert RUNS == [("a", 5)]
    judge("b")
    judge("a", 6)
    assert RUNS == [("a", 5), ("b", 5), ("a", 6)]


def test_it_comes_back_in_another_session(store: Path) -> None:
    first = judge("a")
    nbcache.uninstall()
    nbcache.install(store)
    assert judge("a") == first
    assert len(RUNS) == 1


def test_while_nothing_is_installed_it_is_the_plain_function() -> None:
    assert judge("a") == {"question": "a", "marks": [5, 1]}
    judge("a")
    judge.cache_clear()
    judge("a")
    assert len(RUNS) == 3
    assert judge.cache_info() == (0, 0, None, 0)
    assert judge.cache_key("a") == judge.cache_key(question="a") != judge.cache_key("b")


def test_the_caller_gets_the_functions_own_object_and_on_a_hit_a_new_one(store: Path) -> None:
    @nbcache.memoize(ignore="RUNS")
    def make() -> dict[str, Any]:
        RUNS.append({"items": [1]})
        return RUNS[-1]  # type: ignore[no-any-return]

    first = make()
    assert first is RUNS[0]
    first["items"].append(2)
    for _ in range(3):
        again = make()
        assert again == {"items": [1]}
        again["items"].append(3)
        again["other"] = 4
    assert len(RUNS) == 1


def test_a_none_is_a_value(store: Path) -> None:
    @nbcache.memoize(ignore="RUNS")
    def nothing() -> None:
        RUNS.append(1)

    assert (nothing(), nothing(), RUNS) == (None, None, [1])


def test_an_exception_is_raised_each_time_and_looks_as_without_a_cache(store: Path) -> None:
    @nbcache.memoize(ignore="RUNS")
    def fail() -> None:
        RUNS.append(1)
        raise KeyError("x")

    for _ in range(2):
        with pytest.raises(KeyError) as raised:
            fail()
        assert raised.value.__context__ is None
        assert raised.value.__cause__ is None
        assert [entry.name for entry in raised.traceback][1:] == ["wrapper", "fail"]
    assert len(RUNS) == 2
    assert nbcache.stats().entries == 0


def test_it_has_what_functools_gives(store: Path) -> None:
    assert judge.__name__ == "judge"
    assert judge.__doc__ == "How good it is."
    assert str(inspect.signature(judge)) == "(question: str, scale: int = 5) -> dict[str, typing.Any]"
    assert inspect.isfunction(judge)
    assert judge.__wrapped__("a") == {"question": "a", "marks": [5, 1]}
    assert pickle.loads(pickle.dumps(judge)) is judge
    assert "test_memoize" in str(inspect.getsourcefile(judge.__wrapped__))


def test_cache_key_is_the_key_of_the_entry(store: Path) -> None:
    judge("a")
    assert judge.cache_key("a") == nbcache.entries().key[0]
    with pytest.raises(TypeError):
        judge.cache_key("a", 1, 2)  # type: ignore[call-arg]
    with pytest.raises(UnstableIdentityError, match="scale"):
        judge.cache_key("a", object())  # type: ignore[arg-type]


def test_cache_info_counts_calls_and_entries_and_cache_clear_deletes_the_functions_own(store: Path) -> None:
    @nbcache.memoize
    def other(number: int) -> int:
        return number

    judge.cache_clear()
    judge("a")
    judge("a")
    judge("b")
    other(1)
    assert judge.cache_info() == (1, 2, None, 2)
    assert other.cache_info() == (0, 1, None, 1)
    assert judge.cache_info()._fields == functools.lru_cache(lambda: 0).cache_info()._fields
    judge.cache_clear()
    assert judge.cache_info() == (0, 0, None, 0)
    assert other.cache_info().currsize == 1
    judge("a")
    assert len(RUNS) == 3


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"ttl": "soon"}, ValueError, "7d"),
        ({"ttl": -1}, ValueError, "90s"),
        ({"tags": 3}, ValueError, "tag"),
        ({"tags": ("",)}, ValueError, "word"),
        ({"ignore": 3}, TypeError, "write the names of parameters"),
        ({"ignore": (3,)}, TypeError, "3 is no name"),
        ({"ignore": ("scale", "client")}, ValueError, "'client'.*question, scale"),
        ({"version": 2}, TypeError, 'version="2"'),
        ({"version": " "}, ValueError, 'version="2"'),
        ({"max_size": 2}, TypeError, "max_size"),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused_at_once(options: dict[str, Any], error: type[Exception], says: str) -> None:
    def scored(question: str, scale: int = 5) -> int:
        return scale

    with pytest.raises(error, match=says):
        nbcache.memoize(**options)(scored)


LIMIT = 3


def helper() -> int:
    return LIMIT


def test_ignore_takes_parameters_and_names_that_the_code_uses(store: Path) -> None:
    cell = 4

    def used(first: int, **others: int) -> int:
        return helper() + cell + first

    def without(first: int) -> int:
        return helper() + cell + first

    for name in ("first", "helper", "cell", "LIMIT"):
        nbcache.memoize(ignore=name)(without)
    nbcache.memoize(ignore=("anything",))(used)
    with pytest.raises(ValueError, match="anything"):
        nbcache.memoize(ignore=("anything",))(without)


class Callee:
    def __call__(self) -> int:
        return 1

    def method(self) -> int:
        return 1


async def coroutine() -> int:
    return 1


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Callee, "Callee is a class: decorate one of its methods"),
        (lambda: functools.partial(helper), "partial of helper: decorate helper itself"),
        (lambda: (number for number in (1,)), "is being called: decorate the function"),
        (lambda: len, "len isn't written in Python"),
        (lambda: [].append, "isn't written in Python"),
        (lambda: judge, "judge is memoized: decorate it once"),
        (lambda: Callee().method, "method of an object: decorate the function in its class"),
        (Callee, "object of Callee: decorate its class's method __call__"),
        (lambda: functools.lru_cache(helper), "below that decorator"),
        (lambda: property(lambda _: 1), "write @property above"),
        (lambda: "judge", "is no function"),
        (lambda: None, "is no function"),
        (
            lambda: FakeListChatModel(responses=["secret"]),
            "FakeListChatModel is one of .* models, whose calls are cached",
        ),
        (lambda: FakeListChatModel(responses=[""]).invoke, "models, whose calls are cached already: use it as it is"),
        (lambda: FakeListChatModel(responses=[""]).abatch, "models, whose calls are cached already"),
        (
            lambda: StructuredTool.from_function(helper, description="helps"),
            "StructuredTool is a tool of LangChain's: write nbcache.wrap",
        ),
        (
            lambda: StructuredTool.from_function(helper, description="helps").invoke,
            "StructuredTool is a tool of LangChain's: write nbcache.wrap",
        ),
        (lambda: DeterministicFakeEmbedding(size=2).embed_query, "DeterministicFakeEmbedding is a model of embeddings"),
    ],
)
def test_what_is_no_function_is_refused_with_what_to_decorate(make: Callable[[], Any], says: str) -> None:
    with pytest.raises(TypeError, match=f"nbcache.memoize: .*{says}"):
        nbcache.memoize(make())


def test_a_coroutine_is_refused() -> None:
    made = coroutine()
    with pytest.raises(TypeError, match="coroutine is being called: decorate the function, without calling it"):
        nbcache.memoize(made)  # type: ignore[call-overload]
    made.close()


def test_a_decorator_above_is_no_memoized_function(store: Path) -> None:
    @functools.wraps(judge)
    def above(*args: Any) -> Any:
        return judge(*args)

    nbcache.memoize(above)("a")


def test_an_argument_that_cannot_be_told_apart_is_named_once_and_the_function_runs(store: Path) -> None:
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            judge("a", object())  # type: ignore[arg-type]
        messages = [str(warning.message) for warning in caught if warning.category is NbcacheWarning]
        if len(RUNS) == 1:
            (message,) = messages
            assert "judge" in message
            assert "scale" in message
            assert "ignore=" in message
        else:
            assert messages == []
    assert len(RUNS) == 2
    assert (nbcache.stats().hits, nbcache.stats().misses, nbcache.stats().entries) == (0, 2, 0)
    assert "scale" in str(nbcache.why())


def test_a_value_that_would_not_come_back_is_the_callers_and_is_named_once(store: Path) -> None:
    @nbcache.memoize(ignore="RUNS")
    def opaque() -> list[object]:
        RUNS.append(1)
        return [object()]

    with pytest.warns(NbcacheWarning, match=r"what .*opaque returns is not cached: .*\[0\].*object") as caught:
        made = [opaque(), opaque()]
    assert [type(value[0]) for value in made] == [object, object]
    assert len(caught) == 1
    assert len(RUNS) == 2
    assert nbcache.stats().entries == 0
    assert [*nbcache.last().why] == ["new", "not kept"]


def test_wrong_arguments_are_the_functions_own_error(store: Path) -> None:
    for mode in ("on", "replay"):
        with nbcache.mode(mode), pytest.raises(TypeError, match=r"judge\(\) got an unexpected keyword argument 'x'"):
            judge(x=1)  # type: ignore[call-arg]
    assert RUNS == []


def test_off_runs_it_each_time_without_a_look_at_its_arguments(store: Path) -> None:
    class Strange:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(name)

    with nbcache.mode("off"):
        judge("a", Strange())  # type: ignore[arg-type]
        judge("a")
    assert len(RUNS) == 2
    assert nbcache.stats().entries == 0


def test_read_only_refresh_and_replay_hold(store: Path) -> None:
    with nbcache.mode("read-only"):
        judge("a")
    assert nbcache.stats().entries == 0
    judge("a")
    with nbcache.mode("refresh"):
        judge("a")
    assert len(RUNS) == 3
    with nbcache.mode("replay"):
        assert judge("a")["marks"] == [5, 3]
        with pytest.raises(
            ReplayMiss, match=r"no function is run, and this call of judge .*judge\(.*'b'.* was never recorded"
        ):
            judge("b")
        with pytest.raises(ReplayMiss, match=r"judge has no key: .*scale"):
            judge("a", object())  # type: ignore[arg-type]
    assert len(RUNS) == 3


def test_its_own_ttl_comes_first_and_its_tags_come_on_top(store: Path, clock: Clock) -> None:
    @nbcache.memoize(ttl="1h", tags=("a", "b"), ignore="RUNS")
    def short(number: int) -> int:
        RUNS.append(number)
        return number

    with nbcache.mode(ttl="7d", tags="c"):
        short(1)
        judge("a")
    rows: Iterable[Any] = nbcache.entries().itertuples()
    assert {row.model: row.tags for row in rows} == {short.__qualname__: "a, b, c", "judge": "c"}
    clock.ahead += 3_700
    short(1)
    judge("a")
    assert RUNS == [1, ("a", 5), 1]


def test_its_own_ttl_comes_before_a_rule_and_may_be_for_good(store: Path, clock: Clock) -> None:
    nbcache.install(store, ttl_rules={"function:*": "1h"}, ttl="1h")

    @nbcache.memoize(ttl="2h", ignore="RUNS")
    def longer(number: int) -> int:
        RUNS.append(number)
        return number

    @nbcache.memoize(ttl="none", ignore="RUNS")
    def for_good(number: int) -> int:
        RUNS.append(-number)
        return number

    longer(1)
    for_good(1)
    judge("a")
    clock.ahead += 3_700
    longer(1)
    for_good(1)
    judge("a")
    assert RUNS == [1, -1, ("a", 5), ("a", 5)]
    clock.ahead += 3_700
    longer(1)
    for_good(1)
    assert RUNS[4:] == [1]


def test_its_own_settings_are_not_those_of_what_it_calls(store: Path) -> None:
    @nbcache.memoize(tags="outer", ttl="1h", ignore="RUNS")
    def outer() -> dict[str, Any]:
        return judge("a")

    outer()
    rows: Iterable[Any] = nbcache.entries().itertuples()
    assert {row.model: row.tags for row in rows} == {outer.__qualname__: "outer", "judge": ""}


def test_in_a_block_with_samples_each_call_is_a_draw_of_its_own(store: Path) -> None:
    for _ in range(2):
        with nbcache.mode(samples=True):
            assert [judge("a")["marks"][1] for _ in range(3)] == [1, 2, 3]
    assert judge("a")["marks"][1] == 1


def test_exclude_takes_a_functions_name_and_normalize_is_for_prompts(store: Path) -> None:
    nbcache.install(store, exclude="judge", normalize=r"\d+")

    @nbcache.memoize(ignore="RUNS")
    def other(number: int, text: str) -> int:
        RUNS.append(number)
        return number

    judge("a")
    judge("a")
    assert [other(1, "1"), other(2, "2"), other(1, "1")] == [1, 2, 1]
    assert RUNS == [("a", 5), ("a", 5), 1, 2]


def test_a_session_plans_its_functions(store: Path) -> None:
    judge("a")
    judge("a")
    assert (nbcache.plan().hits, nbcache.plan().calls) == (2, 0)
    nbcache.clear()
    assert (nbcache.plan().calls, nbcache.plan().misses[0].model) == (1, "judge")


def test_importing_a_module_with_a_memoized_function_loads_no_langchain(tmp_path: Path) -> None:
    code = (
        "import sys, nbcache\n"
        "@nbcache.memoize(ttl='7d', tags='a', ignore='b')\n"
        "def f(a, b=1): return a\n"
        "class C:\n"
        "    @nbcache.memoize\n"
        "    def m(self, a): return a\n"
        "assert (f(1), C().m(2)) == (1, 2)\n"
        "print([name for name in sys.modules if name.split('.')[0] in {'langchain_core', 'pydantic', 'IPython', 'pandas'}])\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize("value", [None, 1, "x", {"id": "x"}, [1], b"x", pd.DataFrame({"id": [1]})])
def test_a_value_does_not_tell_where_it_came_from(store: Path, value: Any) -> None:
    assert nbcache.info(value) is None
