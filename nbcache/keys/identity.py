"""Which model a call goes to, and with what settings: the model's half of the key.

`llm_string`, all that LangChain passes to a cache, is not enough. ChatOllama's does not name the model, a changed
`temperature` leaves ChatOpenAI's as it was (langchain#39598), BaseLLM's leaves out the call's options
(langchain#40403). So the model object itself is read where the call is known.
"""

import functools
import json
import re
from typing import Any

from langchain_core.language_models.base import BaseLanguageModel

from nbcache.errors import UnstableIdentityError
from nbcache.keys import identity_cache
from nbcache.keys.answer_limits import limits_tokens, request_limits_tokens
from nbcache.keys.canonical import NotCanonicalError, canonical, is_users_code
from nbcache.keys.clients.target import Target, endpoint_in, endpoint_of, target_of
from nbcache.keys.credentials import hidden
from nbcache.keys.ignored.langchain_parameters import CLIENTS, IGNORED_FIELDS, counted, is_ignored
from nbcache.keys.llm_string import LLMString, parse
from nbcache.keys.model_fields.settings import field_names, forget_models, names_counted, settings
from nbcache.keys.model_fields.user_classes import (
    answers_itself,
    exact,
    identifies_itself,
    unstable,
    users_options,
    users_piece,
)
from nbcache.keys.model_names import MODEL_NAMES, model_name, name_in
from nbcache.keys.provider_requests.provider_families import converts_by_message, family_of, is_fully_described
from nbcache.keys.provider_requests.request_parts import RequestSettings
from nbcache.keys.request import Identity, Request

# Begins a text that takes the place of an `llm_string` where no model is called. After it comes the identity's document,
# with its `model`. A second line, if there is one, is the counted prompt.
DOCUMENT = "!document:"
# The fields of a model that its price depends on.
_PRICED_BY = (*MODEL_NAMES, "base_model_id", "service_tier", "speed", "model_kwargs", "cached_content")
_UNCACHED = LLMString("")
# Models whose llm_string names nothing but the class, whatever the call adds to it.
_NAMELESS = {"chat-ollama", "ollama-llm"}
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
        return _identity_of_text(llm_string)
    return _cached_identity(parse(llm_string), call) if call.identity is None else call.identity


@functools.lru_cache(maxsize=256)
def _identity_of_text(llm_string: str) -> Identity:
    if llm_string.startswith(DOCUMENT):
        document, has_prompt, prompt = llm_string.removeprefix(DOCUMENT).partition("\n")
        model = json.loads(document)["model"]
        counted_prompt = prompt if has_prompt else None
        return Identity(document.encode(), "", model, limits_tokens=False, counted_prompt=counted_prompt)
    return _identity_of_string(parse(llm_string))


def of_object(cls: type, kind: str, endpoint: str, **parts: Any) -> Identity:
    """The identity of an object that is called, but is not one of LangChain's models, such as an embedding model.

    `kind` is a plural. `parts` hold all that counts of the object; the model's name is looked for in the parts `options`,
    `fields` and `told`. Raises UnstableIdentityError.
    """
    package = "" if is_users_code(cls) else cls.__module__.partition(".")[0] + "."
    document = {"class": [kind, package + cls.__qualname__, *_class_code(cls)]}
    document |= {name: part for name, part in parts.items() if part}
    names = (name_in(parts.get(part) or {}, "") for part in ("options", "fields", "told"))
    model = next(filter(None, names), cls.__qualname__)
    return Identity(_canonical(cls.__qualname__, document), endpoint, model, limits_tokens=False)


def _identity_of_string(llm_string: LLMString) -> Identity:
    """The identity by `llm_string` alone. Raises UnstableIdentityError where that is known to leave something out."""
    left_out = CLIENTS | IGNORED_FIELDS
    unnamed = [name for name in llm_string.unnamed if not is_ignored(name) and name not in left_out]
    params = {name: value for name, value in counted(llm_string.params).items() if name not in left_out}
    if llm_string.name in _NAMELESS or unnamed or (llm_string.raw is None and not params):
        lacks = f"parameter {unnamed[0]!r} only by its name or address" if unnamed else "nothing but its class"
        raise UnstableIdentityError(
            f"llm_string {llm_string.name}",
            f"nbcache: the model {llm_string.name!r} tells LangChain's cache {lacks}, so its answers are not cached. "
            "Turn the cache on with `%load_ext nbcache` or `nbcache.install()`, which ask the model itself",
        )
    if llm_string.raw is not None:
        _refuse_address(llm_string.raw)
    options = counted(llm_string.options)
    endpoint = endpoint_in(params)
    document = {"class": llm_string.name, "told": params, "options": options, "raw": llm_string.raw}
    return Identity(
        _canonical(llm_string.name, {name: part for name, part in document.items() if part}),
        endpoint,
        name_in(params, llm_string.name),
        limits_tokens(params, options),
    )


def _refuse_address(raw: str) -> None:
    if address := _ADDRESS.search(raw):
        raise UnstableIdentityError(
            "llm_string address",
            f"nbcache: a call whose parameters hold an object's memory address ({raw[max(0, address.start() - 60) :][:80]!r}) "
            "is not cached. Turn the cache on with `nbcache.install()`, or pass plain values",
        )


def identity_of(llm_string: LLMString, call: Request) -> Identity:
    """The identity of a call whose model is known, computed anew. Raises UnstableIdentityError."""
    return _compute_identity(llm_string, call)[0]


def _cached_identity(llm_string: LLMString, call: Request) -> Identity:
    """The identity of a call whose model is known. It is only computed where something of the model has changed."""
    model = call.model
    assert model is not None
    options = _options_key(call)
    cached = identity_cache.recall(model, is_async=call.is_async)
    if cached is not None and options in cached and cached[options][0] is llm_string:
        return cached[options][1]
    identity, target = _compute_identity(llm_string, call)
    if target is not None and options is not None:
        piece = users_piece(type(model))
        names = names_counted(type(model), piece)
        identity_cache.remember(model, llm_string, target, names, options, identity, piece, is_async=call.is_async)
    return identity


def unchanged_identity(call: Request) -> tuple[LLMString, Identity] | None:
    """The identity of an earlier call with these options, if nothing has changed since, and the `llm_string` that it had.

    None if there was no such call, or if LangChain's text of it may be another each time: a class that LangChain can't
    serialise computes its parameters at each call. They don't count where the request contains all that does.
    """
    options = _options_key(call)
    cached = identity_cache.recall(call.langchain_model(), is_async=call.is_async)
    if cached is None or options not in cached:
        return None
    llm_string, identity = unchanged = cached[options]
    request = identity.request_settings
    return unchanged if llm_string.serialised or (request is not None and request.is_complete) else None


def price_identity(call: Request) -> Identity:
    """What the price of a call depends on, for a call that is not looked up. Raises NotCanonicalError."""
    model = call.langchain_model()
    options = b"" if not call.options else canonical(call.options)
    cached = identity_cache.recall(model, is_async=call.is_async, for_price=True)
    if cached is not None and options in cached:
        return cached[options][1]
    fields = {name: model.__dict__[name] for name in _PRICED_BY if model.__dict__.get(name)}
    document = {"class": [type(model).__qualname__], "fields": fields, "options": dict(call.options)}
    target = target_of(model, is_async=call.is_async)
    endpoint = endpoint_of(model, dict(model.__dict__), target)
    name = name_in(call.options, "") or model_name(model)
    identity = Identity(canonical(document), endpoint, name, limits_tokens=False)
    identity_cache.remember(
        *(model, _UNCACHED, target, _PRICED_BY, options, identity, None), is_async=call.is_async, for_price=True
    )
    return identity


def _options_key(call: Request) -> bytes | None:
    """The options of a call as the key of a cache. None if they have no canonical form."""
    if not call.options and call.stop is None:
        return b""
    try:
        return canonical(call.options) + (b"" if call.stop is None else b"\0" + canonical(call.stop))
    except NotCanonicalError:
        return None


def _compute_identity(llm_string: LLMString, call: Request) -> tuple[Identity, Target | None]:
    """The identity of a call, and the clients by which its model sends it. None if the model isn't the one that answers."""
    model = call.langchain_model()
    cls = type(model)
    if llm_string.raw is None and llm_string.name not in {getattr(model, "_llm_type", ""), ".".join(cls.lc_id())}:
        return _identity_of_string(llm_string), None  # a model within a model, whose own entry point is not wrapped
    fields = settings(model)
    options = _options(call, fields)
    request = _request_settings(call)
    limits = limits_tokens(fields, options) if request is None else request_limits_tokens(request.request)
    name = (request and name_in(request.request, "")) or name_in(options, "") or name_in(fields, "")
    target = target_of(model, is_async=call.is_async)
    endpoint = endpoint_of(model, fields, target)
    document: dict[str, Any] = {"class": [llm_string.name, cls.__qualname__, *_class_code(cls)]}
    if request is not None:
        document["request"] = request.request
    if request is not None and request.is_complete:
        fields = {name: value for name, value in fields.items() if name not in request.family.fields}
        parts = {"fields": fields, "client": target.extras}
    else:
        parts = {"fields": fields, "client": target.extras, "told": _params_beside_fields(llm_string, model, call)}
        parts["options"] = options
        if call.stop is not None:
            parts["stop"] = call.stop if isinstance(call.stop, str) else list(call.stop)  # type: ignore[assignment]
    if request is None and not (fields or llm_string.raw or counted(llm_string.params).keys() - IGNORED_FIELDS):
        raise UnstableIdentityError(
            f"silent {cls.__qualname__}",
            f"nbcache: {cls.__qualname__} tells nothing about itself but its type, {_REMEDY}",
        )
    document |= {name: part for name, part in parts.items() if part or name == "stop"}
    name = name or name_in(llm_string.params, cls.__qualname__)
    identity = Identity(_canonical(cls.__qualname__, document), endpoint, name, limits, request_settings=request)
    return identity, target


def _request_settings(call: Request) -> RequestSettings | None:
    """What the model's class would send besides the messages. None if it can't build a request without sending it."""
    model = call.langchain_model()
    cls = type(model)
    family = family_of(cls)
    if family is None:
        return None
    try:
        return family.settings(
            *(model, call.stop, call.options),
            is_chat=call.is_chat,
            is_complete=is_fully_described(cls),
            by_message=converts_by_message(cls),
        )
    except Exception:  # noqa: BLE001 - the class's own code: what it refuses, it will refuse when it is called
        return None


def _options(call: Request, fields: dict[str, Any]) -> dict[str, Any]:
    """The options of the call that count. One that is None counts if it replaces a setting."""
    cls = type(call.langchain_model())
    if call.options and answers_itself(cls):
        return users_options(cls, call.options)
    options = {
        name: value
        for name, value in call.options.items()
        if value is not None or name in fields or name in cls.model_fields
    }
    return counted(options) if options else options


def _params_beside_fields(llm_string: LLMString, model: BaseLanguageModel[Any], call: Request) -> dict[str, Any]:
    """The parameters in `llm_string` that are neither fields of the model nor options of the call."""
    if llm_string.raw is not None:
        _refuse_address(llm_string.raw)
        return {"raw": llm_string.raw}
    cls = type(model)
    names = field_names(cls)
    values = model.__dict__
    params = {}
    is_users = identifies_itself(cls)
    for name, value in llm_string.params.items():
        if name in call.options:
            continue
        field = names.get(name)
        if name in IGNORED_FIELDS and not is_users:
            continue
        # A serialised model's arguments are its fields, frozen at the first use. Other classes compute their parameters
        # at each call, so one that differs from the field counts as well.
        if field is None or not (llm_string.serialised or values.get(field) == value):
            params[name] = value
    if not params:
        return params
    params = {name: exact(cls, name, value) for name, value in sorted(params.items())} if is_users else counted(params)
    if unnamed := params.keys() & set(llm_string.unnamed):
        raise unstable(type(model).__qualname__, min(unnamed), params[min(unnamed)])
    return params


def _class_code(cls: type) -> list[str]:
    """The digest of a class of the user's own: another such class may have the same name."""
    piece = users_piece(cls)
    return [] if piece is None else [piece.digest]


def _canonical(name: str, document: dict[str, Any]) -> bytes:
    try:
        return hidden(canonical(document))
    except NotCanonicalError as error:
        raise unstable(name, _unstable_parameter(document), error) from None


def _unstable_parameter(document: dict[str, Any]) -> str:
    """The name of the parameter that has no canonical form."""
    for part in document.values():
        for name, value in part.items() if isinstance(part, dict) else ():
            try:
                canonical(value)
            except NotCanonicalError:
                return str(name)
    return "?"


def forget() -> None:
    """Compute each identity anew: what counts has changed."""
    _identity_of_text.cache_clear()
    forget_models()
