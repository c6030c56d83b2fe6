"""Which embedding model makes a vector, and with what settings: the model's half of a vector's key."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from nbcache.errors import UnstableIdentityError
from nbcache.keys.canonical import NotCanonicalError, canonical, is_users_code
from nbcache.keys.clients.target import endpoint_in, endpoint_of, target_of
from nbcache.keys.identity import of_object
from nbcache.keys.ignored.langchain_parameters import counted, is_left_out
from nbcache.keys.model_fields.settings import is_declared_by_user, settings
from nbcache.keys.model_fields.user_classes import exact, users_options, users_piece
from nbcache.keys.request import Identity
from nbcache.keys.usercode import Piece

# Fields of the libraries' classes for batches, retries and progress bars, on which no vector depends. A class of the user's own
# may use these names for settings.
_SENDING = frozenset(
    {
        *("chunk_size", "batch_size", "embed_batch_size", "max_concurrent_requests", "multi_process"),
        *("wait_time", "retry_min_seconds", "retry_max_seconds"),
        *("show_progress", "show_progress_bar", "cache_folder", "cache_dir"),
        "MistralAIEmbeddings.tokenizer",  # counts tokens to fill a request
    }
)
# Fields from which these packages make their clients, or which they never send. The clients themselves are read instead.
_CLIENT_FIELDS = {
    "langchain_openai": {
        *("default_headers", "default_query", "openai_api_type", "openai_api_version", "openai_organization"),
        "openai_proxy",
    },
    "langchain_google_genai": {
        *("additional_headers", "api_version", "client_args", "location", "project", "request_options", "vertexai"),
    },
    "langchain_ollama": {"client_kwargs", "sync_client_kwargs", "async_client_kwargs"},
}
_REMEDY = "Give the class an `_identifying_params` property that returns every setting its vectors depend on"


def embedder_identity(
    model: Any, what: str, args: Sequence[Any], options: Mapping[str, Any], *, is_async: bool = False
) -> Identity:
    """The identity of vectors: the model's class and settings, and `what` is embedded, `documents` or a `query`.

    `is_async` is for awaited calls, for which many models have a client of their own. Raises UnstableIdentityError.
    """
    cls = type(model)
    piece = users_piece(cls)
    params = _identifying_params(model, piece)
    if isinstance(model, BaseModel):
        fields = settings(model)  # type: ignore[arg-type]  # for language models, but works for any pydantic object
        target = target_of(model, is_async=is_async)  # type: ignore[arg-type]
        endpoint = endpoint_of(model, fields, target)  # type: ignore[arg-type]
        if target.endpoint and piece is None:
            client_fields = _CLIENT_FIELDS.get(cls.__module__.partition(".")[0], set())
            fields = {name: value for name, value in fields.items() if name not in client_fields}
        fields |= {f"client's {name}": value for name, value in target.extras.items()}
    else:
        fields = {} if params else _attributes(model) if piece is None else _users_attributes(model, piece)
        endpoint = endpoint_in(fields)
    is_silent = piece is None and not (params or fields or getattr(cls, "model_fields", None))
    if is_silent:
        raise UnstableIdentityError(
            f"silent {cls.__qualname__}",
            f"nbcache: {cls.__qualname__} tells nothing about itself but its type, so its vectors are not cached. {_REMEDY}",
        )
    fields = {name: value for name, value in fields.items() if not _is_sending(cls, name)}
    return of_object(
        cls, "embeddings", endpoint, embeds=what, fields=fields, told=params, options=_options(cls, args, options)
    )


def _is_sending(cls: type, name: str) -> bool:
    if name not in _SENDING and f"{cls.__qualname__}.{name}" not in _SENDING:
        return False
    return not (is_declared_by_user(cls, name) if issubclass(cls, BaseModel) else is_users_code(cls))


def _options(cls: type, args: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the call that count. Raises UnstableIdentityError for one that may differ from text to text."""
    named = {f"argument {number}": value for number, value in enumerate(args, 2)} | dict(options)
    for name, value in named.items():
        if not isinstance(value, str | int | float | Mapping | None):
            raise UnstableIdentityError(
                f"option {name} of {cls.__qualname__}",
                f"nbcache: texts embedded with {name}= are not cached: a {type(value).__qualname__} may hold something "
                "for each of them. Set it on the model, or pass plain values",
            )
    if users_piece(cls) is not None:
        return users_options(cls, named)
    return counted({name: value for name, value in named.items() if name not in _SENDING})


def _identifying_params(model: Any, piece: Piece | None) -> dict[str, Any]:
    """The model's `_identifying_params` that count: for a class of the user's own, also names that are ignored elsewhere."""
    params = getattr(model, "_identifying_params", None)
    if not isinstance(params, Mapping):
        return {}
    return counted(params) if piece is None else users_options(type(model), params)


def _users_attributes(model: Any, piece: Piece) -> dict[str, Any]:
    """The attributes of an object of a user's class, without those that its calls change.

    Raises UnstableIdentityError for a value without a canonical form.
    """
    cls = type(model)
    attributes = {
        name: value for name, value in _all_attributes(model).items() if not piece.state.is_state(name, value)
    }
    return {name: exact(cls, name, value) for name, value in attributes.items() if not is_left_out(name)}


def _attributes(model: Any) -> dict[str, Any]:
    """All attributes of an object, also private ones and slots: any of them may be a setting.

    Raises UnstableIdentityError for a value without a canonical form.
    """
    attributes = _all_attributes(model)
    for name, value in attributes.items():
        try:
            canonical(value)
        except NotCanonicalError as error:
            cls = type(model).__qualname__
            raise UnstableIdentityError.of_value(
                f"attribute {cls}.{name}", f"vectors of {cls}", f"its attribute {name!r}", error, _REMEDY
            ) from None
    return counted(attributes)


def _all_attributes(model: Any) -> dict[str, Any]:
    state = object.__getstate__(model)
    plain, slots = state if isinstance(state, tuple) else (state, None)
    return {**(plain or {}), **(slots or {})}
