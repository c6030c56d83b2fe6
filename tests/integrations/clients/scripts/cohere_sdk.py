"""Cohere's SDK."""

from typing import Any

import cohere

from tests.integrations.clients.scripts.tasks import TOOL, City, user

MODEL = "command-a-03-2025"
client: Any = cohere.ClientV2()
aclient: Any = cohere.AsyncClientV2()


def call(question: str) -> Any:
    return client.chat(model=MODEL, messages=user(question))


def stream(question: str) -> Any:
    return list(client.chat_stream(model=MODEL, messages=user(question)))


async def asynchronous(question: str) -> Any:
    whole = await aclient.chat(model=MODEL, messages=user(question))
    return [whole, [event async for event in aclient.chat_stream(model=MODEL, messages=user(question))]]


def tools(question: str) -> Any:
    answer = client.chat(model=MODEL, messages=user(question), tools=[TOOL], tool_choice="REQUIRED")
    results = [{"role": "tool", "tool_call_id": each.id, "content": "rain"} for each in answer.message.tool_calls]
    return [answer, client.chat(model=MODEL, messages=[*user(question), answer.message, *results], tools=[TOOL])]


def structured_output(question: str) -> Any:
    schema = {"type": "json_object", "json_schema": City.model_json_schema()}
    answer = client.chat(model=MODEL, messages=user(question), response_format=schema)
    return City.model_validate_json(answer.message.content[0].text)


def embeddings(question: str) -> Any:
    texts = [question, f"{question}?"]
    return client.embed(model="embed-v4.0", input_type="search_query", texts=texts, embedding_types=["float"])
