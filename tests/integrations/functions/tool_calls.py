"""What a model sends to have a tool called."""

from typing import Any


def tool_call(name: str, args: dict[str, Any], number: str = "1") -> dict[str, Any]:
    """A model's request to call a tool."""
    return {"name": name, "args": args, "id": number, "type": "tool_call"}
