"""What counts of a model whose class is the user's own: every field and option that its code may read.

The lists in `ignored` name what a provider's class doesn't send. A user's class may use the same names for anything.
"""

import json
import math
from collections.abc import Mapping
from types import FunctionType
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, SecretBytes, SecretStr

from nbcache.errors import UnstableIdentityError
from nbcache.keys import usercode
from nbcache.keys.canonical import NotCanonicalError
from nbcache.keys.credential_names import counted_digest, holds_secrets, may_be_secret
from nbcache.keys.ignored.langchain_parameters import CLIENTS, IGNORED, IGNORED_FIELDS, is_left_out
from nbcache.keys.usercode import is_users_code

if TYPE_CHECKING:
    from nbcache.keys.usercode import Piece

# Methods that get the options of a call.
_ANSWERING = {"_call", "_acall", "_generate", "_agenerate", "_stream", "_astream"}
_IDENTIFYING = {"_identifying_params", "_default_params", "_get_ls_params"}
# Through these a class may read any of its fields.
_READ_ALL = {
    "repr",
    "attrgetter",
    "__repr__",
    "__iter__",
    "getattr",
    "vars",
    "__dict__",
    "__getattribute__",
    "model_dump",
    "model_dump_json",
    "dict",
    "json",
    "copy",
}


def users_piece(cls: type) -> "Piece | None":
    """The code of a class that is the user's own, or has a base that is. None for a library's class.

    Raises UnstableIdentityError where the code refers to something that has no canonical form.
    """
    if not any(is_users_code(base) for base in cls.__mro__):
        return None
    try:
        return usercode.piece_of(cls)
    except NotCanonicalError as error:
        name = cls.__qualname__
        raise UnstableIdentityError(
            f"code {name}",
            f"nbcache: calls of {name} are not cached, because its code refers to {error.what} (as {error.path}), of which "
            "nothing tells whether it is the same in another process. Pass plain values, or make it where it is used",
        ) from None


def reads_attribute(cls: type, attribute: str) -> bool:
    """Whether the code of a user's class reads an attribute of this name, of any object."""
    piece = users_piece(cls)
    return piece is not None and attribute in piece.reads


def declared_by_user(cls: type) -> set[str]:
    """The names of the fields that the user's own classes declare, or declare again."""
    return {name for base in cls.__mro__ if is_users_code(base) for name in usercode.annotations_of(base)}


def answers_itself(cls: type) -> bool:
    """Whether the user's own code answers, and so gets the options of a call."""
    return _is_users(cls, _ANSWERING)


def identifies_itself(cls: type) -> bool:
    """Whether the user's own code computes what identifies a model."""
    return _is_users(cls, _IDENTIFYING)


def _is_users(cls: type, methods: set[str]) -> bool:
    return any(is_users_code(base) and not methods.isdisjoint(vars(base)) for base in cls.__mro__)


def names_that_count(cls: type, piece: "Piece") -> set[str]:
    """The fields of a user's class that count: those that it declares, and those of LangChain's that it reads."""
    fields: Mapping[str, Any] = getattr(cls, "__pydantic_fields__", {})
    names = declared_by_user(cls) & fields.keys()
    reads_all = not _READ_ALL.isdisjoint(piece.reads)
    for name in fields.keys() - names - CLIENTS:
        is_listed = name in IGNORED or name in IGNORED_FIELDS
        if is_listed and (reads_all or name in piece.reads):
            names.add(name)
    return {name for name in names if not is_left_out(name)}


def users_options(cls: type, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a call that the user's code answers. A pydantic class among them counts by its JSON schema.

    Raises UnstableIdentityError for a value without a canonical form.
    """
    return {
        name: value if isinstance(value, type) and issubclass(value, BaseModel) else exact(cls, name, value)
        for name, value in sorted(options.items())
        if not is_left_out(name)
    }


def users_fields(model: BaseModel, piece: "Piece") -> dict[str, Any]:
    """The fields of `model` that count because of the user's code, by name, each in the form of `exact`.

    Raises UnstableIdentityError for a value without a canonical form.
    """
    cls = type(model)
    values = model.__dict__
    declared = declared_by_user(cls)
    reads_all = not _READ_ALL.isdisjoint(piece.reads)
    fields: dict[str, Any] = {}
    for name in sorted(names_that_count(cls, piece)):
        value = values.get(name)
        if piece.state.is_state(name, value) and not isinstance(value, int | float):
            fields |= _seeds(piece, name, value)
            continue
        is_read = reads_all or name in piece.reads
        if not is_read and holds_secret(cls.__pydantic_fields__[name].annotation):
            continue  # only the library's code reads it, to authenticate
        if name not in declared and not is_plain(value):
            continue
        if name == "metadata" and isinstance(value, dict):  # LangChain writes its release there
            value = {key: item for key, item in value.items() if key != "lc_versions"}
        fields[name] = exact(cls, name, value)
    return fields | _private(model, piece)


def _private(model: BaseModel, piece: "Piece") -> dict[str, Any]:
    """The private attributes that the user's code reads and its calls don't write.

    An object of a library's class, such as a tokenizer or a session, is a tool and doesn't count.
    """
    cls = type(model)
    attributes = model.__pydantic_private__ or {}
    counts: dict[str, Any] = {}
    for name in sorted(attributes.keys() & private_names(cls, piece)):
        value = attributes[name]
        if piece.state.is_state(name, value):
            counts |= _seeds(piece, name, value)
        elif is_plain(value) or is_users_code(type(value)) or type(value) is FunctionType:
            counts[name] = exact(cls, name, value)
    return counts


def _seeds(piece: "Piece", name: str, value: Any) -> dict[str, Any]:
    """What counts of an attribute that calls change: its content before the first call, if calls read it."""
    seed = usercode.seed_digest(value, name) if piece.state.is_consulted(name, value) else ""
    return {name: {"!seed": seed}} if seed else {}


def private_names(cls: type, piece: "Piece") -> set[str]:
    """The private attributes that the code of a user's class reads."""
    declared = {
        name for base in cls.__mro__ if is_users_code(base) for name in vars(base).get("__private_attributes__", ())
    }
    return declared if not _READ_ALL.isdisjoint(piece.reads) else declared & piece.reads


def holds_secret(annotation: Any) -> bool:
    """Whether a field with this annotation may hold a secret."""
    if isinstance(annotation, type) and issubclass(annotation, SecretStr | SecretBytes):
        return True
    return any(map(holds_secret, get_args(annotation)))


def exact(cls: type, name: str, value: Any) -> Any:
    """A form of `value` that is equal only for an equal value of the same type, without secrets.

    Raises UnstableIdentityError, which names the parameter `name` of `cls`.
    """
    if is_plain(value):
        return _without_secrets(name, value)
    try:
        return {"!exact": [type(value).__qualname__, usercode.digest_of(value, name)]}
    except NotCanonicalError as error:
        raise unstable(cls.__qualname__, name, error) from None


def unstable(cls: str, parameter: str, value: object) -> UnstableIdentityError:
    """The error for a parameter of the class `cls` whose `value` has no canonical form."""
    return UnstableIdentityError.of_value(
        *(f"unstable {cls}.{parameter}", f"calls of {cls}", f"its parameter {parameter!r}", value),
        "Pass plain values, or a pydantic object, instead",
    )


def is_plain(value: Any) -> bool:
    """Whether `value` has exactly JSON's types, at any depth."""
    cls = type(value)
    if cls is str or cls is int or cls is bool or value is None:
        return True
    if cls is float:
        return math.isfinite(value)
    if cls is list:
        return all(map(is_plain, value))
    if cls is dict:
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    return False


def _without_secrets(name: str, value: Any) -> Any:
    if type(value) is list:
        return [_without_secrets(name, item) for item in value]
    if type(value) is dict:
        hides = holds_secrets(name)
        return {
            key: counted_digest(json.dumps(item)) if hides else _without_secrets(key, item)
            for key, item in value.items()
        }
    return counted_digest(value) if type(value) is str and may_be_secret(name) else value
