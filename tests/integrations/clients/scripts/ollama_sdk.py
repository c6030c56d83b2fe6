"""Ollama's client."""

from typing import Any

import ollama

from tests.integrations.clients.scripts.tasks import City, user, weather

MODEL = "llama3.2"


def call(question: str) -> Any:
    return [ollama.chat(MODEL, user(question)), ollama.generate(MODEL, question)]


def stream(question: str) -> Any:
    return list(ollama.chat(MODEL, user(question), stream=True))


async def asynchronous(question: str) -> Any:
    client = ollama.AsyncClient()
    whole = await client.chat(MODEL, user(question))
    return [whole, [part async for part in await client.generate(MODEL, question, stream=True)]]


def tools(question: str) -> Any:
    answer = ollama.chat(MODEL, user(question), tools=[weather])
    turns: list[Any] = [*user(question), answer.message, {"role": "tool", "tool_name": "weather", "content": "rain"}]
    return [answer, ollama.chat(MODEL, turns, tools=[weather])]


def structured_output(question: str) -> Any:
    answer = ollama.chat(MODEL, user(question), format=City.model_json_schema())
    return City.model_validate_json(answer.message.content or "")


def embeddings(question: str) -> Any:
    return ollama.embed("nomic-embed-text", [question, f"{question}?"])
