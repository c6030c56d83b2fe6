"""Whether an answer comes back from the store as it is: looked at once for each shape of an answer."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from langchain_core.outputs import ChatGeneration, Generation
from pydantic import BaseModel

from nbcache.codec.json_values import from_plain, to_plain
from nbcache.errors import NotStorableError, warn_once

_MOST = 10_000  # shapes that are remembered
_sound: set[object] = set()


def shape_of(generations: Sequence[Generation], *, tagged: bool) -> object:
    """What answers share that come back alike; of those that JSON has words for, the fields that there are."""
    return tuple(_shape(generation, tagged=tagged) for generation in generations)


def is_sound(shape: object) -> bool:
    """Whether an answer of this shape has come back as it was."""
    return shape in _sound


def check(generations: Sequence[Generation], again: Sequence[Generation], shape: object) -> None:
    """Remember that answers of this shape come back. Raises NotStorableError where `again` is not `generations`."""
    if not all(_same_generation(*pair) for pair in zip(generations, again, strict=True)):
        raise NotStorableError("something")
    if len(_sound) >= _MOST:
        _sound.clear()
    _sound.add(shape)


def say_what_is_lost(model: str, generations: Sequence[Generation], classes: Iterable[type[BaseModel]]) -> None:
    """Say once what in an answer of the model named `model` doesn't come back, so that the answer is not kept."""
    what = _culprit(generations, classes)
    warn_once(
        f"not storable {model} {what}",
        f"nbcache: an answer of {model} is not cached, because {what} would not come back as it is. Let the model's class "
        "put plain values there",
    )


def _culprit(generations: Sequence[Generation], classes: Iterable[type[BaseModel]]) -> str:
    """The first part of an answer that doesn't come back: where it stands, and of which class it is."""
    for generation in generations:
        for name, part in _parts(generation).items():
            for path, value in _leaves(name, part):
                if not _comes_back(value, classes):
                    return f"its {path} (a {type(value).__module__}.{type(value).__qualname__} object)"
    generation = generations[0]
    kind = type(generation.message if isinstance(generation, ChatGeneration) else generation)
    return f"it (a {kind.__module__}.{kind.__qualname__} object)"


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of the same types all the way down; a NaN is itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Mapping):
        return same([*one], [*other]) and same([*one.values()], [*other.values()])
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, set | frozenset):
        return len(one) == len(other) and same(sorted(one, key=repr), sorted(other, key=repr))
    if isinstance(one, BaseModel):
        return all(same(*parts) for parts in zip(_inside(one), _inside(other), strict=True))
    if isinstance(one, memoryview):
        return bool(one.tobytes() == other.tobytes())  # in a tenth of the time of ==
    if isinstance(one, float | Decimal):
        return repr(one) == repr(
            other
        )  # NaN is not equal to itself, -0.0 equals 0.0, and Decimal("1.0") equals Decimal("1")
    return bool(one == other)


def _inside(model: BaseModel) -> tuple[Any, ...]:
    return vars(model), model.__pydantic_extra__, model.__pydantic_private__


def _same_generation(one: Generation, other: Generation) -> bool:
    if type(one) is not type(other) or one.text != other.text:
        return False
    return same(_parts(one), _parts(other))


def _parts(generation: Generation) -> dict[str, Any]:
    """What an answer consists of, less the id, which is new each time."""
    parts: dict[str, Any] = {"generation_info": generation.generation_info}
    if isinstance(generation, ChatGeneration):
        message = generation.message
        parts |= {"message": type(message), **vars(message), **(message.__pydantic_extra__ or {})}
        del parts["id"]
    return dict(sorted(parts.items()))


def _shape(generation: Generation, *, tagged: bool) -> object:
    message = generation.message if isinstance(generation, ChatGeneration) else None
    kind = type(generation), type(message), generation.generation_info is None
    if tagged:
        return kind, _types(_parts(generation))
    extra = None if message is None or not message.__pydantic_extra__ else frozenset(message.__pydantic_extra__)
    return kind, extra


def _types(value: Any) -> object:
    """The types of a value by their places."""
    if isinstance(value, Mapping):
        return type(value), tuple((str(name), _types(item)) for name, item in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return type(value), frozenset(map(_types, value))
    if isinstance(value, BaseModel):
        return type(value), tuple(map(_types, _inside(value)))
    return type(value)


def _leaves(path: str, value: Any) -> Iterable[tuple[str, Any]]:
    if type(value) is dict and value:
        for name, item in value.items():
            yield from _leaves(f"{path}.{name}", item)
    elif type(value) is list and value:
        for number, item in enumerate(value):
            yield from _leaves(f"{path}[{number}]", item)
    else:
        yield path, value


def _comes_back(value: Any, classes: Iterable[type[BaseModel]]) -> bool:
    if isinstance(value, type):
        return True  # the message's own
    try:
        return same(from_plain(to_plain(value), classes), value)
    except Exception:  # noqa: BLE001 - a value's own code, too, may raise anything
        return False
