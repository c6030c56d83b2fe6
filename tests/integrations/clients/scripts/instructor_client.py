"""instructor, around OpenAI's SDK and Anthropic's."""

from typing import Any

import instructor

from tests.integrations.clients.scripts.tasks import City, user

MODELS = ("openai/gpt-4o-mini", "anthropic/claude-for-tests")


def call(question: str) -> Any:
    return [
        instructor.from_provider(model).create(response_model=City, messages=user(question), max_tokens=100)
        for model in MODELS
    ]


def stream(question: str) -> Any:
    client = instructor.from_provider(MODELS[0])
    return list(client.create_partial(response_model=City, messages=user(question)))


async def asynchronous(question: str) -> Any:
    client = instructor.from_provider(MODELS[0], async_client=True)
    return await client.create(response_model=City, messages=user(question))


def tools(question: str) -> Any:
    client = instructor.from_provider(MODELS[0], mode=instructor.Mode.TOOLS)
    return client.create_with_completion(response_model=City, messages=user(question))


def structured_output(question: str) -> Any:
    client = instructor.from_provider(MODELS[0], mode=instructor.Mode.JSON_SCHEMA)
    return client.create(response_model=City, messages=user(question))
