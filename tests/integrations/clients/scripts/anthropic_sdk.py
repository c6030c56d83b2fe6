"""Anthropic's SDK."""

from typing import Any

from anthropic import Anthropic, AsyncAnthropic

from tests.integrations.clients.scripts.tasks import PARAMETERS, City, user

ASKED: dict[str, Any] = {"model": "claude-for-tests", "max_tokens": 100}
client: Any = Anthropic()
aclient = AsyncAnthropic()


def call(question: str) -> Any:
    return client.messages.create(**ASKED, messages=user(question))


def stream(question: str) -> Any:
    with client.messages.stream(**ASKED, messages=user(question)) as events:
        return [list(events.text_stream), events.get_final_message()]


async def asynchronous(question: str) -> Any:
    whole = await aclient.messages.create(**ASKED, messages=user(question))
    events: Any = await aclient.messages.create(**ASKED, messages=user(question), stream=True)
    return [whole, [event async for event in events]]


def tools(question: str) -> Any:
    offered: dict[str, Any] = {"tools": [{"name": "weather", "input_schema": PARAMETERS}]}
    answer = client.messages.create(**ASKED, **offered, messages=user(question), tool_choice={"type": "any"})
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "rain"}
        for block in answer.content
        if block.type == "tool_use"
    ]
    turns = [*user(question), {"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
    return [answer, client.messages.create(**ASKED, **offered, messages=turns)]


def structured_output(question: str) -> Any:
    return client.messages.parse(**ASKED, messages=user(question), output_format=City).parsed_output
