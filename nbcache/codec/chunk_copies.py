"""The chunks of a stored stream, as new objects: most are the chunk before with another text.

A stream has hundreds of chunks. To restore each of them from JSON takes longer than all that LangChain does with it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, GenerationChunk

from nbcache.codec.chunks import text_of
from nbcache.codec.messages import generation_of, made
from nbcache.entry.langchain_headers import cleaned
from nbcache.keys.json_text import copier, copy_plain

Chunk = GenerationChunk | ChatGenerationChunk
_MUTABLE = frozenset({dict, list})


class ChunkForm:
    """A chunk of which copies are made, each with a text of its own. Raises what `generation_of` raises."""

    def __init__(self, plain: dict[str, Any]) -> None:
        chunk = generation_of(cleaned(plain), (), checked=True)
        self.takes_text = text_of(plain) is not None
        self._class, self._fields = type(chunk), set(chunk.__dict__)
        self._values = chunk.__dict__
        self._message: _MessageForm | None = None
        if isinstance(chunk, ChatGenerationChunk):
            self._message = _MessageForm(chunk.message, chunk.generation_info)

    def chunk(self, text: str | None) -> Chunk:
        """A new chunk, without an id. It has this text; if that is None, the one that it came with."""
        values = self._values.copy()
        if self._message is not None:
            values["message"] = self._message.copy(text)
        if text is not None:
            values["text"] = text
        values["generation_info"] = copy_plain(values["generation_info"])
        return made(self._class, values, self._fields.copy())  # type: ignore[return-value]  # the class of the chunk

    def message(self, text: str | None, message_id: str) -> BaseMessage:
        """The message of such a chunk of a chat model, with this id, as LangChain hands it out."""
        assert self._message is not None
        return self._message.handed_out(text, message_id)


class _MessageForm:
    """The message of a `ChunkForm`."""

    def __init__(self, message: BaseMessage, info: dict[str, Any] | None) -> None:
        self._class, self._fields = type(message), set(message.__dict__)
        self._extra = message.__pydantic_extra__ or {}
        self._values = message.__dict__
        self._content = message.content
        self._metadata = copier(message.response_metadata)
        self._metadata_and_info = copier({**(info or {}), **message.response_metadata})
        # What each copy has of its own, but for what is set below.
        self._copiers = [
            (name, copier(value))
            for name, value in message.__dict__.items()
            if type(value) in _MUTABLE and name not in {"content", "response_metadata"}
        ]

    def copy(self, text: str | None) -> BaseMessage:
        """A new message, with this text."""
        return self._made(text, self._metadata(), None)

    def handed_out(self, text: str | None, message_id: str) -> BaseMessage:
        """As `copy`, with the generation's info in its metadata."""
        return self._made(text, self._metadata_and_info(), message_id)

    def _made(self, text: str | None, metadata: dict[str, Any], message_id: str | None) -> BaseMessage:
        values = self._values.copy()
        for name, copy in self._copiers:
            values[name] = copy()
        values["response_metadata"] = metadata
        values["id"] = message_id
        if text is not None and type(self._content) is str:
            values["content"] = text
        elif type(self._content) is not str:
            values["content"] = copy_plain(self._content)
            if text is not None:
                values["content"][0]["text"] = text
        return made(self._class, values, self._fields.copy(), copy_plain(self._extra))


Forms = Sequence[tuple[ChunkForm, str | None]]  # for each chunk its form, and its text where it isn't that of the form


def forms_of(packed_chunks: Sequence[Any]) -> Forms | None:
    """The forms of the packed chunks. None if objects are in them, which can't be copied. Raises what `generation_of` raises."""
    if any(map(_has_tag, packed_chunks)):
        return None
    forms: list[tuple[ChunkForm, str | None]] = []
    for item in packed_chunks:
        if isinstance(item, str):
            form = forms[-1][0]
            if not form.takes_text:
                raise TypeError("a text without a place in the chunk before it")
            forms.append((form, item))
        else:
            forms.append((ChunkForm(item), None))
    return forms


def copies(forms: Forms) -> Iterator[Chunk]:
    """The chunks, as new objects without ids."""
    return (form.chunk(text) for form, text in forms)


def messages(forms: Forms, message_id: str) -> Iterator[BaseMessage]:
    """The messages of the chunks of a chat model, as new objects with this id, as LangChain hands them out."""
    return (form.message(text, message_id) for form, text in forms)


def handed_out(chunk: Chunk, message_id: str) -> BaseMessage:
    """The message of one chunk of a chat model, with this id, as LangChain hands it out."""
    assert isinstance(chunk, ChatGenerationChunk)
    values = chunk.message.__dict__
    values["id"] = message_id
    values["response_metadata"] = {**(chunk.generation_info or {}), **values["response_metadata"]}
    return chunk.message


def _has_tag(value: Any) -> bool:
    """Whether a plain value has a tag in it: a name that begins with "!"."""
    if type(value) is dict:
        return any(name[:1] == "!" or _has_tag(item) for name, item in value.items())
    return type(value) is list and any(map(_has_tag, value))
