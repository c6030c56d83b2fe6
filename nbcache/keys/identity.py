"""Which model a call goes to, and with what settings: the model's half of the key.

`llm_string`, all that LangChain tells a cache, is not enough: ChatOllama's does not name the model, a
changed `temperature` leaves ChatOpenAI's as it was (langchain#39598), BaseLLM's leaves out the call's
options (langchain#40403). So where the call is known its model object is asked as well.
"""

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

from langchain_core.language_models.base import BaseLanguageModel

from nbcache.errors import UnstableIdentityError
from nbcache.keys import identity_cache as snapshot
from nbcache.keys.canonical import NotCanonicalError, canonical, is_users_code
from nbcache.keys.clients.endpoint import Target, endpoint_in, endpoint_of, target_of
from nbcache.keys.credentials import hidden
from nbcache.keys.ignored.parameters import CLIENTS, IGNORED_FIELDS, counted, is_ignored
from nbcache.keys.llm_string import Told, parse
from nbcache.keys.model_fields import library_classes
from nbcache.keys.model_fields.library_classes import MODEL_NAMES, field_names, names_counted, settings
from nbcache.keys.model_fields.user_classes import (
    answers_itself,
    exact,
    tells_itself,
    unstable,
    users_options,
    users_piece,
)
from nbcache.keys.provider_requests.families import family_of, tells_all
from nbcache.keys.provider_requests.request_parts import Settings
from nbcache.keys.request import Identity, Request

# Begins what stands in the place of an `llm_string` where no model is called: the identity's document, with its `model`,
# and in a line of its own what counts of the prompt, where that isn't the whole.
DOCUMENT = "!document:"
TOKEN_LIMITS = {
    *("max_tokens", "max_completion_tokens", "max_output_tokens", "max_tokens_to_sample"),
    *("max_new_tokens", "num_predict", "maxTokens"),
}
# What the price of a call depends on, of the fields of its model.
_PRICED_BY = (*MODEL_NAMES, "base_model_id", "service_tier", "speed", "model_kwargs", "cached_content")
_NOT_LOOKED_UP = Told("")
# Their llm_string names nothing but the class, whatever else a call adds to it.
_TELL_NOTHING = {"chat-ollama", "ollama-llm"}
_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")
_REMEDY = (
    "so its answers are not cached. Give the class an `_identifying_params` property that returns every "
    "setting its answers depend on"
)


def identify(llm_string: str, call: Request | None) -> Identity:
    """The identity of a call from its `llm_string` and, where known, the call itself.

    Raises UnstableIdentityError where two different calls could look alike.
    """
    if call is None:
        return _of_text(llm_string)
    return _of_call(parse(llm_string), call) if call.identity is None else call.identity


@functools.lru_cache(maxsize=256)
def _of_text(llm_string: str) -> Identity:
    if llm_string.startswith(DOCUMENT):
        document, has_part, part = llm_string.removeprefix(DOCUMENT).partition("\n")
        model = json.loads(document)["model"]
        return Identity(document.encode(), "", model, limits_tokens=False, part=part if has_part else None)
    return _of_string(parse(llm_string))


def of_object(cls: type, kind: str, endpoint: str, **parts: Any) -> Identity:
    """The identity of an object of `cls` that is called and is none of LangChain's models. `kind` is a plural.

    All that is told of it is in `parts`; of them `options`, `fields` and `told` name its model. Raises
    UnstableIdentityError.
    """
    package = "" if is_users_code(cls) else cls.__module__.partition(".")[0] + "."
    document = {"class": [kind, package + cls.__qualname__, *_code_of(cls)]}
    document |= {name: part for name, part in parts.items() if part}
    names = (_model_name(parts.get(part) or {}, "") for part in ("options", "fields", "told"))
    model = next(filter(None, names), cls.__qualname__)
    return Identity(_canonical(cls.__qualname__, document), endpoint, model, limits_tokens=False)


def _of_string(told: Told) -> Identity:
    """What a string alone tells. It is taken at its word, unless it is known to hide something."""
    unnamed = [name for name in told.unnamed if not is_ignored(name) and name not in CLIENTS | IGNORED_FIELDS]
    params = {name: value for name, value in counted(told.params).items() if name not in CLIENTS | IGNORED_FIELDS}
    if told.name in _TELL_NOTHING or unnamed or (told.raw is None and not params):
        lacks = f"parameter {unnamed[0]!r} only by its name or address" if unnamed else "nothing but its class"
        raise UnstableIdentityError(
            f"llm_string {told.name}",
            f"nbcache: the model {told.name!r} tells LangChain's cache {lacks}, so its answers are not cached. "
            "Turn the cache on with `%load_ext nbcache` or `nbcache.install()`, which ask the model itself",
        )
    if told.raw is not None:
        _refuse_address(told.raw)
    options = counted(told.options)
    endpoint = endpoint_in(params)
    document = {"class": told.name, "told": params, "options": options, "raw": told.raw}
    return Identity(
        _canonical(told.name, {name: part for name, part in document.items() if part}),
        endpoint,
        _model_name(params, told.name),
        _limits_tokens(params, options),
    )


def _refuse_address(raw: str) -> None:
    if address := _ADDRESS.search(raw):
        raise UnstableIdentityError(
            "llm_string address",
            f"nbcache: a call whose parameters hold an object's memory address ({raw[max(0, address.start() - 60) :][:80]!r}) "
            "is not cached. Turn the cache on with `nbcache.install()`, or pass plain values",
        )


def identity_of(told: Told, call: Request) -> Identity:
    """The identity of a call whose model is known, of whose `llm_string` no more than this is. Raises UnstableIdentityError."""
    return _work_out(told, call)[0]


def _of_call(told: Told, call: Request) -> Identity:
    """What the model itself tells, worked out anew only where something of it has changed."""
    model = call.asked_model()
    options = _memo_key(call)
    known = snapshot.recall(model, told, is_async=call.is_async)
    if known is not None and options is not None and (identity := known.get(options)) is not None:
        return identity
    identity, target = _work_out(told, call)
    if target is not None and options is not None:
        piece = users_piece(type(model))
        names = names_counted(type(model), piece)
        snapshot.remember(model, told, target, names, options, identity, piece, is_async=call.is_async)
    return identity


def price_identity(call: Request) -> Identity:
    """Of a call that is not looked up, what its price depends on. Raises NotCanonicalError."""
    model = call.asked_model()
    options = b"" if not call.options else canonical(call.options)
    known = snapshot.recall(model, _NOT_LOOKED_UP, is_async=call.is_async)
    if known is not None and (identity := known.get(options)) is not None:
        return identity
    fields = {name: model.__dict__[name] for name in _PRICED_BY if model.__dict__.get(name)}
    document = {"class": [type(model).__qualname__], "fields": fields, "options": dict(call.options)}
    target = target_of(model, is_async=call.is_async)
    endpoint = endpoint_of(model, dict(model.__dict__), target)
    name = _model_name(dict(call.options), "") or model_name(model)
    identity = Identity(canonical(document), endpoint, name, limits_tokens=False)
    snapshot.remember(model, _NOT_LOOKED_UP, target, _PRICED_BY, options, identity, None, is_async=call.is_async)
    return identity


def _memo_key(call: Request) -> bytes | None:
    """What tells the options of a call from others; None where nothing does."""
    if not call.options and call.stop is None:
        return b""
    try:
        return canonical([call.options, call.stop])
    except NotCanonicalError:
        return None


def _work_out(told: Told, call: Request) -> tuple[Identity, Target | None]:
    """The identity of a call, and where it goes; None where nobody knows."""
    model = call.asked_model()
    cls = type(model)
    if told.raw is None and told.name not in {getattr(model, "_llm_type", ""), ".".join(cls.lc_id())}:
        return _of_string(told), None  # a model within a model, whose own entry point is not wrapped
    fields = settings(model)
    options = _options(call, fields)
    sent = _sent(call)
    is_whole = sent is not None and sent.is_whole
    limits = _limits_tokens(fields, options) if sent is None else _limits_in(sent.request)
    name = (sent and _model_name(sent.request, "")) or _model_name(options, "") or _model_name(fields, "")
    target = target_of(model, is_async=call.is_async)
    endpoint = endpoint_of(model, fields, target)
    document: dict[str, Any] = {"class": [told.name, cls.__qualname__, *_code_of(cls)]}
    if sent is not None:
        document["request"] = sent.request
        if is_whole:
            fields = {name: value for name, value in fields.items() if name not in sent.family.fields}
    parts = {"fields": fields, "client": target.extras}
    if not is_whole:
        parts |= {"told": _not_in_fields(told, model, call), "options": options}
        if call.stop is not None:
            parts["stop"] = call.stop if isinstance(call.stop, str) else list(call.stop)  # type: ignore[assignment]
    if sent is None and not (fields or told.raw or counted(told.params).keys() - IGNORED_FIELDS):
        raise UnstableIdentityError(
            f"silent {cls.__qualname__}",
            f"nbcache: {cls.__qualname__} tells nothing about itself but its type, {_REMEDY}",
        )
    document |= {name: part for name, part in parts.items() if part or name == "stop"}
    return (
        Identity(
            _canonical(cls.__qualname__, document),
            endpoint,
            name or _model_name(told.params, cls.__qualname__),
            limits,
            sent=sent,
        ),
        target,
    )


def _sent(call: Request) -> Settings | None:
    """What the model's class would send, less the messages; None where it can't be asked."""
    model = call.asked_model()
    cls = type(model)
    family = family_of(cls)
    if family is None:
        return None
    try:
        return family.settings(model, call.stop, call.options, is_chat=call.is_chat, is_whole=tells_all(cls))
    except Exception:  # noqa: BLE001 - the class's own code: what it refuses, it will refuse when it is called
        return None


def _limits_in(request: Mapping[str, Any]) -> bool:
    """Whether a request sets a limit of tokens, itself or in a part of it."""
    inner = (part for part in request.values() if isinstance(part, dict))
    return _limits_tokens(dict(request), *inner)


def _options(call: Request, fields: dict[str, Any]) -> dict[str, Any]:
    """The options of the call that count. One that is None counts where it takes a setting's place."""
    cls = type(call.asked_model())
    if call.options and answers_itself(cls):
        return users_options(cls, call.options)
    options = {
        name: value
        for name, value in call.options.items()
        if value is not None or name in fields or name in cls.model_fields
    }
    return counted(options) if options else options


def _not_in_fields(told: Told, model: BaseLanguageModel[Any], call: Request) -> dict[str, Any]:
    """What `llm_string` tells that neither the model's fields nor the call's options tell better."""
    if told.raw is not None:
        _refuse_address(told.raw)
        return {"raw": told.raw}
    cls = type(model)
    names = field_names(cls)
    values = model.__dict__
    rest = {}
    tells = tells_itself(cls)
    for name, value in told.params.items():
        if name in call.options:
            continue
        field = names.get(name)
        # A serialised model's arguments are its fields, frozen at the first use. Others tell what they
        # work out at each call, so that what differs from the field counts as well.
        if name in IGNORED_FIELDS and not tells:
            continue
        if field is None or not (told.serialised or values.get(field) == value):
            rest[name] = value
    if not rest:
        return rest
    rest = {name: exact(cls, name, value) for name, value in sorted(rest.items())} if tells else counted(rest)
    if unnamed := rest.keys() & set(told.unnamed):
        raise unstable(type(model).__qualname__, min(unnamed), rest[min(unnamed)])
    return rest


def _code_of(cls: type) -> list[str]:
    """The code of a class of the user's own, whose name says little: another's may be named alike."""
    piece = users_piece(cls)
    return [] if piece is None else [piece.digest]


def model_name(model: BaseLanguageModel[Any]) -> str:
    """What a model is called, of which no more is known."""
    return _model_name(model.__dict__, type(model).__qualname__)


def model_names(call: Request) -> list[str]:
    """By what names people know the model of a call: its own and its class's."""
    if call.model is None:
        return [] if call.identity is None else [call.identity.model]
    told = (call.options, call.model.__dict__)
    named = [part[name] for part in told for name in MODEL_NAMES if isinstance(part.get(name), str)]
    return [*named, type(call.model).__qualname__]


def _model_name(params: dict[str, Any], otherwise: str) -> str:
    return next((str(params[name]) for name in MODEL_NAMES if isinstance(params.get(name), str)), otherwise)


def _limits_tokens(*parts: dict[str, Any]) -> bool:
    return any(part.get(name) is not None for part in parts for name in TOKEN_LIMITS & part.keys())


@functools.lru_cache(maxsize=256)  # most calls of a notebook share theirs
def limits_tokens_in(document: str) -> bool:
    """Whether a call set its own limit of tokens, by its document. Raises ValueError where that is no JSON object."""
    told = json.loads(document)
    if not isinstance(told, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - as for what is no JSON
    if isinstance(told.get("request"), dict):
        return _limits_in(told["request"])
    parts = [told.get(name) for name in (("fields", "options") if "fields" in told else ("told", "options"))]
    return _limits_tokens(*(part for part in parts if isinstance(part, dict)))


def _canonical(name: str, document: dict[str, Any]) -> bytes:
    try:
        return hidden(canonical(document))
    except NotCanonicalError as error:
        raise unstable(name, _culprit(document), error) from None


def _culprit(document: dict[str, Any]) -> str:
    """The parameter that has no canonical form."""
    for part in document.values():
        for name, value in part.items() if isinstance(part, dict) else ():
            try:
                canonical(value)
            except NotCanonicalError:
                return str(name)
    return "?"


def forget() -> None:
    """Work every identity out anew: what counts has changed."""
    _of_text.cache_clear()
    library_classes.forget()
