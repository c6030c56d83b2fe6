"""DSPy, as it is after `import dspy`: with its own cache, whose folder is new in each run."""

import asyncio
import os
from typing import Any

import dspy

from tests.integrations.clients.scripts.tasks import City, weather

# Where a variable names the endpoint DSPy calls models by LiteLLM, else by a library of its own, as most users have it.
os.environ.pop("OPENAI_API_BASE")
URL = os.environ.pop("OPENAI_BASE_URL")

lm = dspy.LM("openai/gpt-4o-mini", api_base=URL)
dspy.configure(lm=lm, adapter=dspy.JSONAdapter())


class Describe(dspy.Signature):  # type: ignore[misc]  # where DSPy is not installed
    """Describe a city."""

    question: str = dspy.InputField()
    city: City = dspy.OutputField()


def call(question: str) -> Any:
    return [lm(question), dspy.Predict("question -> answer")(question=question).toDict()]


def stream(question: str) -> Any:
    async def every() -> list[Any]:
        program: Any = dspy.streamify(dspy.Predict("question -> answer"))
        return [part async for part in program(question=question)]

    return [
        part.toDict() if isinstance(part, dspy.Prediction) else part.choices[0].delta.content
        for part in asyncio.run(every())
    ]


async def asynchronous(question: str) -> Any:
    return [await lm.acall(question), (await dspy.Predict("question -> answer").acall(question=question)).toDict()]


def tools(question: str) -> Any:
    class Look(dspy.Signature):  # type: ignore[misc]  # where DSPy is not installed
        """Answer by a tool."""

        question: str = dspy.InputField()
        tools: list[dspy.Tool] = dspy.InputField()
        outputs: dspy.ToolCalls = dspy.OutputField()

    return dspy.Predict(Look)(question=question, tools=[dspy.Tool(weather)]).outputs


def structured_output(question: str) -> Any:
    return dspy.Predict(Describe)(question=question).city


def embeddings(question: str) -> Any:
    return dspy.Embedder("openai/text-embedding-3-small", api_base=URL)([question, f"{question}?"]).tolist()
