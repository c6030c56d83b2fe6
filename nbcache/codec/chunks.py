"""The chunks of a streamed answer, packed: most differ from the one before in their text alone."""

import json
import marshal
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk

# What LangChain takes over as it is, if two chunks have the same.
_TAKEN_OVER = frozenset({"id", "output_version", "model_provider"})


class Packing:
    """Packs plain chunks. The `items` are chunks, or only the text of one where the rest is as in the chunk before."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._before: bytes | None = None

    def add(self, chunk: dict[str, Any]) -> None:
        """Add a chunk."""
        text = text_of(chunk)
        rest = None if text is None else marshal.dumps(_with_text(chunk, ""), 0)  # where `True` is not 1
        self.items.append(text if rest is not None and rest == self._before else chunk)
        self._before = rest


def packed(chunks: Iterable[dict[str, Any]]) -> list[Any]:
    """The plain chunks, packed."""
    packing = Packing()
    for chunk in chunks:
        packing.add(chunk)
    return packing.items


def joinable(packed_chunks: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Plain chunks of which LangChain makes the same answer as of those that were packed, and most often far fewer.

    Those that differ in their text alone become one, if all else in them stays as it is when they are joined.
    """
    form: dict[str, Any] = {}
    texts: list[str] = []  # that are still to be joined
    for item in packed_chunks:
        is_text = isinstance(item, str)
        if texts and is_text:
            texts.append(item)
            continue
        if texts:
            yield _with_text(form, "".join(texts))
        form = form if is_text else item
        texts = [text_of(item) or ""] if not is_text and _has_text_alone(item) else []
        if not texts:
            yield _with_text(form, item) if is_text else item
    if texts:
        yield _with_text(form, "".join(texts))


def _has_text_alone(chunk: dict[str, Any]) -> bool:
    """Whether nothing of a chunk but its text is added to that of the others."""
    if "message" not in chunk:
        return chunk.keys() == {"type", "text"}
    fields = chunk["message"]["fields"]
    metadata = fields.get("response_metadata", {})
    return (
        chunk.keys() == {"type", "message"}
        and fields.keys() <= {"content", "response_metadata"}
        and type(fields.get("content", "")) is str
        and metadata.keys() <= _TAKEN_OVER
        and all(type(value) is str for value in metadata.values())
    )


def unpacked(packed_chunks: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """The plain chunks that were packed."""
    chunk: dict[str, Any] = {}
    for item in packed_chunks:
        chunk = _with_text(chunk, item) if isinstance(item, str) else item
        yield chunk


def as_chunk(generation: Generation) -> GenerationChunk | ChatGenerationChunk:
    """An answer that came whole, as the one chunk of a stream."""
    if not isinstance(generation, ChatGeneration):
        return GenerationChunk(text=generation.text, generation_info=generation.generation_info)
    message = generation.message
    return ChatGenerationChunk(message=_message_chunk(message), generation_info=generation.generation_info)


def _message_chunk(message: Any) -> AIMessageChunk:
    if isinstance(message, AIMessageChunk):
        return message
    calls = [*message.tool_calls, *message.invalid_tool_calls] if isinstance(message, AIMessage) else []
    chunk = AIMessageChunk(
        content=message.content,
        additional_kwargs=message.additional_kwargs,
        response_metadata=message.response_metadata,
        usage_metadata=getattr(message, "usage_metadata", None),
        name=message.name,
        tool_call_chunks=[
            tool_call_chunk(name=call["name"], args=_arguments(call["args"]), id=call["id"], index=index)
            for index, call in enumerate(calls)
        ],
        chunk_position="last",
    )
    if isinstance(message, AIMessage):  # LangChain would mend the arguments of an invalid one, and make it valid
        chunk.tool_calls, chunk.invalid_tool_calls = message.tool_calls, message.invalid_tool_calls
    return chunk


def _arguments(arguments: Any) -> str | None:
    """The arguments of a call as they are streamed; those of an invalid one are text already."""
    return arguments if isinstance(arguments, str | None) else json.dumps(arguments)


def text_of(chunk: dict[str, Any]) -> str | None:
    """The text of a chunk that has no more than one."""
    if "message" not in chunk:
        text = chunk.get("text")
        return text if isinstance(text, str) else None
    content = chunk["message"]["fields"].get("content", "")
    if isinstance(content, str):
        return None if "text" in chunk else content
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        text = content[0].get("text")
        return text if isinstance(text, str) and chunk.get("text") == text else None
    return None


def _with_text(chunk: dict[str, Any], text: str) -> dict[str, Any]:
    """A chunk with another text."""
    if "message" not in chunk:
        return {**chunk, "text": text}
    message = chunk["message"]
    content = message["fields"].get("content", "")
    if isinstance(content, str):
        return {**chunk, "message": {**message, "fields": {**message["fields"], "content": text}}}
    content = [{**content[0], "text": text}]
    return {**chunk, "text": text, "message": {**message, "fields": {**message["fields"], "content": content}}}
