"""LiteLLM: by OpenAI's SDK, and by HTTP clients of its own to Anthropic."""

from typing import Any

import litellm

from tests.integrations.clients.scripts.tasks import TOOL, City, user

MODELS = ("openai/gpt-4o-mini", "anthropic/claude-for-tests")


def told(answer: Any) -> Any:
    """An answer, or a chunk, without the id and the time that LiteLLM itself gives it."""
    return answer.model_copy(update={"id": "", "created": 0})


def call(question: str) -> Any:
    return [told(litellm.completion(model, user(question))) for model in MODELS]


def stream(question: str) -> Any:
    return [told(chunk) for chunk in litellm.completion(MODELS[1], user(question), stream=True)]


async def asynchronous(question: str) -> Any:
    whole = [told(await litellm.acompletion(model, user(question))) for model in MODELS]
    streams: list[Any] = [await litellm.acompletion(model, user(question), stream=True) for model in MODELS]
    return [whole, [[told(chunk) async for chunk in each] for each in streams]]


def tools(question: str) -> Any:
    offered: Any = {"tools": [TOOL], "tool_choice": "required"}
    return [told(litellm.completion(model, user(question), **offered)) for model in MODELS]


def structured_output(question: str) -> Any:
    answer: Any = litellm.completion(MODELS[0], user(question), response_format=City)
    return City.model_validate_json(answer.choices[0].message.content)


def embeddings(question: str) -> Any:
    return litellm.embedding("openai/text-embedding-3-small", input=[question, f"{question}?"])


def retry(question: str) -> Any:
    return litellm.completion(MODELS[0], user(question), num_retries=2)
