"""`min_seconds` and `min_usd`: what costs little is not kept."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

import openai
import pytest
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings

import nbcache
from nbcache.session import installation
from tests.servers.provider import Provider
from tests.support.clock import Clock

INSTALL: Callable[..., Any] = nbcache.install
PRICES = {"gpt-4o-mini": {"request": 0.01}}


class Server:
    """A provider whose answers take so many `seconds` that the machine's own do not matter."""

    def __init__(self, provider: Provider, clock: Clock) -> None:
        self.provider, self.seconds = provider, 200.0
        receive = provider.receive

        def slowly(*request: Any) -> Any:
            clock.ahead += self.seconds
            return receive(*request)

        provider.receive = slowly  # type: ignore[method-assign,assignment]

    @property
    def calls(self) -> int:
        return len(self.provider.requests)


@pytest.fixture
def server(provider: Provider, clock: Clock) -> Server:
    return Server(provider, clock)


def chat(server: Server) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o-mini", max_retries=0, **server.provider.openai)


def sdk(server: Server) -> Any:
    return openai.OpenAI(max_retries=0, **server.provider.openai).chat.completions


ASKED: Any = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "q"}]}
WAYS: dict[str, Callable[[Server], Any]] = {
    "invoke": lambda server: chat(server).invoke("q"),
    "stream": lambda server: list(chat(server).stream("q")),
    "completion": lambda server: OpenAI(model="gpt-4o-mini", **server.provider.openai).invoke("q"),
    "sdk": lambda server: sdk(server).create(**ASKED),
    "sdk stream": lambda server: list(sdk(server).create(**ASKED, stream=True)),
    "sdk embeddings": lambda server: openai.OpenAI(**server.provider.openai).embeddings.create(
        model="gpt-4o-mini", input=["a", "b"]
    ),
}


def calls_of_two(server: Server, way: str) -> int:
    before = server.calls
    for _ in range(2):
        WAYS[way](server)
    return server.calls - before


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_is_kept_only_if_it_took_long_enough(way: str, server: Server) -> None:
    nbcache.install("memory://", min_seconds=300)
    assert calls_of_two(server, way) == 2
    assert nbcache.stats().entries == 0
    installation.reinstall(min_seconds="200s")
    assert calls_of_two(server, way) == 1


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_is_kept_only_if_it_cost_enough(way: str, server: Server) -> None:
    nbcache.install("memory://", min_usd=0.02, prices=PRICES)
    assert calls_of_two(server, way) == 2
    assert nbcache.stats().entries == 0
    installation.reinstall(min_usd="0.01")
    assert calls_of_two(server, way) == 1


def test_one_minimum_that_is_reached_is_enough(server: Server) -> None:
    nbcache.install("memory://", min_usd=0.02, min_seconds=300, prices=PRICES)
    assert calls_of_two(server, "invoke") == 2
    installation.reinstall(min_usd=0.02, min_seconds=200)
    assert calls_of_two(server, "invoke") == 1
    nbcache.clear()
    installation.reinstall(min_usd=0.01, min_seconds=300)
    assert calls_of_two(server, "invoke") == 1


def test_an_unknown_price_is_enough_where_there_is_a_minimum_for_prices(server: Server) -> None:
    nbcache.install("memory://", min_usd=100)
    model = chat(server).model_copy(update={"model_name": "nobody-knows-it"})
    for _ in range(2):
        model.invoke("q")
    assert server.calls == 1
    assert nbcache.stats().unpriced_misses == 1


def test_last_and_why_say_that_an_answer_was_cheap(server: Server) -> None:
    nbcache.install("memory://", min_seconds=300)
    chat(server).invoke("q")
    assert nbcache.last()["why"].tolist() == ["cheap"]
    assert "nothing like it was recorded" in nbcache.why().text
    chat(server).invoke("q")
    why = nbcache.why()
    assert why.reason == "cheap"
    assert "min_seconds" in why.text
    assert nbcache.plan().calls == 2  # each would be made again


def test_an_answer_that_is_kept_later_was_cheap_no_longer(server: Server) -> None:
    nbcache.install("memory://", min_seconds=300)
    chat(server).invoke("q")
    server.seconds = 300
    chat(server).invoke("q")
    assert nbcache.last()["why"].tolist() == ["cheap", "cheap"]  # the second is why it missed
    chat(server).invoke("q")
    assert nbcache.stats().hits == 1
    nbcache.clear()
    chat(server).invoke("q")
    assert nbcache.why().reason == "cleared"


def test_calls_that_wait_for_the_same_answer_get_it(provider: Provider) -> None:
    nbcache.install("memory://", min_seconds=60)
    model = ChatOpenAI(model="gpt-4o-mini", max_retries=0, **provider.openai)
    flights = nbcache.installed()._lookup.flights
    with ThreadPoolExecutor(3) as pool:
        with provider.hold() as go:
            first = pool.submit(model.invoke, "q")
            provider.wait_for(1)
            others = [pool.submit(model.invoke, "q") for _ in range(2)]
            lease = next(iter(flights._leases.values()))
            waits = threading.Event()
            while len(lease.waiters) < 2:
                waits.wait(0.01)
            go.set()
        texts = {each.result().text for each in (first, *others)}
    assert len(texts) == len(provider.requests) == 1
    assert nbcache.stats().entries == 0


@pytest.fixture
def embeddings(provider: Provider) -> Any:
    return OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False, **provider.openai)


def test_the_vectors_of_one_request_share_its_time(server: Server, embeddings: Any) -> None:
    nbcache.install("memory://", min_seconds=200)
    wrapped = nbcache.wrap(embeddings)
    wrapped.embed_documents([str(number) for number in range(20)])
    assert nbcache.stats().entries == 20
    nbcache.clear()
    server.seconds = 100
    wrapped.embed_documents([str(number) for number in range(20)])
    wrapped.embed_query("a")
    assert nbcache.stats().entries == 0


def test_the_vectors_of_one_request_share_its_price(server: Server, embeddings: Any) -> None:
    texts = ["a word" * number for number in range(1, 20)]
    nbcache.install("memory://", min_usd="0.0002", prices={"text-embedding-3-small": {"input": 1, "output": 0}})
    wrapped = nbcache.wrap(embeddings)
    wrapped.embed_documents(texts)
    assert nbcache.stats().entries == 19
    assert nbcache.stats().spent_usd == Decimal("0.000209")
    wrapped.embed_documents(["b word", "c word"])
    assert nbcache.stats().entries == 19


def test_what_is_put_by_hand_is_kept_whatever_it_cost() -> None:
    cache = nbcache.install("memory://", min_seconds=1, min_usd=1)
    cache.put("question", {"a": 1}, model="m")
    assert cache.get("question", model="m") == {"a": 1}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"min_seconds": 0}, "min_seconds=0: write a number of seconds"),
        ({"min_seconds": "soon"}, "min_seconds='soon': write a number of seconds"),
        ({"min_usd": 0}, "min_usd=0: write US dollars"),
        ({"min_usd": -1}, "min_usd=-1: write US dollars"),
        ({"min_usd": "cheap"}, "min_usd='cheap': write US dollars"),
        ({"min_usd": True}, "min_usd=True: write US dollars"),
        ({"min_usd": float("nan")}, "min_usd=nan: write US dollars"),
    ],
    ids=str,
)
def test_a_wrong_minimum_is_an_error_that_says_what_to_write(given: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        INSTALL("memory://", **given)


def test_a_minimum_may_be_a_text_or_a_timedelta() -> None:
    cache = nbcache.install("memory://", min_seconds=timedelta(minutes=1), min_usd="$0.10")
    assert (cache.rules.min_seconds, str(cache.rules.min_usd)) == (60, "0.10")
