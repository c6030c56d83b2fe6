"""What a cassette says, which somebody else may have written: whether it is an answer that can be handed out."""

from typing import Any

from langchain_core.outputs import ChatGeneration, Generation
from pydantic import ValidationError

from nbcache import codec
from nbcache.chunks import unpacked
from nbcache.errors import CassetteError, NotStorableError
from nbcache.wire import Recorded


def checked_answer(answer: list[dict[str, Any]], chunks: Any) -> list[Generation]:
    """The generations of an answer in the codec's plain form, with its packed chunks. Raises CassetteError."""
    try:
        generations = _generations(answer)
        pieces = _generations(list(unpacked(chunks)))
        for each in (*generations, *pieces):
            _check_fields(each)
    except ValidationError as error:
        first = error.errors()[0]
        raise CassetteError(f"its answer has a wrong {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except codec.UNREADABLE as error:
        raise CassetteError(f"its answer can't be read: {error!r}") from None
    if not generations:
        raise CassetteError("its answer is none")
    if pieces and "".join(each.text for each in pieces) != generations[0].text:
        raise CassetteError("its chunks say something else than its answer; where you edited that, take the chunks out")
    return generations


def dicts(told: Any, name: str) -> list[dict[str, Any]]:
    """`told`, which has to be a list of objects. Raises CassetteError."""
    if not isinstance(told, list) or not all(isinstance(each, dict) for each in told):
        raise CassetteError(f"its {name} is no list of objects")
    return told


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


def _generations(plain: list[dict[str, Any]]) -> list[Generation]:
    """The generations of an answer, objects of classes that aren't here in their plain form. Raises what wrong data does."""
    try:
        return codec.restored(plain, [])
    except NotStorableError:
        return codec.restored(plain, None)


def _check_fields(generation: Generation) -> None:
    """Raise ValueError or TypeError where a field has another type than its class says: the codec restores it unseen."""
    if isinstance(generation, ChatGeneration):
        message = generation.message
        type(message).model_validate({**message.__dict__, **(message.__pydantic_extra__ or {})}, strict=True)
    if not isinstance(generation.text, str):
        raise TypeError("its text is none")
    info = generation.generation_info
    if info is not None and not isinstance(info, dict):
        raise TypeError("its info is no object")
    if info and "http" in info:
        Recorded.of(info["http"])
