"""pydantic-ai's agents, with OpenAI's chat completions and responses."""

from dataclasses import replace
from typing import Any

from pydantic_ai import Agent, Embedder

from tests.integrations.clients.scripts.tasks import City, weather

agent = Agent("openai-chat:gpt-4o-mini")


def call(question: str) -> Any:
    return [agent.run_sync(question).output, Agent("openai-responses:gpt-4o-mini").run_sync(question).output]


async def stream(question: str) -> Any:
    async with agent.run_stream(question) as answer:
        return [text async for text in answer.stream_text(delta=True, debounce_by=None)]


async def asynchronous(question: str) -> Any:
    answer = await agent.run(question)
    return [answer.output, replace(answer.usage, details={}) and str(answer.usage)]


def tools(question: str) -> Any:
    agent = Agent("openai-chat:gpt-4o-mini", tools=[weather])
    return agent.run_sync(question).output


def structured_output(question: str) -> Any:
    return Agent("openai-chat:gpt-4o-mini", output_type=City).run_sync(question).output


async def embeddings(question: str) -> Any:
    answer = await Embedder("openai:text-embedding-3-small").embed_query([question, f"{question}?"])
    return [list(vector) for vector in answer.embeddings]
