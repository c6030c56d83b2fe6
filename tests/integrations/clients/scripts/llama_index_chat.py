"""LlamaIndex, with its model and embeddings of OpenAI's."""

from typing import Any

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI

from tests.integrations.clients.scripts.tasks import City, weather

model = OpenAI(model="gpt-4o-mini")
tool = FunctionTool.from_defaults(weather)


def asked(question: str) -> list[ChatMessage]:
    return [ChatMessage(role="user", content=question)]


def call(question: str) -> Any:
    return [model.complete(question), model.chat(asked(question))]


def stream(question: str) -> Any:
    return list(model.stream_chat(asked(question)))


async def asynchronous(question: str) -> Any:
    whole = await model.achat(asked(question))
    return [whole, [part async for part in await model.astream_chat(asked(question))]]


def tools(question: str) -> Any:
    return model.chat_with_tools([tool], user_msg=question, tool_required=True)


def structured_output(question: str) -> Any:
    return model.as_structured_llm(City).chat(asked(question)).raw


def embeddings(question: str) -> Any:
    return OpenAIEmbedding().get_text_embedding_batch([question, f"{question}?"])
