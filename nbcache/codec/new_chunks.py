"""The chunks of a stream, packed as they come: most are the chunk before with another text.

That is seen by their bytes. To write each in its plain form would take longer than all that LangChain does with it.
"""

import marshal
from typing import Any

from langchain_core.outputs import ChatGenerationChunk, GenerationChunk

from nbcache.codec.chunks import Packing
from nbcache.codec.messages import plain
from nbcache.entry.langchain_headers import cleaned

Chunk = GenerationChunk | ChatGenerationChunk


class NewChunks:
    """The chunks that have come so far, `packed`. Their reader may change each as soon as it was added."""

    def __init__(self) -> None:
        self._packing = Packing()
        self._before: tuple[Any, ...] | None = None

    @property
    def packed(self) -> list[Any]:
        """As `chunks.packed` has them. The list grows."""
        return self._packing.items

    def add(self, chunk: Chunk) -> bool:
        """Add a chunk. Returns whether it is the one before with another text. Raises NotStorableError."""
        text, rest = _parts(chunk)
        if rest is not None and rest == self._before:
            self.packed.append(text)
            return True
        self._before = None  # until this one has been added
        self._packing.add(cleaned(plain(chunk)))
        self._before = rest
        return False


def _parts(chunk: Chunk) -> tuple[Any, tuple[Any, ...] | None]:
    """The text of a chunk, and all else but its id, with the classes. None if there are objects in it, or more than one text.

    `marshal` writes values of Python's own types alone, and each type in its own way: `True` is not 1.
    """
    values = chunk.__dict__
    message, text = values.get("message"), values["text"]
    try:
        if message is None:
            rest = type(chunk), marshal.dumps({**values, "text": ""}, 0)
        else:
            fields = message.__dict__
            if text != (text := fields["content"]) or message.__pydantic_extra__:
                return text, None
            written = marshal.dumps(({**fields, "content": "", "id": None}, values["generation_info"]), 0)
            rest = type(chunk), type(message), written  # type: ignore[assignment]
    except (KeyError, ValueError):  # an object of another type
        return text, None
    return text, rest if type(text) is str else None
