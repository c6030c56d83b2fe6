"""Google's SDK, `google-genai`. Its async calls go by aiohttp."""

from typing import Any

from google import genai
from google.genai import types

from tests.integrations.clients.scripts.tasks import PARAMETERS, City, weather

MODEL = "gemini-2.5-flash"
client = genai.Client()


def body(answer: Any) -> Any:
    """An answer without the HTTP headers that the SDK adds to it: of those the cache keeps the type of the content."""
    return answer.model_copy(update={"sdk_http_response": None})


def call(question: str) -> Any:
    return body(client.models.generate_content(model=MODEL, contents=question))


def stream(question: str) -> Any:
    return [body(part) for part in client.models.generate_content_stream(model=MODEL, contents=question)]


async def asynchronous(question: str) -> Any:
    whole = await client.aio.models.generate_content(model=MODEL, contents=question)
    parts = await client.aio.models.generate_content_stream(model=MODEL, contents=question)
    return [body(whole), [body(part) async for part in parts]]


def tools(question: str) -> Any:
    declared: Any = {"function_declarations": [{"name": "weather", "parameters_json_schema": PARAMETERS}]}
    forced: Any = {"tools": [declared], "tool_config": {"function_calling_config": {"mode": "ANY"}}}
    return [
        body(client.models.generate_content(model=MODEL, contents=question, config=forced)),
        client.chats.create(model=MODEL, config={"tools": [weather]}).send_message(question).text,
    ]


def structured_output(question: str) -> Any:
    config: Any = {"response_mime_type": "application/json", "response_schema": City}
    return client.models.generate_content(model=MODEL, contents=question, config=config).parsed


def embeddings(question: str) -> Any:
    texts: Any = [question, f"{question}?"]
    return body(client.models.embed_content(model="gemini-embedding-001", contents=texts))


def retry(question: str) -> Any:
    again = types.HttpOptions(retry_options=types.HttpRetryOptions(attempts=3, initial_delay=0.01))
    patient = genai.Client(http_options=again)
    return body(patient.models.generate_content(model=MODEL, contents=question))
