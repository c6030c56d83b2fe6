"""Mistral's SDK, `mistralai`."""

import os
from typing import Any

from mistralai.client import Mistral
from mistralai.client.utils import BackoffStrategy, RetryConfig

from tests.integrations.clients.scripts.tasks import TOOL, City, user

MODEL = "mistral-small-latest"
client: Any = Mistral(server_url=os.environ["MISTRAL_URL"])


def call(question: str) -> Any:
    return client.chat.complete(model=MODEL, messages=user(question))


def stream(question: str) -> Any:
    with client.chat.stream(model=MODEL, messages=user(question)) as events:
        return list(events)


async def asynchronous(question: str) -> Any:
    whole = await client.chat.complete_async(model=MODEL, messages=user(question))
    async with await client.chat.stream_async(model=MODEL, messages=user(question)) as events:
        return [whole, [event async for event in events]]


def tools(question: str) -> Any:
    answer = client.chat.complete(model=MODEL, messages=user(question), tools=[TOOL], tool_choice="any")
    message = answer.choices[0].message
    results = [{"role": "tool", "tool_call_id": each.id, "content": "rain"} for each in message.tool_calls]
    return [answer, client.chat.complete(model=MODEL, messages=[*user(question), message, *results], tools=[TOOL])]


def structured_output(question: str) -> Any:
    return client.chat.parse(City, model=MODEL, messages=user(question)).choices[0].message.parsed


def embeddings(question: str) -> Any:
    return client.embeddings.create(model="mistral-embed", inputs=[question, f"{question}?"])


def retry(question: str) -> Any:
    again = RetryConfig("backoff", BackoffStrategy(10, 100, 1.5, 5000), retry_connection_errors=False)
    return client.chat.complete(model=MODEL, messages=user(question), retries=again)
