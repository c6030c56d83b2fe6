"""OpenAI's SDK, of both major versions."""

from typing import Any

from openai import AsyncOpenAI, OpenAI

from tests.integrations.clients.scripts.tasks import PARAMETERS, TOOL, City, user

MODEL = "gpt-4o-mini"
client, aclient = OpenAI(), AsyncOpenAI()


def call(question: str) -> Any:
    chat: Any = client.chat.completions.create(model=MODEL, messages=user(question))
    return [chat, client.responses.create(model=MODEL, input=question)]


def stream(question: str) -> Any:
    return list(client.chat.completions.create(model=MODEL, messages=user(question), stream=True))


async def asynchronous(question: str) -> Any:
    create: Any = aclient.chat.completions.create
    events: Any = await aclient.responses.create(model=MODEL, input=question, stream=True)
    return [
        await create(model=MODEL, messages=user(question)),
        [chunk async for chunk in await create(model=MODEL, messages=user(question), stream=True)],
        [event async for event in events],
    ]


def tools(question: str) -> Any:
    asked: Any = user(question)
    chat: Any = client.chat.completions.create
    answer = chat(model=MODEL, messages=asked, tools=[TOOL], tool_choice="required")
    calls = answer.choices[0].message.tool_calls
    results = [{"role": "tool", "tool_call_id": each.id, "content": "rain"} for each in calls]
    offered: Any = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": False}
    choice: Any = {"type": "function", "name": "weather"}
    return [
        answer,
        chat(model=MODEL, messages=[*asked, answer.choices[0].message, *results], tools=[TOOL]),
        client.responses.create(model=MODEL, input=question, tools=[offered], tool_choice=choice),
    ]


def structured_output(question: str) -> Any:
    chat: Any = client.chat.completions.parse(model=MODEL, messages=user(question), response_format=City)
    response = client.responses.parse(model=MODEL, input=question, text_format=City)
    return [chat.choices[0].message.parsed, response.output_parsed]


def embeddings(question: str) -> Any:
    return client.embeddings.create(model="text-embedding-3-small", input=[question, f"{question}?"])
