"""All generated answers: the same for the same seed."""

from collections.abc import Iterator
from random import Random

from tests.costs.generated import anthropic_cases, openai_cases, other_cases
from tests.costs.generated.case import Case

KINDS = {
    "OpenAI, chat completions": openai_cases.chat,
    "OpenAI, responses": openai_cases.responses,
    "OpenAI, tools": openai_cases.tools,
    "OpenAI, sound": openai_cases.audio,
    "Azure": openai_cases.azure,
    "OpenAI's language": openai_cases.compatible,
    "Claude": anthropic_cases.messages,
    "Claude, searches": anthropic_cases.searches,
    "Claude, places": anthropic_cases.places,
    "Bedrock": anthropic_cases.bedrock,
    "Gemini": other_cases.gemini,
    "Gemini, images": other_cases.painted,
    "Gemini, sound": other_cases.heard,
    "Groq": other_cases.groq,
    "Mistral": other_cases.mistral,
    "Ollama": other_cases.ollama,
}


def cases(kind: str, number: int, seed: int = 18) -> Iterator[Case]:
    """The cases of a kind; of each combination of settings so many."""
    yield from KINDS[kind](Random(f"{seed} {kind}"), number)
