"""LangChain's models, messages, chains and tools as arguments of a function, and as globals that it uses."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings

import nbcache
from tests.keys.functions.test_arguments import form
from tests.keys.functions.test_edits import call_of, with_use
from tests.keys.functions.test_edits import run as run_cell


class Echo(BaseChatModel):
    model: str = "echo"

    @property
    def _llm_type(self) -> str:
        return "echo"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model}

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        usage: Any = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        return ChatResult(generations=[ChatGeneration(message=AIMessage("hi", id="made", usage_metadata=usage))])


def chat(**settings: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": "gpt-4o", "api_key": "sk-a", **settings})


def embedder(**settings: Any) -> OpenAIEmbeddings:
    return OpenAIEmbeddings(**{"api_key": "k", **settings})


@tool
def search(query: str) -> str:
    """Search the web."""
    return query


@tool("search")
def other_search(query: str) -> str:
    """Search the library."""
    return query


PROMPT = ChatPromptTemplate.from_messages([("human", "{a}")])
PAIRS = [
    ("a model's setting", chat(temperature=0), chat(temperature=1)),
    ("a model's name", chat(), chat(model="gpt-4o-mini")),
    ("a model's endpoint", chat(), chat(base_url="http://example.com")),
    ("a completion model", OpenAI(api_key="k"), OpenAI(api_key="k", temperature=0.1)),
    ("a model of one's own", Echo(), Echo(model="other")),
    ("embeddings", embedder(), embedder(model="text-embedding-3-large")),
    ("a model that is bound", chat().bind(stop=["a"]), chat().bind(stop=["b"])),
    ("a chain", PROMPT | chat() | StrOutputParser(), PROMPT | chat(temperature=1) | StrOutputParser()),
    ("a chain with a function", PROMPT | (lambda x: 1), PROMPT | (lambda x: 2)),
    ("a tool's description", search, other_search),
    ("a message", HumanMessage("a"), HumanMessage("b")),
    ("a message's kind", HumanMessage("a"), AIMessage("a")),
    ("a message's id", HumanMessage("a", id="1"), HumanMessage("a", id="2")),
    ("an artifact", ToolMessage("a", tool_call_id="1", artifact=[1]), ToolMessage("a", tool_call_id="1", artifact=[2])),
    ("a document's metadata", Document("a", metadata={"n": 1}), Document("a", metadata={"n": 1.0})),
]


@pytest.mark.parametrize(("one", "other"), [pair[1:] for pair in PAIRS], ids=[pair[0] for pair in PAIRS])
def test_what_counts_of_a_langchain_object(one: Any, other: Any) -> None:
    assert form(one) == form(one) != form(other)


def test_the_key_of_an_api_does_not_count_of_a_model() -> None:
    assert form(chat(api_key="sk-a")) == form(chat(api_key="sk-b"))
    assert form(chat(tags=["a"])) == form(chat(tags=["b"]))


def test_a_wrapped_embedding_model_counts_as_the_model_itself() -> None:
    model = DeterministicFakeEmbedding(size=3)
    assert form(nbcache.wrap(model)) == form(model) != form(DeterministicFakeEmbedding(size=4))


def test_a_model_may_be_a_global_of_the_function() -> None:
    source = "from langchain_openai import ChatOpenAI\nllm = ChatOpenAI(model='a', api_key='k')\n"
    use = with_use(source, "llm.invoke(x)")
    assert identity(use) == identity(use) != identity(use.replace("'a'", "'b'"))


def identity(source: str) -> Any:
    return call_of(run_cell(source)["judge"], 1).identity


def test_an_answer_from_the_cache_is_the_same_argument_as_when_it_was_paid(store: Path) -> None:
    nbcache.install(store=store)
    answers = [Echo().invoke("a") for _ in range(3)]
    assert len({answer.id for answer in answers}) == 3
    assert len({form(answer) for answer in answers}) == 1


def test_the_id_of_an_answer_counts_where_the_code_reads_it() -> None:
    namespace = run_cell("def judge(message): return message.id\ndef other(message): return message.content")
    one, two = AIMessage("a", id="1"), AIMessage("a", id="2")
    assert call_of(namespace["judge"], one).identity != call_of(namespace["judge"], two).identity
    assert call_of(namespace["other"], one).identity == call_of(namespace["other"], two).identity
