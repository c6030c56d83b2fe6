"""`ttl_rules`: how long entries are kept, by their model, tag, function, or the chain around their call."""

import json
import math
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import openai
import pytest
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings

import nbcache
from nbcache.cache.modes import Settings
from nbcache.cache.user_rules import Rules
from nbcache.entry.records import EntryMeta
from nbcache.session import installation
from tests.servers.provider import Provider
from tests.support.clock import Clock

INSTALL: Callable[..., Any] = nbcache.install
HOUR, DAY = 3600.0, 86400.0


def chat(provider: Provider, model: str = "gpt-4o-mini") -> ChatOpenAI:
    return ChatOpenAI(model=model, max_retries=0, **provider.openai)


def ttls() -> dict[str, float | None]:
    """How long each entry is kept, by its model."""
    frame = nbcache.entries()
    kept = (frame["expires"] - frame["created"]).dt.total_seconds()
    return {model: None if math.isnan(ttl) else round(ttl) for model, ttl in zip(frame["model"], kept, strict=True)}


@pytest.mark.parametrize(
    ("rules", "ttl"),
    [
        ({"gpt-4o*": "1h"}, HOUR),
        ({"gpt-4o-mini": 60}, 60),
        ({"gpt-4o": "1h"}, None),
        ({"ChatOpenAI": timedelta(days=1)}, DAY),
        ({"gpt-4o*": "1h", "*": "7d"}, HOUR),
        ({"*": "1d", "gpt-4o*": "1h"}, DAY),
        ({"other": "1h", "*": "1d"}, DAY),
        ({"gpt-4o*": "none", "*": "1d"}, None),
        ({"gpt-4o*": None, "*": "1d"}, None),
    ],
    ids=str,
)
def test_the_first_rule_for_the_model_holds(rules: Any, ttl: float | None, provider: Provider) -> None:
    nbcache.install("memory://", ttl_rules=rules)
    chat(provider).invoke("q")
    assert ttls() == {"gpt-4o-mini": ttl}


def test_a_name_with_signs_of_patterns_matches_itself(provider: Provider) -> None:
    nbcache.install("memory://", ttl_rules={"tuned[1]": "1h", "llama3:8b": "1d"})
    for model in ("tuned[1]", "tuned2", "llama3:8b"):
        chat(provider, model).invoke("q")
    assert ttls() == {"tuned[1]": HOUR, "tuned2": None, "llama3:8b": DAY}


def test_a_rule_comes_before_the_ttl_of_session_cell_and_block_and_none_ends_the_search(provider: Provider) -> None:
    cache = nbcache.install("memory://", ttl="2d", ttl_rules={"a*": "1h", "b*": "none"})
    for model in ("a", "b", "c"):
        chat(provider, model).invoke("q")
    with nbcache.mode(ttl="3d"):
        for model in ("a block", "b block", "c block"):
            chat(provider, model).invoke("q")
    cache.enter_cell("a cell", Settings(ttl=4 * DAY))
    for model in ("a cell", "c cell"):
        chat(provider, model).invoke("q")
    of_rules = {"a": HOUR, "a block": HOUR, "a cell": HOUR, "b": None, "b block": None}
    assert ttls() == {**of_rules, "c": 2 * DAY, "c block": 3 * DAY, "c cell": 4 * DAY}


def test_an_entry_expires_by_its_rule(provider: Provider, clock: Clock, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store", ttl="7d", ttl_rules={"gpt-4o*": "1h"})
    chat(provider).invoke("q")
    clock.ahead += HOUR - 60
    chat(provider).invoke("q")
    assert len(provider.requests) == 1
    clock.ahead += 61
    chat(provider).invoke("q")
    assert len(provider.requests) == 2
    assert nbcache.why().reason == "expired"


def test_an_entry_without_a_ttl_by_a_rule_never_expires(provider: Provider, clock: Clock, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store", ttl="1h", ttl_rules={"gpt-4o*": "none"})
    chat(provider).invoke("q")
    clock.ahead += 1000 * DAY
    chat(provider).invoke("q")
    assert len(provider.requests) == 1


def test_the_tags_that_an_entry_gets_are_matched_whoever_set_them(provider: Provider) -> None:
    nbcache.install("memory://", tags="all", ttl_rules={"tag:news": "1h", "tag:dra*": "1d", "tag:all": "7d"})
    with nbcache.mode(tags="news"):
        chat(provider, "a").invoke("q")
    with nbcache.mode(tags=["draft"]):
        chat(provider, "b").invoke("q")
    chat(provider, "c").invoke("q")
    assert ttls() == {"a": HOUR, "b": DAY, "c": 7 * DAY}


async def test_the_names_of_the_chains_around_a_call_are_matched(provider: Provider) -> None:
    nbcache.install("memory://", ttl_rules={"run:brain*": "1h"})
    asks = ChatPromptTemplate.from_template("{x}")

    def chain(model: str) -> Any:
        inner: Any = RunnableLambda(lambda x: {"x": x}) | asks | chat(provider, model)
        return (RunnableLambda(lambda x: x) | inner).with_config(run_name="brainstorm")

    chain("a").invoke("q")
    await chain("b").ainvoke("q")
    list(chain("c").stream("q"))
    chain("d").batch(["q"])
    (asks | chat(provider, "e")).invoke({"x": "q"})
    assert ttls() == {"a": HOUR, "b": HOUR, "c": HOUR, "d": HOUR, "e": None}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_so_are_those_around_calls_of_sdks_and_embeddings(is_async: bool, provider: Provider) -> None:
    nbcache.install("memory://", ttl_rules={"run:brainstorm": "1h"})
    given: Any = {"model": "sdk", "messages": [{"role": "user", "content": "q"}]}
    vectors: Any = OpenAIEmbeddings(model="vectors", check_embedding_ctx_length=False, **provider.openai)
    wrapped = nbcache.wrap(vectors)

    def run(question: str) -> str:
        openai.OpenAI(**provider.openai).chat.completions.create(**given)
        wrapped.embed_documents(["a", "b"])
        return question

    async def arun(question: str) -> str:
        await openai.AsyncOpenAI(**provider.openai).chat.completions.create(**given)
        await wrapped.aembed_documents(["a", "b"])
        return question

    chain: Any = RunnableLambda(run, afunc=arun).with_config(run_name="brainstorm")
    if is_async:
        await chain.ainvoke("q")
    else:
        chain.invoke("q")
    assert ttls() == {"sdk": HOUR, "vectors": HOUR}


def test_exclude_knows_the_chains_around_calls_of_sdks_too(provider: Provider) -> None:
    nbcache.install("memory://", exclude="brainstorm")
    given: Any = {"model": "sdk", "messages": [{"role": "user", "content": "q"}]}
    run = RunnableLambda(lambda _: openai.OpenAI(**provider.openai).chat.completions.create(**given))
    run.with_config(run_name="brainstorm").invoke("q")
    assert nbcache.stats().entries == 0
    run.invoke("q")
    assert nbcache.stats().entries == 1


def test_rules_hold_for_streams_completions_and_values_that_are_put(provider: Provider) -> None:
    cache = nbcache.install("memory://", ttl_rules={"*": "1h"})
    list(chat(provider, "stream").stream("q"))
    OpenAI(model="completion", **provider.openai).invoke("q")
    cache.put("question", 1, model="value")
    assert ttls() == {"stream": HOUR, "completion": HOUR, "value": HOUR}


@pytest.mark.parametrize(
    ("rule", "ttl"), [("function:Judge.*", HOUR), ("function:score", None), ("function:judge", None)]
)
def test_rules_for_functions_are_for_their_own_entries(rule: str, ttl: float | None) -> None:
    """By the qualified name. The calls that a function makes are entries of their own, without its name."""
    entry = EntryMeta("0" * 40, "Judge.score", "", "", "ok", 0.0, kind="function", function="Judge.score")
    inner = EntryMeta("1" * 40, "Judge.score", "", "", "ok", 0.0)
    rules = Rules(ttl_rules={rule: "1h"})
    assert rules.ttl(entry, None, None) == ttl
    assert rules.ttl(inner, None, None) is None


def test_a_functions_own_ttl_comes_before_the_rules() -> None:
    nbcache.install("memory://", ttl="2d", ttl_rules={"function:*.ruled": "1h", "function:*": "7d"})

    @nbcache.memoize
    def ruled(number: int) -> int:
        return number

    @nbcache.memoize(ttl="1d")
    def own(number: int) -> int:
        return number

    @nbcache.memoize(ttl="none")
    def kept(number: int) -> int:
        return number

    for function in (ruled, own, kept):
        function(1)
    found = {name.rpartition(".")[2]: ttl for name, ttl in ttls().items()}
    assert found == {"ruled": HOUR, "own": DAY, "kept": None}


def test_rules_are_taken_from_the_environment_in_their_order(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBCACHE_TTL_RULES", json.dumps({"gpt-4o-mini": "1h", "*": None}))
    cache = nbcache.install("memory://")
    assert list(cache.rules.ttl_rules.items()) == [("gpt-4o-mini", HOUR), ("*", None)]
    chat(provider).invoke("q")
    assert ttls() == {"gpt-4o-mini": HOUR}


def test_a_change_of_other_settings_keeps_the_rules(provider: Provider) -> None:
    rules = {"b": "1h", "a": "none"}
    nbcache.install("memory://", ttl_rules=rules)
    rules["c"] = "1d"  # the cache has its own copy
    cache = installation.reinstall(max_entries=5)
    assert list(cache.rules.ttl_rules.items()) == [("b", HOUR), ("a", None)]


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        (3, "ttl_rules=3: write {"),
        (["gpt-4o"], "write {"),
        ({3: "7d"}, "3 is no pattern"),
        ({" ": "7d"}, "' ' is no pattern"),
        ({"a": "soon"}, r"ttl_rules\['a'\]='soon': write a number of seconds, .*; or none"),
        ({"a": 0}, r"ttl_rules\['a'\]=0: write"),
        ({"a": -3}, r"ttl_rules\['a'\]=-3: write"),
        ({"a": True}, r"ttl_rules\['a'\]=True: write"),
        ({"a": "200000d"}, r"ttl_rules\['a'\].*hundred years"),
        ({"tag:": "7d"}, "'tag:': write a name or a pattern after the colon"),
        ({"tags:news": "7d"}, "'tags:news': write tag:news"),
        ({"Run:x": "7d"}, "'Run:x': write run:x"),
    ],
    ids=str,
)
def test_a_wrong_rule_is_an_error_that_says_what_to_write(rules: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Rules(ttl_rules=rules)
    with pytest.raises(ValueError, match=says):
        INSTALL("memory://", ttl_rules=rules)
    assert not installation.is_installed()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("7d", "NBCACHE_TTL_RULES in the environment: ttl_rules='7d': write a JSON object"),
        ('["a"]', r"ttl_rules=\['a'\]: write {"),
        ('{"a": "soon"}', r"ttl_rules\['a'\]='soon'"),
        ('{"a": "1h", "a": "2h"}', "'a' is there twice"),
    ],
)
def test_a_wrong_rule_in_the_environment_is_an_error_that_names_the_variable(
    text: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBCACHE_TTL_RULES", text)
    with pytest.raises(ValueError, match=f"NBCACHE_TTL_RULES.*{says.removeprefix('NBCACHE_TTL_RULES')}"):
        nbcache.install("memory://")
