"""Which embedding model a text goes to, and with what settings: the model's half of a vector's key."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from nbcache.canonical import NotCanonicalError, canonical, is_users_code
from nbcache.endpoint import endpoint_in, endpoint_of, target_of
from nbcache.errors import UnstableIdentityError
from nbcache.identity import Identity, is_declared_by_user, of_object, settings
from nbcache.ignored import counted

# How texts are sent, in what portions and how often, and what is shown meanwhile: no vector depends on it. So it is with
# the libraries' classes; one of the user's own may mean something else by these names.
_SENDING = frozenset(
    {
        *("chunk_size", "batch_size", "embed_batch_size", "max_concurrent_requests", "multi_process"),
        *("wait_time", "retry_min_seconds", "retry_max_seconds"),
        *("show_progress", "show_progress_bar", "cache_folder", "cache_dir"),
        "MistralAIEmbeddings.tokenizer",  # counts tokens to fill a request
    }
)
_REMEDY = "Give the class an `_identifying_params` property that returns every setting its vectors depend on"


def embedder_identity(model: Any, what: str, args: Sequence[Any], options: Mapping[str, Any]) -> Identity:
    """Which vectors these are: the model's class and settings, and whether it is asked as for `documents` or a `query`.

    Raises UnstableIdentityError.
    """
    cls = type(model)
    told = counted(_told(model))
    if isinstance(model, BaseModel):
        fields = settings(model)  # type: ignore[arg-type]  # a language model's, but any pydantic object has what it asks
        target = target_of(model)  # type: ignore[arg-type]
        endpoint = endpoint_of(model, fields, target)  # type: ignore[arg-type]
        fields |= {f"client's {name}": value for name, value in target.extras.items()}
        is_silent = not (told or type(model).model_fields)
    else:
        fields = {} if told else counted(_attributes(model))
        is_silent = not (told or fields)
        endpoint = endpoint_in(fields)
    if is_silent:
        raise UnstableIdentityError(
            f"silent {cls.__qualname__}",
            f"nbcache: {cls.__qualname__} tells nothing about itself but its type, so its vectors are not cached. {_REMEDY}",
        )
    fields = {name: value for name, value in fields.items() if not _is_sending(cls, name)}
    return of_object(
        cls, "embeddings", endpoint, embeds=what, fields=fields, told=told, options=_options(cls, args, options)
    )


def _is_sending(cls: type, name: str) -> bool:
    if name not in _SENDING and f"{cls.__qualname__}.{name}" not in _SENDING:
        return False
    return not (is_declared_by_user(cls, name) if issubclass(cls, BaseModel) else is_users_code(cls))


def _options(cls: type, args: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the call that count. Raises UnstableIdentityError for one that may differ from text to text."""
    told = {f"argument {number}": value for number, value in enumerate(args, 2)} | dict(options)
    for name, value in told.items():
        if not isinstance(value, str | int | float | Mapping | None):
            raise UnstableIdentityError(
                f"option {name} of {cls.__qualname__}",
                f"nbcache: texts embedded with {name}= are not cached: a {type(value).__qualname__} may hold something "
                "for each of them. Set it on the model, or pass plain values",
            )
    return counted({name: value for name, value in told.items() if is_users_code(cls) or name not in _SENDING})


def _told(model: Any) -> Mapping[str, Any]:
    told = getattr(model, "_identifying_params", None)
    return told if isinstance(told, Mapping) else {}


def _attributes(model: Any) -> dict[str, Any]:
    """All attributes of an object, private ones and slots too: who wrote the class put the settings where they liked.

    Raises UnstableIdentityError where one can't be told from another by its value.
    """
    state = object.__getstate__(model)
    plain, slots = state if isinstance(state, tuple) else (state, None)
    attributes = {**(plain or {}), **(slots or {})}
    for name, value in attributes.items():
        try:
            canonical(value)
        except NotCanonicalError as error:
            cls = type(model).__qualname__
            raise UnstableIdentityError(
                f"attribute {cls}.{name}",
                f"nbcache: vectors of {cls} are not cached: its attribute {name!r} is or holds {error}, which looks "
                f"different in every process. {_REMEDY}",
            ) from None
    return attributes
