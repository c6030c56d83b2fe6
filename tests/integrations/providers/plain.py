"""What came back from a model as plain JSON: whole, but for what no two runs share."""

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import BaseMessage
from pydantic import BaseModel


def plain(value: Any) -> Any:
    """`value` with the names of its classes, less the ids of messages and LangChain's mark of a hit."""
    if isinstance(value, BaseModel):
        fields = {name: plain(item) for name, item in value if not (name == "id" and isinstance(value, BaseMessage))}
        return {"class": type(value).__qualname__, **fields}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items() if name != "total_cost"}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{type(value).__qualname__} has no plain form")
