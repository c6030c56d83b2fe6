"""Groq's SDK."""

from typing import Any

from groq import AsyncGroq, Groq

from tests.integrations.clients.scripts.tasks import TOOL, City, user

MODEL = "openai/gpt-oss-20b"
client: Any = Groq()
aclient: Any = AsyncGroq()


def call(question: str) -> Any:
    return client.chat.completions.create(model=MODEL, messages=user(question))


def stream(question: str) -> Any:
    return list(client.chat.completions.create(model=MODEL, messages=user(question), stream=True))


async def asynchronous(question: str) -> Any:
    create = aclient.chat.completions.create
    whole = await create(model=MODEL, messages=user(question))
    return [whole, [chunk async for chunk in await create(model=MODEL, messages=user(question), stream=True)]]


def tools(question: str) -> Any:
    create = client.chat.completions.create
    answer = create(model=MODEL, messages=user(question), tools=[TOOL], tool_choice="required")
    calls = answer.choices[0].message.tool_calls
    turns = [*user(question), {"role": "assistant", "tool_calls": [each.to_dict() for each in calls]}]
    turns += [{"role": "tool", "tool_call_id": each.id, "content": "rain"} for each in calls]
    return [answer, create(model=MODEL, messages=turns, tools=[TOOL])]


def structured_output(question: str) -> Any:
    schema = {"type": "json_schema", "json_schema": {"name": "City", "schema": City.model_json_schema()}}
    answer = client.chat.completions.create(model=MODEL, messages=user(question), response_format=schema)
    return City.model_validate_json(answer.choices[0].message.content)
