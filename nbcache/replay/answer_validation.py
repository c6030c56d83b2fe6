"""The answers of a cassette, which somebody else may have written: checked before one is handed out."""

import math
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, Generation

from nbcache import codec
from nbcache.codec.buffers import BUFFER, BYTES, VIEW
from nbcache.codec.chunk_limits import check_replayable
from nbcache.codec.chunks import text_of
from nbcache.codec.field_checks import check_fields
from nbcache.codec.messages import restored
from nbcache.codec.sdk_response import HTTPResponse
from nbcache.codec.values.kind_names import HASHED, KIND
from nbcache.errors import CassetteError, DamagedError, NotStorableError
from nbcache.keys.json_text import copy_plain, written_json

_MOST_HASHED = 10_000  # items of a set: others can choose them so that each is compared with all
_MOST_DIGITS = 10_000  # signs of a number or a time
_HASHED = frozenset({"!set", "!frozenset", "!pairs"})
_TEXTS = frozenset({"!int", "!float", "!decimal", "!date", "!datetime", "!time", "!uuid"})
_INT64 = 2**63
_LOOKED_AT = frozenset({list, dict, int, float})
_TAG = b'"!'  # as a tagged value is written


def checked_answer(answer: list[dict[str, Any]], chunks: Any) -> list[Generation]:
    """The generations of an answer in the codec's plain form, with its packed chunks. Raises CassetteError."""
    try:
        _check_values([answer, chunks])
        generations = list(map(_checked, answer))
        text = _text(chunks)
    except CassetteError:
        raise
    except DamagedError as error:
        raise CassetteError(f"its answer is of a newer release: {error}") from None
    except codec.UNREADABLE as error:
        raise CassetteError(f"its answer can't be read: {error!r}") from None
    if not generations:
        raise CassetteError("its answer is none")
    if chunks and text != generations[0].text:
        raise CassetteError("its chunks say something else than its answer; where you edited that, take the chunks out")
    return generations


def dicts(value: Any, name: str) -> list[dict[str, Any]]:
    """`value`, which has to be a list of objects. Raises CassetteError."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise CassetteError(f"its {name} is no list of objects")
    return value


def is_flat(value: Any, levels: int) -> bool:
    """Whether a JSON value has no more than so many levels of lists and objects."""
    level = [value]
    while level and levels >= 0:
        level = [item for each in level for item in _items(each)]
        levels -= 1
    return not level


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value.values()]
    return value if isinstance(value, list) else []


def _check_values(answer: Any) -> None:
    """Raise CassetteError where a value would not be kept as it is, or take long to be made."""
    left = [answer]
    while left:
        value = left.pop()
        kind = type(value)
        if kind is list:
            left += [item for item in value if type(item) in _LOOKED_AT]
        elif kind is dict:
            if len(value) == 1:
                _check_tagged(value)
            elif KIND in value and str(value[KIND]) in HASHED:
                _check_hashed(value[KIND], value.get("items"))
            left += [item for item in value.values() if type(item) in _LOOKED_AT]
        elif kind is int and not -_INT64 <= value < _INT64:
            raise CassetteError(
                f'its answer has an integer of more than 64 bits; write {{"!int": "{str(value)[:40]}"}}'
            )
        elif kind is float and not math.isfinite(value):
            raise CassetteError(f'its answer has a number that JSON has no word for; write {{"!float": "{value}"}}')


def _check_tagged(value: dict[str, Any]) -> None:
    ((tag, content),) = value.items()
    if tag in _HASHED:
        _check_hashed(tag[1:], content)
    if tag in {BUFFER, VIEW}:
        raise CassetteError(f'its answer has a buffer, and a cassette has none; write {{"{BYTES}": …}}')
    if tag in _TEXTS and isinstance(content, str) and len(content) > _MOST_DIGITS:
        raise CassetteError(f"its answer has a number or time of more than {_MOST_DIGITS:,} signs")


def _check_hashed(kind: str, items: Any) -> None:
    if isinstance(items, list) and len(items) > _MOST_HASHED:
        raise CassetteError(f"its answer has a {kind} of more than {_MOST_HASHED:,} items")


def _text(chunks: Any) -> str:
    """What the packed chunks say together; each is checked, and what several have in common only once."""
    check_replayable(chunks)
    texts, before = [], None
    for item in chunks:
        if isinstance(item, str):
            if before is None or text_of(before) is None:
                raise ValueError("its chunks have a text without a chunk that it goes on with")
            texts.append(item)
        else:
            texts.append(_checked(item).text)
            before = item
    return "".join(texts)


def _checked(plain: dict[str, Any]) -> Generation:
    """A generation, with tagged values that this release can't restore as they are written. Raises what wrong data raises."""
    try:
        (generation,) = restored([plain], []) if _TAG in written_json(plain) else _as_written(plain)
    except (NotStorableError, DamagedError):
        (generation,) = _as_written(plain)
    _check_fields(generation)
    return generation


def _as_written(plain: dict[str, Any]) -> list[Generation]:
    return restored([copy_plain(plain)], None)  # which takes fields out of the dicts that it is given


def _check_fields(generation: Generation) -> None:
    """Raise ValueError or TypeError where a field has another type than its class says: the codec restores it unseen."""
    if isinstance(generation, ChatGeneration):
        _check_message(generation.message)
    if not isinstance(generation.text, str):
        raise TypeError("its text is none")
    info = generation.generation_info
    if info is not None and not isinstance(info, dict):
        raise TypeError("its info is no object")
    if info and "http" in info:
        HTTPResponse.of(info["http"])


def _check_message(message: BaseMessage) -> None:
    try:
        check_fields(type(message), message.__dict__)
    except TypeError as error:
        raise CassetteError(f"its answer has {error}") from None
