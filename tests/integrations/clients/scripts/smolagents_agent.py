"""smolagents, with its model of OpenAI's."""

import os
from typing import Any

from smolagents import ChatMessage, OpenAIModel, tool

from tests.integrations.clients.scripts import tasks
from tests.integrations.clients.scripts.tasks import City

model = OpenAIModel("gpt-4o-mini", api_base=os.environ["OPENAI_BASE_URL"], api_key="sk-test")
weather = tool(tasks.weather)


def asked(question: str) -> list[ChatMessage]:
    return [ChatMessage(role="user", content=[{"type": "text", "text": question}])]


def call(question: str) -> Any:
    return model.generate(asked(question)).dict()


def stream(question: str) -> Any:
    return [delta.content for delta in model.generate_stream(asked(question))]


def tools(question: str) -> Any:
    return model.generate(asked(question), tools_to_call_from=[weather]).dict()


def structured_output(question: str) -> Any:
    schema = {"type": "json_schema", "json_schema": {"name": "City", "schema": City.model_json_schema()}}
    return City.model_validate_json(model.generate(asked(question), response_format=schema).content)
