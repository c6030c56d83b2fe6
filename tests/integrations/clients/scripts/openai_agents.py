"""openai-agents: its runner, with OpenAI's responses and chat completions."""

from typing import Any

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner, function_tool
from openai import AsyncOpenAI

from tests.integrations.clients.scripts import tasks
from tests.integrations.clients.scripts.tasks import City

weather = function_tool(tasks.weather)
agent = Agent(name="assistant", model="gpt-4o-mini")


def outcome(result: Any) -> Any:
    return [result.final_output, result.to_input_list()]


async def call(question: str) -> Any:
    chat = Agent(name="assistant", model=OpenAIChatCompletionsModel("gpt-4o-mini", AsyncOpenAI()))
    return [outcome(await Runner.run(each, question)) for each in (agent, chat)]


async def stream(question: str) -> Any:
    result = Runner.run_streamed(agent, question)
    return [event.data async for event in result.stream_events() if event.type == "raw_response_event"]


asynchronous = call


async def tools(question: str) -> Any:
    settings = ModelSettings(tool_choice="required")
    busy = Agent(name="assistant", model="gpt-4o-mini", tools=[weather], model_settings=settings)
    return outcome(await Runner.run(busy, question))


async def structured_output(question: str) -> Any:
    return (await Runner.run(Agent(name="assistant", model="gpt-4o-mini", output_type=City), question)).final_output
