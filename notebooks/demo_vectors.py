"""Vectors for the examples, without a model: texts that share words are near each other."""

import base64
import json
import math
import re
import struct
import zlib
from dataclasses import dataclass
from typing import Any, Self

EMBEDDING_MODEL = "demo-embeddings"
SIZE = 256
_SMALL_WORDS = """a about am an and are as at be by can do does for from how i in is it me my of often on or that the
    this to was what when where which who why will with you your"""
_TELLING_NOTHING = frozenset(_SMALL_WORDS.split())


@dataclass(frozen=True)
class Embedding:
    """One request for vectors, understood."""

    texts: list[str]
    size: int
    is_packed: bool
    seconds = 0.2  # how long it takes

    @classmethod
    def of(cls, body: bytes) -> Self:
        """Read a request's JSON; `ValueError` says what is wrong with it."""
        request = json.loads(body)
        given = request.get("input") if isinstance(request, dict) else None
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise ValueError("'input' must be a text or a list of texts")
        size = request.get("dimensions") or SIZE
        if not isinstance(size, int) or not 1 <= size <= 4096:
            raise ValueError("'dimensions' must be an integer from 1 to 4096")
        return cls(texts, size, request.get("encoding_format") == "base64")

    def answer(self) -> dict[str, Any]:
        """What the provider would send, in the form that was asked for."""
        vectors = [vector(text, self.size) for text in self.texts]
        data = [
            {"object": "embedding", "index": i, "embedding": _packed(numbers) if self.is_packed else numbers}
            for i, numbers in enumerate(vectors)
        ]
        count = sum(-(-len(text) // 4) for text in self.texts)
        usage = {"prompt_tokens": count, "total_tokens": count}
        return {"object": "list", "model": EMBEDDING_MODEL, "data": data, "usage": usage}


def words(text: str) -> list[str]:
    """The words of `text` that tell something, a plural as its singular."""
    found = re.findall(r"\w+", text.lower())
    return [word.removesuffix("s") for word in found if word not in _TELLING_NOTHING]


def vector(text: str, size: int = SIZE) -> list[float]:
    """A vector of length 1: each word counts in a place of its own, or nearly so."""
    places = [0.0] * size
    for word in words(text) or [text]:
        places[zlib.crc32(word.encode()) % size] += 1
    length = math.hypot(*places)
    return [place / length for place in places]


def _packed(numbers: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
