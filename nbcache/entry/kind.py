"""What made the answer of an entry: a call of a model, an embedding, a function of the user's own, or a tool.

It can be read from an entry, so that those of an earlier nbcache, and of a cassette, have one.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from nbcache.entry.durations_and_sizes import counted
from nbcache.entry.filter import CALL, EMBEDDING, FUNCTION, KINDS, TOOL
from nbcache.entry.usage.reported_metadata import NO_TEXT, mapping

__all__ = ["CALL", "EMBEDDING", "FUNCTION", "KINDS", "MODELS", "TOOL", "kind_of", "numbers_text", "vectors_text"]

MODELS = (CALL, EMBEDDING)  # of which a model was asked
_KIND_OF = {"embeddings": EMBEDDING, FUNCTION: FUNCTION, TOOL: TOOL}  # by the first word of an identity's class
_VECTORS = re.compile(r"[\d,]+ vectors?( of \d+ numbers)?|\d+( x \d+)* numbers")
_NO_VECTORS = "sentence-similarity"  # a task of Hugging Face's, whose answer is a list of numbers, too


def kind_of(identity: Mapping[str, Any], info: Mapping[str, Any] | None, text: object) -> str:
    """The kind of an entry, by what it says of its call.

    `identity` is the document of the call's identity; `info` and `text` are those of the first generation of the answer.
    """
    if info is None or "http" not in info:
        cls = identity.get("class")
        return _KIND_OF.get(str(cls[0]), CALL) if isinstance(cls, list) and cls else CALL
    is_described = info.get(NO_TEXT) is True and isinstance(text, str) and _VECTORS.fullmatch(text) is not None
    return EMBEDDING if is_described and mapping(identity.get("options")).get("task") != _NO_VECTORS else CALL


def vectors_text(vectors: int, length: int | None) -> str:
    """The text for an answer of so many vectors, by which `kind_of` knows it."""
    return counted(vectors, "vector") + ("" if length is None else f" of {length} numbers")


def numbers_text(sizes: Sequence[int]) -> str:
    """The text for numbers in lists of these sizes, one in the other; as `vectors_text`."""
    return f"{' x '.join(map(str, sizes))} numbers"
