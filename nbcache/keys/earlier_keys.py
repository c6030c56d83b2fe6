"""The present keys of calls that nbcache 0.1 to 0.4 wrote down (KEY_VERSION 1).

Version 1 identified a model by its fields. If they are complete, and the class is listed here, the model is made again and
builds the request that it would send now. The fields may come from an untrusted cassette, so no other class is made.
"""

import json
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.base import BaseLanguageModel

from nbcache.keys.canonical_urls import endpoint_urls
from nbcache.keys.credentials import hidden
from nbcache.keys.identity import identity_of
from nbcache.keys.json_text import written_json
from nbcache.keys.key import CallKey, call_key_of, rebuilt_call_key, with_sample
from nbcache.keys.llm_string import LLMString
from nbcache.keys.model_fields.settings import settings
from nbcache.keys.provider_requests.provider_families import family_of, is_fully_described
from nbcache.keys.provider_requests.rebuilt_models import rebuilt
from nbcache.keys.provider_requests.request_parts import messages_in
from nbcache.keys.request import Request

# By the class names in version 1: the package, and the argument for the endpoint.
_CLASSES = {
    "ChatOpenAI": ("langchain_openai", "base_url"),
    "OpenAI": ("langchain_openai", "base_url"),
    "ChatAnthropic": ("langchain_anthropic", "base_url"),
    "ChatGroq": ("langchain_groq", "base_url"),
    "ChatMistralAI": ("langchain_mistralai", "endpoint"),
    "ChatOllama": ("langchain_ollama", "base_url"),
    "OllamaLLM": ("langchain_ollama", "base_url"),
    "ChatBedrockConverse": ("langchain_aws", "endpoint_url"),
}
_KEYS = {"langchain_openai", "langchain_anthropic", "langchain_groq", "langchain_mistralai"}
_HEADERS = ("client's _custom_headers", "client's headers")
_NOT_A_VALUE = ('"!digest:', '"!secret"', '"!class"', '"!function"', '"!object"', '"!schema"', "\"client's ")


def call_now(call: CallKey) -> CallKey | None:
    """The present call key of a call that version 1 wrote down as `call`. None if version 1 didn't write down enough."""
    with suppress(Exception):  # the class's own code may fail, as may untrusted values: then the call is paid once more
        document = json.loads(call.identity)
        document.pop("draw", None)
        if (now := _now(call, document)) is not None:
            return now if now is call else with_sample(now, call.sample)
    return None


def _now(call: CallKey, document: dict[str, Any]) -> CallKey | None:
    kind, *others = document["class"][1:] or [""]  # plain values have no class
    if kind not in _CLASSES or "request" in document:
        return _without_credentials(call, document)
    if others:
        return None  # a class of the user's own: version 1 made its digest in another way
    fields = dict(document.get("fields") or {})
    headers = [header for name in _HEADERS for header in fields.pop(name, [])]
    options, stop = document.get("options") or {}, document.get("stop")
    written = written_json([fields, options]).decode()
    if document.get("told") or any(mark in written for mark in _NOT_A_VALUE):
        return None
    model = _model(kind, written, call.endpoint)
    if model is None or not is_fully_described(type(model)):
        return None
    is_chat = isinstance(model, BaseChatModel)
    messages = messages_in(call.canonical_prompt.decode() if call.rewritten else call.prompt) if is_chat else None
    if call.rewritten and messages is None:
        return None
    request = Request(model, stop, options, is_chat=is_chat, messages=messages)
    whole = identity_of(LLMString(document["class"][0], {}, {}, serialised=True), request)
    if whole.request_settings is None:
        return None
    rebuilt_key = call_key_of(call.prompt, whole, request)
    now = json.loads(rebuilt_key.identity)
    client = {name: value for name, value in (now.pop("client", None) or {}).items() if name != "headers"}
    if client:
        return None  # version 1 didn't write this down, so it may have been different then
    now |= {"client": {"headers": headers}} if headers else {}
    return call_key_of(
        call.prompt, replace(whole, document=hidden(written_json(now)), endpoint=endpoint_urls(call.endpoint)), request
    )


def _without_credentials(call: CallKey, document: dict[str, Any]) -> CallKey:
    """The same call with digests in place of the credentials that version 1 wrote down."""
    identity, endpoint = hidden(written_json(document)), endpoint_urls(call.endpoint)
    if endpoint == call.endpoint and json.loads(identity) == document:
        return call
    return rebuilt_call_key(
        *(call.canonical_prompt, call.prompt),
        identity=identity.decode(),
        endpoint=endpoint,
        model=call.model,
        rewritten=call.rewritten,
    )


@lru_cache(maxsize=64)
def _model(kind: str, written: str, endpoint: str) -> BaseLanguageModel[Any] | None:
    """A model with exactly these fields. None if the class changed one, or took a further one from the environment."""
    package, endpoint_name = _CLASSES[kind]
    fields: dict[str, Any] = json.loads(written)[0]
    others = {
        **({endpoint_name: endpoint} if endpoint else {}),
        **({"api_key": "not-a-key"} if package in _KEYS else {}),
    }
    model = rebuilt(package, kind, fields, others)
    if model is None or family_of(type(model)) is None or not fields.keys() <= model.__dict__.keys():
        return None
    names = {*fields, endpoint_name, "openai_api_base", "anthropic_api_url", "groq_api_base"}
    return model if settings(model).keys() <= names else None
