"""LangChain's generations and messages ↔ JSON values, exactly, and copies of them to hand out."""

import functools
import itertools
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, Generation
from pydantic import BaseModel

from nbcache.codec.buffers import Raw
from nbcache.codec.field_checks import check_fields
from nbcache.codec.json_values import from_plain, to_plain
from nbcache.errors import DamagedError, NotStorableError
from nbcache.keys.json_text import copied_later, copier
from nbcache.keys.message_classes import GENERATIONS, MESSAGES

_T = TypeVar("_T", bound=BaseModel)
_PlainDict = Callable[[dict[str, Any]], dict[str, Any]]


def plain(generation: Generation, buffers: list[Raw] | None = None) -> dict[str, Any]:
    """A generation or chunk in JSON's terms, with long bytes in `buffers`.

    Raises NotStorableError where it would not come back exactly.
    """
    try:
        return form(generation, lambda value: to_plain(value, buffers))
    except RecursionError:
        raise NotStorableError("a value that holds itself, or too many others,") from None


def restored(
    plain_forms: Iterable[dict[str, Any]], classes: Iterable[type[BaseModel]] | None = (), *, checked: bool = False
) -> list[Any]:
    """The generations or chunks with these plain forms, as new objects; the others are as for `generation_of`."""
    return [generation_of(item, classes, checked=checked) for item in plain_forms]


def generation_of(
    plain: dict[str, Any], classes: Iterable[type[BaseModel]] | None, *, checked: bool = False
) -> Generation:
    """A new generation from its plain form.

    `classes` are those of which pydantic objects in it may be. With None all that has a tag stays as it is written. With `checked`,
    raises TypeError if it is none that LangChain would make: others may have written it.
    """
    cls = _class_of(plain["type"], GENERATIONS)
    info = plain.get("info")
    values = {"generation_info": info if classes is None else from_plain(info, classes)}
    if "message" not in plain:
        text = plain["text"]
        values["text"] = text if classes is None else from_plain(text, classes)
        return _checked(_completed(cls, values)) if checked else _completed(cls, values)
    message = plain["message"]
    message_cls, fields = _class_of(message["type"], MESSAGES), message["fields"]
    if classes is not None:
        fields = {name: from_plain(value, classes) for name, value in fields.items()}
    names = _default_values(message_cls)[0].keys()
    if checked:
        check_fields(message_cls, fields)
    extra = {} if fields.keys() <= names else {name: fields.pop(name) for name in fields.keys() - names}
    fields["id"] = new_id()
    message = _completed(message_cls, fields, extra)
    values["message"], values["text"] = message, plain.get("text", message.content)
    return _checked(_completed(cls, values)) if checked else _completed(cls, values)


def _checked(generation: Generation) -> Generation:
    """The same. Raises TypeError if it is no whole generation."""
    info = generation.generation_info
    if not isinstance(generation.text, str) or not (info is None or type(info) is dict):
        raise TypeError("its text or its info is none")
    if isinstance(generation, ChatGeneration) and not isinstance(generation.__dict__.get("message"), BaseMessage):
        raise TypeError("it has no message")
    return generation


def _class_of(name: str, classes: Mapping[str, type[_T]]) -> type[_T]:
    """The class of this name. Raises DamagedError where neither nbcache nor LangChain has it: a newer one wrote it."""
    try:
        return classes[name]
    except KeyError:
        raise DamagedError(f"it holds {name!r}, which a newer nbcache or LangChain wrote", newer=True) from None


def fresh(generations: Iterable[Generation]) -> list[Generation]:
    """Copies to hand out. It stays for a release, for its earlier path `nbcache.codec.fresh`."""
    return copies_of(generations)()


def snapshots(generations: Iterable[Generation]) -> Callable[[], list[Generation]]:
    """A function that makes copies of the generations as they are now, with the same ids, to be called once.

    Most of the work is left to that call. `copies_of` is for copies that are made often.
    """
    later = list(map(_snapshot, generations))
    return lambda: [make() for make in later]


def _snapshot(generation: Generation) -> Callable[[], Generation]:
    cls, values_of, message = type(generation), copied_later(generation.__dict__), generation.__dict__.get("message")
    if not isinstance(message, BaseMessage):
        return lambda: made(cls, values_of(), set())
    message_cls, fields_of = type(message), copied_later(message.__dict__)
    return lambda: made(cls, {**values_of(), "message": made(message_cls, fields_of(), set())}, set())


def copies_of(generations: Iterable[Generation]) -> Callable[[], list[Generation]]:
    """A function that makes copies of the generations as they are now, to hand out: LangChain and the user change what they get."""
    copiers = [_copier_of(generation) for generation in generations]
    return lambda: [copied() for copied in copiers]


def _copier_of(generation: Generation) -> Callable[[], Generation]:
    cls, names = type(generation), set(generation.__dict__)
    if not isinstance(generation, ChatGeneration):
        values_of = copier(generation.__dict__)
        return lambda: made(cls, values_of(), names.copy())
    values_of = copier({**generation.__dict__, "message": None})
    message = generation.message
    message_cls, message_names = type(message), set(message.__dict__)
    fields_of, extra_of = copier(message.__dict__), copier(message.__pydantic_extra__ or {})

    def copied() -> Generation:
        fields = fields_of()
        fields["id"] = new_id()
        values = values_of()
        values["message"] = made(message_cls, fields, message_names.copy(), extra_of())
        return made(cls, values, names.copy())

    return copied


def form(generation: Generation, plain_dict: _PlainDict) -> dict[str, Any]:
    """The form in which a generation or chunk is written. `plain_dict` makes the plain form of each dict in it.

    Raises NotStorableError if the form does not have all that the generation consists of.
    """
    cls = type(generation)
    if GENERATIONS.get(cls.__name__) is not cls:
        raise NotStorableError(f"a {cls.__module__}.{cls.__qualname__} object")
    plain: dict[str, Any] = {"type": cls.__name__}
    if generation.generation_info is not None:
        plain["info"] = plain_dict(generation.generation_info)
    if isinstance(generation, ChatGeneration):
        plain["message"] = _plain_message(generation.message, plain_dict)
        if generation.text != generation.message.content:
            plain["text"] = generation.text
    else:
        plain["text"] = generation.text
    return plain


def _plain_message(message: BaseMessage, plain_dict: _PlainDict) -> dict[str, Any]:
    """The message's own fields: dumped through its generation, a subclass's would be lost."""
    cls = type(message)
    if MESSAGES.get(cls.__name__) is not cls:
        raise NotStorableError(f"a {cls.__module__}.{cls.__qualname__} object")
    left_out = _left_out(cls)
    fields = {
        name: value for name, value in message.__dict__.items() if name != "id" and value != left_out.get(name, ...)
    }
    if message.__pydantic_extra__:
        fields |= message.__pydantic_extra__
    return {"type": cls.__name__, "fields": plain_dict(fields)}


def made(cls: type[_T], values: dict[str, Any], fields: set[str], extra: dict[str, Any] | None = None) -> _T:
    """An instance of `cls` with these values, and `fields` as the set of their names: both become parts of it.

    It does not go through the validation again that it went through when it was made first. Validators would work anew on
    what they have already changed, and cost more than the rest of a hit.
    """
    instance = _new(cls)
    _set(instance, "__dict__", values)
    _set(instance, "__pydantic_fields_set__", fields)
    _set(instance, "__pydantic_extra__", extra)
    _set(instance, "__pydantic_private__", None)
    return instance


_new, _set = object.__new__, object.__setattr__


def _completed(cls: type[_T], fields: dict[str, Any], extra: dict[str, Any] | None = None) -> _T:
    """An instance of `cls` with these fields, in their order, and the defaults of the others, each a new object if it can change.

    They were left out when the message was stored, and a class may have gained some since then.
    """
    fixed, made_anew = _default_values(cls)
    values = fixed | fields
    for name, make in made_anew:
        if name not in fields:
            values[name] = make()
    return made(cls, values, set(values), extra)


@functools.cache
def _left_out(cls: type[BaseModel]) -> dict[str, Any]:
    """The values of the fields of `cls` with which they are not stored."""
    fixed, made_anew = _default_values(cls)
    return fixed | {name: make() for name, make in made_anew}


@functools.cache
def _default_values(cls: type[BaseModel]) -> tuple[dict[str, Any], list[tuple[str, Callable[[], Any]]]]:
    fixed: dict[str, Any] = {}
    made: list[tuple[str, Any]] = []
    for name, field in cls.model_fields.items():
        fixed[name] = ... if field.is_required() else field.default
        if field.default_factory is not None:  # none of theirs takes the validated data
            made.append((name, field.default_factory))
    return fixed, made


def new_id() -> str:
    """A repeated id would make LangGraph's add_messages replace the earlier message (langchain#33883)."""
    return f"{_ids.prefix}{next(_ids.numbers):016x}"


class _Ids:
    """Ids that no other process makes: asking the system for each costs as much as a fifth of a copy."""

    def __init__(self) -> None:
        self.prefix = "lc_run--" + os.urandom(8).hex()
        self.numbers = itertools.count()


_ids = _Ids()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ids.__init__)  # type: ignore[misc]  # begin anew, with another prefix
