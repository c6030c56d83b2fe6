"""What generations carry besides their text: the metadata in which providers report models, tokens and charges."""

from collections.abc import Iterable, Sequence
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, Generation

# What nbcache itself says of an answer that came to an SDK: its text only describes it, or it has a price that no list has.
NO_TEXT, UNPRICED = "no_text", "unpriced"
_MOST = 2**53  # more tokens than that nobody counted


def message_of(generation: Generation) -> BaseMessage | None:
    """The message of a chat model's generation."""
    return generation.message if isinstance(generation, ChatGeneration) else None


def metadata_of(generation: Generation) -> list[dict[str, Any]]:
    """The mappings in which a client passes on what its provider reported, the most exact first."""
    parts = []
    message, info = message_of(generation), generation.generation_info
    metadata = getattr(message, "response_metadata", None)
    if metadata and isinstance(metadata, dict):
        parts.append(metadata)
    if info and isinstance(info, dict):
        parts.append(info)
    return parts


def mapping(value: Any) -> dict[str, Any]:
    """`value` where it is a dict, else an empty one."""
    return value if isinstance(value, dict) else {}


def named(parts: Iterable[dict[str, Any]], names: Sequence[str]) -> str | None:
    """The first text under one of these names."""
    for part in parts:
        for name in names:
            value = part.get(name)
            if value and isinstance(value, str):
                return value
    return None


def count(value: Any) -> int | None:
    """`value` where it is a number of tokens."""
    if type(value) is int or (type(value) is float and value.is_integer()):
        return int(value) if 0 <= value < _MOST else None
    return None
