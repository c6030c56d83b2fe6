"""Limits on the packed chunks of a recorded stream: a small cassette could take gigabytes or minutes to replay."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from nbcache.errors import CassetteError

_MOST_CHUNKS = 250_000  # each becomes an object of 2.5 kB
_MOST_REPEATED = 2**24  # characters of JSON that a chunk and those with only a text of their own have in common
_SMALL = 256  # characters of it that are free: providers name themselves in each chunk
# LangChain joins the texts under one name by adding each to the last sum, which copies it.
_MOST_COPIED = 10**11  # characters
_MOST_INDICES = 2_000  # and it looks through a list for the item with the same index
_JOINED_FIELDS = ("additional_kwargs", "response_metadata", "content", "tool_call_chunks")
_KEPT = frozenset({"id", "output_version", "model_provider"})  # texts that it takes over as they are


def check_replayable(chunks: Sequence[Any]) -> None:
    """Raise CassetteError where replaying the packed chunks of an answer would take gigabytes or minutes."""
    repeated = copied = 0
    size_of_one = text_of_one = 0
    indices: set[str] = set()
    for item in chunks:
        if isinstance(item, str):
            repeated += size_of_one
        else:
            joined = _joined(item)
            size_of_one = max(0, len(_json(item)) - _SMALL)
            text_of_one = sum(map(len, _texts(joined)))
            indices.update(_indices(joined))
        copied += text_of_one + (len(item) if isinstance(item, str) else 0)
    is_little = repeated <= _MOST_REPEATED and copied * len(chunks) <= _MOST_COPIED
    if len(chunks) > _MOST_CHUNKS or len(indices) > _MOST_INDICES or not is_little:
        raise CassetteError("its chunks would take gigabytes or minutes to replay; without them it comes in one piece")


def is_replayable(chunks: Sequence[Any]) -> bool:
    """Whether `check_replayable` accepts the chunks."""
    try:
        check_replayable(chunks)
    except CassetteError:
        return False
    return True


def _json(chunk: Any) -> bytes:
    try:
        return orjson.dumps(chunk)
    except TypeError:  # half of an emoji, or a large number
        return repr(chunk).encode(errors="surrogatepass")


def _joined(chunk: Any) -> list[Any]:
    """The values of a chunk that are joined with those of the others."""
    if not isinstance(chunk, dict):
        return []
    message = chunk.get("message")
    fields = message.get("fields") if isinstance(message, dict) else None
    return [chunk.get("info"), *(fields.get(name) for name in _JOINED_FIELDS if isinstance(fields, dict))]


def _texts(values: list[Any]) -> Iterator[str]:
    left = [*values]
    while left:
        value = left.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            left += value
        elif isinstance(value, dict):
            left += [item for name, item in value.items() if name not in _KEPT]


def _indices(values: list[Any]) -> Iterator[str]:
    for value in values:
        for item in value if isinstance(value, list) else ():
            if isinstance(item, dict) and "index" in item:
                yield repr(item["index"])[:40]
