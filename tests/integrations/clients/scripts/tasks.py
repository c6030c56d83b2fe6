"""What every script asks of a model: the same tool, the same structure."""

from typing import Any

from pydantic import BaseModel

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}
FUNCTION: dict[str, Any] = {"name": "weather", "description": "The weather in a city.", "parameters": PARAMETERS}
TOOL: dict[str, Any] = {"type": "function", "function": FUNCTION}


class City(BaseModel):
    """A city."""

    name: str
    inhabitants: int


def weather(city: str, days: int) -> str:
    """The weather in a city.

    Args:
        city: its name
        days: for how long
    """
    return f"{city}: {days} days of rain"


def user(question: str) -> Any:
    """A question as most providers take it."""
    return [{"role": "user", "content": question}]
