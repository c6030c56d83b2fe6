"""Wrapped embeddings: every text is paid once, its vector comes back to the last bit, and nobody gets another's."""

import asyncio
import copy
import pickle
import random
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_aws import BedrockEmbeddings
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.outputs import Generation
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_google_genai import GoogleGenerativeAIEmbeddings
from langchain_mistralai import MistralAIEmbeddings
from langchain_ollama import OllamaEmbeddings
from langchain_openai import AzureOpenAIEmbeddings, OpenAIEmbeddings
from pydantic import BaseModel
from tokenizers import Tokenizer
from tokenizers.models import BPE, WordLevel

import nbcache
from nbcache import NbcacheWarning, NotebookCache
from nbcache.cache.call import Call
from nbcache.codec.header import EntryHeader
from nbcache.codec.payload import encode, read
from nbcache.costs.price_lookup import Prices
from nbcache.entry.records import EntryMeta, Filter
from nbcache.entry.usage.usage_of_call import estimated, usage_of
from nbcache.integrations.embeddings.vectors import as_generation, vector_in
from nbcache.integrations.embeddings.wrapper import CachedEmbeddings, wrap_embeddings
from nbcache.keys.embedder_identity import embedder_identity
from nbcache.keys.key import cache_key
from nbcache.keys.request import document
from nbcache.session import installation
from nbcache.ui.panel.board import Board
from tests.servers.embedder import Embedder, bits, in_32_bits, vector_of
from tests.support.paths import ROOT

MODEL = "text-embedding-3-small"
AT_OPENAI: dict[str, Any] = {"model": MODEL, "api_key": "k", "base_url": "https://api.openai.com/v1"}
AWS: dict[str, Any] = {"aws_access_key_id": "k", "aws_secret_access_key": "k"}
MISTRAL: dict[str, Any] = {"model": "mistral-embed", "api_key": "k"}
AZURE: dict[str, Any] = {"azure_endpoint": "https://x.openai.azure.com", "api_key": "k", "azure_deployment": "d"}
ELSEWHERE: dict[str, Any] = {**AT_OPENAI, "base_url": "https://proxy.example/v1"}


@pytest.fixture
def embedder() -> Iterator[Embedder]:
    with Embedder() as running:
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> NotebookCache:
    return nbcache.install(tmp_path / "store", prices={MODEL: {"input": 20, "output": 1000}})


def cache_now() -> NotebookCache | None:
    return installation.installed() if installation.is_installed() else None


def cached(model: Embeddings) -> Embeddings:
    return wrap_embeddings(model, cache_now)


def openai_model(embedder: Embedder, **settings: Any) -> OpenAIEmbeddings:
    """OpenAI's, which sends texts as they are: its tokenizer would have to be downloaded."""
    fixed = {
        "model": MODEL,
        "api_key": "sk-test",
        "base_url": f"{embedder.url}/v1",
        "check_embedding_ctx_length": False,
    }
    return OpenAIEmbeddings(**{**fixed, "max_retries": 0, **settings})


def right(*texts: str) -> list[bytes]:
    """The vectors of `texts`, to the bit."""
    return bits([in_32_bits(vector_of(text)) for text in texts])


class Sent:
    """What classes of the user's own were sent: no constant that their code would count by."""

    lists: ClassVar[list[list[str]]] = []


class Own(Embeddings):
    """A class as people write them: its settings are attributes, private or not."""

    def __init__(self, size: int = 3, prefix: str = "") -> None:
        self.size = size
        self._prefix = prefix

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        Sent.lists.append(texts)
        return [vector_of(self._prefix + text, dimensions=self.size) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


@pytest.fixture(autouse=True)
def nothing_sent() -> None:
    Sent.lists.clear()


# The same kind of thing


def test_it_is_an_embedding_model_with_the_attributes_of_the_one_in_it(embedder: Embedder) -> None:
    model = openai_model(embedder)
    assert isinstance(cached(model), Embeddings)
    wrapped: Any = cached(model)
    assert wrapped.model == MODEL
    wrapped.model = "another"
    assert model.model == "another"
    assert MODEL not in repr(wrapped)
    assert "OpenAIEmbeddings" in repr(wrapped)
    with pytest.raises(AttributeError):
        _ = wrapped.nonsense


def test_a_model_that_is_wrapped_twice_is_wrapped_once(embedder: Embedder) -> None:
    wrapped = cached(openai_model(embedder))
    assert cached(wrapped) is wrapped


def test_it_can_be_copied_and_pickled(cache: NotebookCache) -> None:
    wrapped = cached(Own(4))
    expected = wrapped.embed_query("a")
    for other in (copy.copy(wrapped), copy.deepcopy(wrapped), pickle.loads(pickle.dumps(wrapped))):
        assert isinstance(other, CachedEmbeddings)
        assert other.embed_query("a") == expected
    assert Sent.lists == [["a"]]


def test_what_pydantic_copies_is_cached_too(embedder: Embedder, cache: NotebookCache) -> None:
    wrapped: Any = cached(openai_model(embedder))
    wrapped.embed_query("a")
    wrapped.model_copy().embed_query("a")
    assert embedder.texts == ["a"]
    wrapped.model_copy(update={"model": "another"}).embed_query("a")
    assert embedder.texts == ["a", "a"]


# Paid once


def test_each_text_is_sent_once(embedder: Embedder, cache: NotebookCache) -> None:
    for _ in range(3):
        assert bits(cached(openai_model(embedder)).embed_documents(["a", "b"])) == right("a", "b")
    assert embedder.texts == ["a", "b"]


def test_of_a_list_only_the_missing_are_sent_in_one_request_and_in_their_order(
    embedder: Embedder, cache: NotebookCache
) -> None:
    wrapped = cached(openai_model(embedder))
    wrapped.embed_documents(["b", "d"])
    assert bits(wrapped.embed_documents(["e", "d", "a", "b", "c"])) == right("e", "d", "a", "b", "c")
    assert [request["input"] for request in embedder.requests] == [["b", "d"], ["e", "a", "c"]]


def test_a_text_that_a_list_has_twice_is_sent_once_and_counted_once(embedder: Embedder, cache: NotebookCache) -> None:
    wrapped = cached(openai_model(embedder))
    found = wrapped.embed_documents(["a", "b", "a"])
    assert bits(found) == right("a", "b", "a")
    assert embedder.texts == ["a", "b"]
    assert (cache.stats().hits, cache.stats().misses) == (0, 2)
    found[0].append(0.0)
    assert bits(found[1:]) == right("b", "a")


def test_texts_may_come_from_an_iterator(embedder: Embedder, cache: NotebookCache) -> None:
    wrapped = cached(openai_model(embedder))
    texts: Any = iter(["a", "b"])
    assert bits(wrapped.embed_documents(texts)) == right("a", "b")
    assert embedder.texts == ["a", "b"]


def test_what_is_done_to_a_vector_changes_nothing_stored(embedder: Embedder, cache: NotebookCache) -> None:
    wrapped = cached(openai_model(embedder))
    for _ in range(3):  # as it was made, then from the store, then from memory
        for vector in (wrapped.embed_query("a"), *wrapped.embed_documents(["b", "c"])):
            vector[0] = 7.0
            vector.append(8.0)
    assert bits([wrapped.embed_query("a"), *wrapped.embed_documents(["b", "c"])]) == right("a", "b", "c")


def test_a_text_to_search_by_is_another_call_than_one_to_be_found(embedder: Embedder, cache: NotebookCache) -> None:
    wrapped = cached(openai_model(embedder))
    wrapped.embed_documents(["a"])
    wrapped.embed_query("a")
    wrapped.embed_query("a")
    assert embedder.texts == ["a", "a"]


async def test_async_calls_pay_once_and_find_what_others_paid(embedder: Embedder, cache: NotebookCache) -> None:
    wrapped = cached(openai_model(embedder))
    assert bits(await wrapped.aembed_documents(["a", "b"])) == right("a", "b")
    assert bits(await wrapped.aembed_documents(["c", "b", "a", "c"])) == right("c", "b", "a", "c")
    assert bits(await wrapped.aembed_documents(["c"])) == right("c")
    assert bits(wrapped.embed_documents(["a", "b", "c"])) == right("a", "b", "c")
    assert bits([await wrapped.aembed_query("q"), await wrapped.aembed_query("q"), wrapped.embed_query("q")]) == right(
        "q", "q", "q"
    )
    assert embedder.texts == ["a", "b", "c", "q"]


async def test_no_write_and_no_long_list_holds_up_the_event_loop(
    embedder: Embedder, cache: NotebookCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapped = cached(openai_model(embedder))
    on_loop = []
    for name in ("put", "get"):
        original = getattr(cache.store, name)

        def watched(*args: Any, name: str = name, original: Any = original, **kwargs: Any) -> Any:
            on_loop.append((name, threading.current_thread() is threading.main_thread()))
            return original(*args, **kwargs)

        monkeypatch.setattr(cache.store, name, watched)
    await wrapped.aembed_documents(["a", "b"])
    await wrapped.aembed_query("a")
    assert {*on_loop} == {("get", False), ("put", False), ("get", True)}
    assert on_loop.count(("get", True)) == 1  # of a single text: that takes microseconds


def test_a_vector_store_that_is_built_twice_pays_once(embedder: Embedder, cache: NotebookCache) -> None:
    found = []
    for _ in range(2):
        store = InMemoryVectorStore.from_texts(["one", "two", "three"], cached(openai_model(embedder)))
        found.append([document.page_content for document in store.similarity_search("two", k=2)])
    assert found[0] == found[1]
    assert found[0][0] == "two"
    assert embedder.texts == ["one", "two", "three", "two"]


_AGAIN = """
import sys
import nbcache
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_openai import OpenAIEmbeddings
from nbcache.integrations.embeddings.wrapper import wrap_embeddings
from tests.servers.embedder import bits

url, folder = sys.argv[1:]
cache = nbcache.install(folder)
for options in ({"encoding_format": "float"}, {}):
    model = OpenAIEmbeddings(
        model="m", api_key="k", base_url=url, check_embedding_ctx_length=False, model_kwargs=options
    )
    print(bits(wrap_embeddings(model, lambda: cache).embed_documents(["a", "b", "ü"])))
    print(bits([wrap_embeddings(model, lambda: cache).embed_query("a")]))
fake = wrap_embeddings(DeterministicFakeEmbedding(size=5), lambda: cache)
vectors = fake.embed_documents(["a", "b"])
print(bits(vectors), type(vectors[0][0]))
print(cache.stats().hits, cache.stats().misses, file=sys.stderr)
nbcache.uninstall()
"""


@pytest.mark.slow
def test_a_second_run_in_a_new_process_pays_nothing_and_is_equal_to_the_bit(embedder: Embedder, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _AGAIN, f"{embedder.url}/v1", str(tmp_path / "store")]
    runs = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True) for _ in range(2)]
    assert runs[0].stdout == runs[1].stdout
    assert [run.stderr.split() for run in runs] == [["0", "10"], ["10", "0"]]
    assert len(embedder.requests) == 4
    assert str(bits([vector_of(text, "m") for text in ("a", "b", "ü")])) in runs[1].stdout
    fake = DeterministicFakeEmbedding(size=5).embed_documents(["a", "b"])
    assert f"{bits(fake)} {type(fake[0][0])}" in runs[1].stdout


# To the last bit

floats = st.one_of(st.floats(width=64), st.floats(width=32), st.sampled_from([-0.0, 5e-324, 1e-45, 1e39]))


def again(vector: Any) -> Any:
    """The vector as it comes out of the store."""
    about = EntryHeader(EntryMeta("0" * 40, "", "", "", "ok", 0.0), "", "{}", "")
    return vector_in(read(encode([as_generation(vector)], about, reusable=True), "0" * 40).generations()[0])


@given(st.lists(floats, max_size=20))
def test_every_float_comes_back_to_the_bit(vector: list[float]) -> None:
    found = again(vector)
    assert bits([found]) == bits([vector])
    assert {*map(type, found)} <= {float}


def test_numbers_that_fit_take_half_the_bytes() -> None:
    whole = [vector_of("a", dimensions=300)]
    sizes = [len(str(as_generation(vector).generation_info)) for vector in (in_32_bits(whole[0]), whole[0])]
    assert sizes[0] < 0.6 * sizes[1]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_numbers_of_numpy_stay_what_they_are(kind: type) -> None:
    vector = [kind(number) for number in (0.1, -0.0, float("inf"), float("nan"))]
    found = again(vector)
    assert {*map(type, found)} == {kind}
    assert [number.tobytes() for number in found] == [number.tobytes() for number in vector]


@pytest.mark.parametrize(
    "vector", [[], [1, 0, -1], [1, 2.5], [True, False], (0.1, 0.2), {"indices": [1], "values": [0.5]}, None]
)
def test_whatever_else_a_model_takes_for_a_vector_comes_back_as_it_was(vector: Any) -> None:
    assert again(vector) == vector
    assert repr(again(vector)) == repr(vector)


class Arrays(Own):
    """Gives arrays, which no store of LangChain's expects."""

    def embed_documents(self, texts: list[str]) -> Any:
        return np.array(super().embed_documents(texts))


def test_vectors_that_would_not_come_back_as_they_were_are_not_cached(cache: NotebookCache) -> None:
    wrapped = cached(Arrays())
    with pytest.warns(NbcacheWarning, match="ndarray"):
        first = wrapped.embed_documents(["a", "b"])
    assert isinstance(first, np.ndarray)
    assert isinstance(wrapped.embed_documents(["a", "b"]), np.ndarray)
    assert len(Sent.lists) == 2
    assert cache.stats().entries == 0


# What is another call


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "text-embedding-3-large"},
        {"dimensions": 4},
        {"model_kwargs": {"encoding_format": "float"}},
        {"default_headers": {"x-route": "b"}},
        {"embedding_ctx_length": 10},
        {"skip_empty": True},
    ],
)
def test_what_may_change_a_vector_is_another_call(
    embedder: Embedder, cache: NotebookCache, changed: dict[str, Any]
) -> None:
    first = cached(openai_model(embedder)).embed_documents(["a"])
    second = cached(openai_model(embedder, **changed)).embed_documents(["a"])
    assert embedder.texts == ["a", "a"]
    assert bits(cached(openai_model(embedder)).embed_documents(["a"])) == bits(first)
    assert bits(cached(openai_model(embedder, **changed)).embed_documents(["a"])) == bits(second)
    assert embedder.texts == ["a", "a"]


def test_another_server_is_another_call(embedder: Embedder, cache: NotebookCache) -> None:
    with Embedder() as other:
        cached(openai_model(embedder)).embed_documents(["a"])
        cached(openai_model(other)).embed_documents(["a"])
        assert other.texts == embedder.texts == ["a"]


async def test_an_async_client_that_leads_elsewhere_is_asked_there(embedder: Embedder, cache: NotebookCache) -> None:
    with Embedder() as other:
        model = openai_model(embedder)
        model.async_client = openai.AsyncOpenAI(api_key="k", base_url=f"{other.url}/v1").embeddings
        for _ in range(2):
            cached(model).embed_query("a")
            await cached(model).aembed_query("a")
            await cached(model).aembed_documents(["b"])
        await model.async_client._client.close()
        assert (embedder.texts, other.texts) == (["a"], ["a", "b"])


@pytest.mark.parametrize(
    "changed",
    [
        {"chunk_size": 1},
        {"max_retries": 3},
        {"timeout": 20},
        {"api_key": "another"},
        {"show_progress_bar": True},
        {"retry_min_seconds": 1, "retry_max_seconds": 2},
        {"default_headers": {"x-request-id": "b"}},
        {"default_headers": {}, "default_query": {}, "openai_api_type": "openai"},
    ],
)
def test_what_only_says_how_texts_are_sent_is_the_same_call(
    embedder: Embedder, cache: NotebookCache, changed: dict[str, Any]
) -> None:
    cached(openai_model(embedder)).embed_documents(["a", "b"])
    cached(openai_model(embedder, **changed)).embed_documents(["a", "b"])
    assert embedder.texts == ["a", "b"]


def test_what_only_counts_tokens_to_fill_a_request_does_not_count() -> None:
    documents = {
        embedder_identity(MistralAIEmbeddings(tokenizer=Tokenizer(model()), **MISTRAL), "query", (), {}).document
        for model in (BPE, WordLevel)
    }
    assert len(documents) == 1


def test_a_setting_that_is_changed_on_the_wrapped_model_counts_from_then_on(
    embedder: Embedder, cache: NotebookCache
) -> None:
    wrapped: Any = cached(openai_model(embedder))
    wrapped.embed_query("a")
    wrapped.dimensions = 4
    assert len(wrapped.embed_query("a")) == 4


def test_an_option_of_the_call_counts_unless_it_only_says_how_texts_are_sent(
    embedder: Embedder, cache: NotebookCache
) -> None:
    wrapped: Any = cached(openai_model(embedder))
    assert len(wrapped.embed_documents(["a"])[0]) == 8
    for _ in range(2):
        assert len(wrapped.embed_documents(["a"], dimensions=4)[0]) == 4
    wrapped.embed_documents(["a"], chunk_size=1)
    assert embedder.texts == ["a", "a"]


class Titled(Own):
    def embed_documents(self, texts: list[str], titles: list[str] | None = None) -> list[list[float]]:
        return super().embed_documents([f"{title}: {text}" for title, text in zip(titles or texts, texts, strict=True)])


def test_an_option_with_something_for_each_text_is_never_cached(cache: NotebookCache) -> None:
    wrapped: Any = cached(Titled())
    with pytest.warns(NbcacheWarning, match="titles="):
        wrapped.embed_documents(["a", "b"], titles=["x", "y"])
    wrapped.embed_documents(["a", "b"], titles=["x", "y"])
    assert Sent.lists == [["x: a", "y: b"]] * 2


def test_keys_stay_what_they_are() -> None:
    model = OpenAIEmbeddings(**AT_OPENAI, dimensions=256)
    keys = [
        cache_key("What is a monad?", "", Call(identity=embedder_identity(model, what, (), {}), is_chat=False))
        for what in ("documents", "query")
    ]
    assert keys == ["ca7f65ae4b7f3a0c5a43b867b84fc34eb091b85a", "825eb6bf09cfd0c8d7c42405cfef45d3917cdcbd"]


# Classes of the user's own


def test_a_class_of_ones_own_is_paid_once(cache: NotebookCache) -> None:
    expected = Own().embed_documents(["a", "b"])
    Sent.lists.clear()
    for _ in range(2):
        assert bits(cached(Own()).embed_documents(["a", "b"])) == bits(expected)
    assert Sent.lists == [["a", "b"]]


async def test_and_so_it_is_where_it_knows_nothing_of_async(cache: NotebookCache) -> None:
    expected = Own().embed_query("a")
    for _ in range(2):
        assert bits([await cached(Own()).aembed_query("a")]) == bits([expected])
    assert Sent.lists == [["a"]] * 2


@pytest.mark.parametrize("other", [Own(4), Own(prefix="passage: ")])
def test_its_attributes_count_private_ones_too(cache: NotebookCache, other: Own) -> None:
    first, second = cached(Own()), cached(other)
    assert first.embed_query("a") != second.embed_query("a")
    assert Sent.lists == [["a"]] * 2


class Slotted(Embeddings):
    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [vector_of(text, dimensions=self.size) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return vector_of(text, dimensions=self.size)


def test_attributes_in_slots_count(cache: NotebookCache) -> None:
    assert [len(cached(Slotted(size)).embed_query("a")) for size in (2, 3, 2)] == [2, 3, 2]
    assert (cache.stats().hits, cache.stats().misses) == (1, 2)


def test_an_edited_class_is_another_model(cache: NotebookCache) -> None:
    def defined(factor: float) -> Embeddings:
        names: dict[str, Any] = {"Own": Own}
        exec(  # as a cell that is run again
            "class Scaled(Own):\n"
            "    def embed_query(self, text):\n"
            f"        return [{factor} * number for number in super().embed_query(text)]\n",
            {**names, "__name__": "__main__"},
            names,
        )
        return cached(names["Scaled"]())

    assert defined(1.0).embed_query("a") != defined(2.0).embed_query("a")
    assert defined(2.0).embed_query("a") == [2 * number for number in vector_of("a", dimensions=3)]
    assert Sent.lists == [["a"]] * 2


class Holder(Own):
    def __init__(self) -> None:
        super().__init__()
        self.client = iter("what is read of it is gone")


class Remedied(Holder):
    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": "held"}


class Settled(Own):
    """All its settings are the class's."""

    def __init__(self) -> None:
        """Nothing."""

    size = 3
    _prefix = ""


class Counting(Own):
    """Counts its calls, and remembers them."""

    def __init__(self, start: str = "") -> None:
        super().__init__(prefix=start)
        self.calls = 0
        self.seen: list[str] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.calls += 1
        self.seen.extend(texts)
        return super().embed_documents(texts)


def test_a_class_whose_settings_are_its_own_attributes_is_cached(cache: NotebookCache) -> None:
    for _ in range(2):
        assert cached(Settled()).embed_query("a") == vector_of("a", dimensions=3)
    assert Sent.lists == [["a"]]
    Settled.size = 2
    try:
        assert len(cached(Settled()).embed_query("a")) == 2
    finally:
        Settled.size = 3


def test_what_a_class_counts_and_remembers_of_its_calls_is_no_setting(cache: NotebookCache) -> None:
    model = cached(Counting())
    for text in ("a", "b", "a"):
        model.embed_query(text)
    assert Sent.lists == [["a"], ["b"]]
    cached(Counting("other: ")).embed_query("a")
    assert Sent.lists == [["a"], ["b"], ["a"]]


class Broken(Own):
    @property
    def _identifying_params(self) -> dict[str, Any]:
        raise OSError("no such file")


@pytest.mark.parametrize(("cls", "said"), [(Holder, "'client'"), (Broken, "no such file")])
def test_a_model_that_cant_be_told_from_another_is_not_cached_and_says_so_once(
    cache: NotebookCache, cls: type[Own], said: str
) -> None:
    wrapped = cached(cls())
    with pytest.warns(NbcacheWarning, match=said) as caught:
        assert wrapped.embed_query("a") == vector_of("a", dimensions=3)
    assert len(caught) == 1
    wrapped.embed_documents(["a"])
    assert Sent.lists == [["a"]] * 2


def test_nothing_is_said_where_the_cache_is_off(cache: NotebookCache) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with nbcache.mode("off"):
            cached(Holder()).embed_query("a")
    assert caught == []


def test_what_such_a_class_tells_of_itself_is_what_counts(cache: NotebookCache) -> None:
    for _ in range(2):
        cached(Remedied()).embed_query("a")
    assert Sent.lists == [["a"]]
    assert cache.contents().entries()[0].model == "held"


class Portions(Slotted):
    """A class to which `chunk_size` is what a vector is made of."""

    def __init__(self, chunk_size: int) -> None:
        super().__init__(0)
        self.chunk_size = chunk_size

    def embed_query(self, text: str) -> list[float]:
        return vector_of(text, dimensions=self.chunk_size)


class PydanticPortions(BaseModel, Embeddings):
    chunk_size: int = 1

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [vector_of(text, dimensions=self.chunk_size) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return vector_of(text, dimensions=self.chunk_size)


@pytest.mark.parametrize("cls", [Portions, PydanticPortions])
def test_in_ones_own_class_a_librarys_name_may_mean_something_else(cache: NotebookCache, cls: Any) -> None:
    assert [len(cached(cls(chunk_size=size)).embed_query("a")) for size in (1, 2)] == [1, 2]


def test_what_is_no_text_is_the_models_own_affair(cache: NotebookCache) -> None:
    texts: Any = ["a", 1]
    with pytest.warns(NbcacheWarning, match="int"), pytest.raises(TypeError):
        cached(Own(prefix="p")).embed_documents(texts)
    assert cached(Own()).embed_documents([]) == []
    assert cache.stats().misses == 0


# Failures


def test_the_providers_error_is_raised_and_nothing_wrong_is_kept(embedder: Embedder, cache: NotebookCache) -> None:
    wrapped = cached(openai_model(embedder, chunk_size=1))
    wrapped.embed_documents(["b"])
    embedder.failures = [500]
    with pytest.raises(openai.InternalServerError):
        wrapped.embed_documents(["a", "b", "c"])
    assert cache.stats().entries == 1
    assert bits(wrapped.embed_documents(["a", "b", "c"])) == right("a", "b", "c")
    assert embedder.texts == ["b", "a", "a", "c"]


async def test_and_so_it_is_of_async_calls(embedder: Embedder, cache: NotebookCache) -> None:
    wrapped = cached(openai_model(embedder))
    embedder.failures = [500, 500]
    with pytest.raises(openai.InternalServerError):
        await wrapped.aembed_documents(["a", "b"])
    with pytest.raises(openai.InternalServerError):
        await wrapped.aembed_query("a")
    assert bits([await wrapped.aembed_query("a")]) == right("a")


def test_a_vector_too_few_is_never_taken_for_another_texts(embedder: Embedder, cache: NotebookCache) -> None:
    wrapped = cached(openai_model(embedder))
    wrapped.embed_documents(["b"])
    embedder.leave_out = 1
    with pytest.raises(ValueError, match="2 vectors"):
        wrapped.embed_documents(["a", "b", "c"])
    assert bits(wrapped.embed_documents(["c", "d"])) == right("c")  # what the model gave, as without the cache
    embedder.leave_out = 0
    assert cache.stats().entries == 1
    assert bits(wrapped.embed_documents(["a", "b", "c", "d"])) == right("a", "b", "c", "d")


def test_a_stored_vector_that_cant_be_read_is_made_anew(
    embedder: Embedder, cache: NotebookCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapped = cached(openai_model(embedder))
    unreadable = Generation(text="vector", generation_info={"packed": "q", "vector": "AAAA"})
    monkeypatch.setattr("nbcache.integrations.embeddings.wrapper.as_generation", lambda _: unreadable)
    wrapped.embed_documents(["a", "b"])
    monkeypatch.undo()
    with pytest.warns(NbcacheWarning, match="made anew"):
        assert bits(wrapped.embed_documents(["a", "b"])) == right("a", "b")
    assert bits(wrapped.embed_documents(["a", "b"])) == right("a", "b")
    assert embedder.texts == ["a", "b"] * 2


def test_a_store_that_fails_costs_no_vector(
    embedder: Embedder, cache: NotebookCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError("gone")

    wrapped = cached(openai_model(embedder))
    for name in ("get", "put"):
        monkeypatch.setattr(cache.store, name, fail)
    with pytest.warns(NbcacheWarning, match="gone"):
        assert bits(wrapped.embed_documents(["a", "b"])) == right("a", "b")


# Which cache, and how


def test_the_cache_is_the_one_that_is_on_at_the_time_of_the_call(embedder: Embedder, tmp_path: Path) -> None:
    wrapped = cached(openai_model(embedder))
    for _ in range(2):
        assert bits(wrapped.embed_documents(["a"])) == right("a")
    nbcache.install(tmp_path / "store")
    for _ in range(2):
        wrapped.embed_documents(["a"])
    assert len(embedder.texts) == 3
    nbcache.uninstall()
    wrapped.embed_documents(["a"])
    assert len(embedder.texts) == 4


@pytest.mark.parametrize(
    ("mode", "sent", "kept"), [("on", 1, 1), ("off", 2, 0), ("read-only", 2, 0), ("refresh", 2, 1)]
)
def test_the_modes_are_those_of_every_call(
    embedder: Embedder, cache: NotebookCache, mode: str, sent: int, kept: int
) -> None:
    wrapped = cached(openai_model(embedder))
    with nbcache.mode(mode, tags="docs"):
        for _ in range(2):
            assert bits(wrapped.embed_documents(["a", "a"])) == right("a", "a")
    assert len(embedder.texts) == sent
    assert [meta.tags for meta in cache.contents().entries()] == [("docs",)] * kept


@pytest.mark.parametrize("name", [MODEL, "OpenAIEmbeddings", "text-*"])
def test_a_model_that_is_excluded_is_not_cached(embedder: Embedder, tmp_path: Path, name: str) -> None:
    cache = NotebookCache(tmp_path / "store", exclude=name)
    wrapped = wrap_embeddings(openai_model(embedder), lambda: cache)
    wrapped.embed_query("a")
    wrapped.embed_query("a")
    assert embedder.texts == ["a", "a"]
    cache.close()


# Money, and what people see


def test_each_text_is_a_hit_or_a_miss_and_costs_what_went_in(embedder: Embedder, cache: NotebookCache) -> None:
    wrapped = cached(openai_model(embedder))
    wrapped.embed_documents(["one two three", "four"])
    wrapped.embed_documents(["one two three", "five", "four"])
    found = cache.stats()
    assert (found.hits, found.misses, found.unpriced_hits, found.unpriced_misses) == (2, 3, 0, 0)
    # 3 + 1 + 1 words are as many tokens, and 3 + 1 those of the hits, at $20 per million; output has none
    assert (found.spent_usd, found.saved_usd) == (Decimal("0.0001"), Decimal("0.00008"))
    assert (found.estimated_misses, found.estimated_hits) == (3, 2)


def test_the_time_of_a_request_is_shared_by_its_texts(embedder: Embedder, cache: NotebookCache) -> None:
    class Clock:
        now = 0.0

    class Slow(Own):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            Clock.now += 4.0
            return super().embed_documents(texts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nbcache.cache.lookup.time.perf_counter", lambda: Clock.now)
        cached(Slow()).embed_documents(["a", "b", "c", "d"])
    assert [meta.seconds for meta in cache.contents().entries()] == [1.0] * 4


@pytest.mark.parametrize(
    ("model", "usd"),
    [
        (
            OpenAIEmbeddings(**AT_OPENAI),
            "0.00000006",
        ),  # 3 tokens at $0.02 per million
        (OpenAIEmbeddings(**ELSEWHERE), None),
        (AzureOpenAIEmbeddings(**AZURE), None),
        (OllamaEmbeddings(model="m"), "0"),
        (GoogleGenerativeAIEmbeddings(model="models/gemini-embedding-001", google_api_key="k"), "0.00000045"),
        (BedrockEmbeddings(model_id="amazon.titan-embed-text-v2:0", region_name="us-east-1", **AWS), "0.00000006"),
        (MistralAIEmbeddings(tokenizer=Tokenizer(BPE()), **MISTRAL), "0.0000003"),
    ],
)
def test_the_price_is_the_list_price_of_what_goes_in_where_there_is_one(model: Embeddings, usd: str | None) -> None:
    identity = embedder_identity(model, "documents", (), {})
    used = usage_of([as_generation([0.5])], document(identity.document), identity.endpoint)
    assert (used.input_tokens, used.output_tokens) == (None, 0)
    price = Prices().price(estimated(used, "one two three", "vector of 1 numbers")).usd
    assert price == (None if usd is None else Decimal(usd))


def test_people_see_the_text_and_find_it_by_its_words(embedder: Embedder, cache: NotebookCache) -> None:
    cached(openai_model(embedder)).embed_documents(["A monad is a monoid.", '[{"lc": 1}]'])
    cache.ledger.index()
    (found,) = cache.contents().page(Filter(words=("mona",)))
    assert (found.prompt, found.answer, found.status) == ("A monad is a monoid.", "vector of 8 numbers", "ok")
    assert (found.model, found.output_tokens) == (MODEL, 0)
    record = nbcache.show(found.key)
    assert (record.prompt, record.answer) == ("A monad is a monoid.", "vector of 8 numbers")
    assert record.identity["embeds"] == "documents"
    entry = Board(cache).ask({"type": "entry", "key": found.key})
    assert entry["prompt"][0]["parts"][0]["text"] == "A monad is a monoid."
    assert entry["answer"][0]["parts"][0]["text"] == "vector of 8 numbers"


def test_half_an_emoji_is_embedded_and_costs_nothing_but_the_caching(cache: NotebookCache) -> None:
    expected = Own().embed_query("\ud83d")
    for _ in range(2):
        assert cached(Own()).embed_query("\ud83d") == expected


# At the same time


def test_sixteen_threads_with_overlapping_lists_each_get_the_right_vectors(
    embedder: Embedder, cache: NotebookCache
) -> None:
    wrapped = cached(openai_model(embedder))
    texts = [f"text {number}" for number in range(40)]

    def embed(seed: int) -> bool:
        chosen = random.Random(seed).choices(texts, k=15)
        single = chosen[0]
        found = [*wrapped.embed_documents(chosen), wrapped.embed_query(single), *wrapped.embed_documents([single])]
        return bits(found) == right(*chosen, single, single)

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(embed, range(64)))
    sent = len(embedder.texts)
    wrapped.embed_documents([text for text in texts if text in embedder.texts])
    assert len(embedder.texts) == sent


def test_threads_that_ask_for_one_text_at_once_share_one_request(embedder: Embedder, cache: NotebookCache) -> None:
    wrapped = cached(openai_model(embedder))
    embedder.open.clear()
    with ThreadPoolExecutor(8) as threads:
        found = [threads.submit(wrapped.embed_query, "a") for _ in range(8)]
        embedder.wait_for(1)
        embedder.open.set()
        assert bits([one.result() for one in found]) == right(*["a"] * 8)
    assert embedder.texts == ["a"]


async def test_tasks_that_ask_for_one_text_at_once_share_one_request(embedder: Embedder, cache: NotebookCache) -> None:
    wrapped = cached(openai_model(embedder))
    found = await asyncio.gather(*(wrapped.aembed_query("a") for _ in range(8)))
    assert bits(found) == right(*["a"] * 8)
    assert embedder.texts == ["a"]
    assert (cache.stats().hits, cache.stats().misses) == (7, 1)


async def test_tasks_with_overlapping_lists_each_get_the_right_vectors(
    embedder: Embedder, cache: NotebookCache
) -> None:
    wrapped = cached(openai_model(embedder))
    lists = [[f"text {number}" for number in range(start, start + 5)] for start in range(12)]
    found = await asyncio.gather(*(wrapped.aembed_documents(texts) for texts in lists))
    assert [bits(vectors) for vectors in found] == [right(*texts) for texts in lists]
