"""The request that a provider's own class would send: what tells one of its calls from another.

Most of LangChain's provider classes build their request in one method, before anything is sent. What the
messages change in it is the prompt; all else is the model and its settings, whatever way they were set.
A class that isn't listed here counts by its fields (`identity`).
"""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models.base import BaseLanguageModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from nbcache.bodies import counted_body, counted_value
from nbcache.canonical import canonical, is_users_code
from nbcache.headers import counted_headers, counted_query
from nbcache.json_text import copy_plain
from nbcache.messages import MESSAGES

Request = dict[str, Any]
Prompt = Sequence[BaseMessage] | str
_Build = Callable[[Any, Any, Any, Request], Request]
# Texts that stand for others, to see where a request has them: what it is made of is its settings, its messages'
# classes and their texts, so that the same form holds for all texts.
_MARKS = tuple(f"nbcache-text-{number}-7d1f0c2e" for number in range(4))
_TEXT_ALONE = {HumanMessage, SystemMessage}
_ANY_PROMPT = "."  # stands for the messages where the settings alone are asked for
# Of a message with one of these Google's class fetches what is named, from the network or from a file.
_FETCHED = ('"image_url"', '"url"', '"file_uri"', '"media"')


@dataclass(frozen=True, slots=True)
class Family:
    """Classes that build their requests alike.

    `prompt` are the request's fields for the messages. `fields` are the class's fields that count by what the request
    says of them: all others, also those that a later release adds, count by their values. `dropped` are names in the
    request that aren't sent, or say only how an answer comes. `dialect` is whose API the request is for.
    """

    build: _Build
    prompt: tuple[str, ...]
    fields: frozenset[str]
    dropped: frozenset[str] = frozenset({"stream", "stream_options", "timeout"})
    dialect: str = "openai"
    takes_extras: bool = True  # `extra_headers`, `extra_query` and `extra_body`, as the SDKs do
    drops_none: bool = False
    is_of_objects: bool = False  # and one that may fetch what a message names

    def settings(
        self, model: BaseLanguageModel[Any], stop: Any, options: Mapping[str, Any], *, is_chat: bool
    ) -> "Settings":
        """What the request says of the model and its options. Raises what the class raises, or NotCanonicalError."""
        prompt = [HumanMessage(_ANY_PROMPT)] if is_chat else _ANY_PROMPT
        _, rest = self._parts(model, prompt, stop, options)
        return Settings(self, _counted(rest, self), canonical(rest))

    def _parts(
        self, model: BaseLanguageModel[Any], prompt: Prompt, stop: Any, options: Mapping[str, Any]
    ) -> tuple[Request, Request]:
        """The prompt's part of a request, and the rest of it."""
        stop = list(stop) if isinstance(stop, list | tuple) else stop
        rest = dict(self.build(model, prompt, stop, copy_plain(dict(options))))
        return {name: rest.pop(name) for name in self.prompt if name in rest}, rest


@dataclass(frozen=True, slots=True, eq=False)
class Settings:
    """What a family's request says of a model and of the options of a call: `request`, as it counts.

    `raw` is the same as it was built, in canonical form.
    """

    family: Family
    request: Request
    raw: bytes
    _forms: dict[tuple[type, ...], list[bytes]] = field(default_factory=dict)  # by the classes of a prompt's messages

    def prompt_part(
        self, model: BaseLanguageModel[Any], prompt: Prompt, stop: Any, options: Mapping[str, Any]
    ) -> bytes:
        """What the prompt makes of the request, canonical. Raises what the class raises, or NotCanonicalError."""
        texts = _texts(prompt) if tells_all(type(model)) else None
        if texts is None:
            return self._built(model, prompt, stop, options)
        kinds = tuple(map(type, prompt))
        if (form := self._forms.get(kinds)) is None:
            marked = [kind(content=mark) for kind, mark in zip(kinds, _MARKS, strict=False)]
            form = self._forms[kinds] = _split(self._built(model, marked, stop, options), len(kinds))
        if len(form) == 1:
            return self._built(model, prompt, stop, options)
        parts = [form[0]]
        for text, piece in zip(texts, form[1:], strict=True):
            parts += canonical(text), piece
        return b"".join(parts)

    def _built(self, model: BaseLanguageModel[Any], prompt: Prompt, stop: Any, options: Mapping[str, Any]) -> bytes:
        """As `prompt_part`, from a request that is built with these messages."""
        part, rest = self.family._parts(model, prompt, stop, options)  # noqa: SLF001 - one of us
        if self.family.is_of_objects:
            part = {name: counted_value(name, value) for name, value in part.items()}
        if canonical(rest) != self.raw:  # the messages have changed more: they refer to an earlier response, say
            part["!rest"] = _difference(_counted(rest, self.family), self.request)
        return canonical(part)


def _texts(prompt: Prompt) -> list[str] | None:
    """The texts of the few messages of a person's and of a system that are nothing but a text; None where others are among them."""
    if len(prompt) > len(_MARKS) or isinstance(prompt, str):
        return None
    texts = []
    for message in prompt:
        values = message.__dict__
        text = values["content"]
        if type(message) not in _TEXT_ALONE or type(text) is not str or not text:
            return None
        if message.__pydantic_extra__ or any(
            values[name] for name in ("additional_kwargs", "response_metadata", "name")
        ):
            return None
        texts.append(text)
    return texts


def _split(part: bytes, number: int) -> list[bytes]:
    """`part` around each of the marks in it; one piece where they don't all stand there once, in their order."""
    pieces = []
    for mark in _MARKS[:number]:
        before, found, part = part.partition(canonical(mark))
        if not found or canonical(mark) in part:
            return [b""]
        pieces.append(before)
    return [*pieces, part]


def _counted(rest: Request, family: Family) -> Request:
    """What of a request counts: the body as it is sent, and apart from it the headers and the query of this call."""
    body = {name: value for name, value in rest.items() if name not in family.dropped}
    headers = query = None
    if family.takes_extras:
        headers, query = body.pop("extra_headers", None), body.pop("extra_query", None)
        body |= body.pop("extra_body", None) or {}
    if family.drops_none:
        body = {name: value for name, value in body.items() if value is not None}
    counts = counted_body(body, family.dialect)
    if isinstance(headers, Mapping) and (counted := counted_headers(headers)):
        counts["!headers"] = counted
    if isinstance(query, Mapping) and query:
        counts["!query"] = counted_query(query)
    return counts


# How each family builds its request


def _openai(model: Any, prompt: Any, stop: Any, options: Request) -> Request:
    """With `type` only where it says something: of the Responses API's messages it needn't be sent."""
    request: Request = model._get_request_payload(prompt, stop=stop, **options)  # noqa: SLF001
    for item in request["input"] if isinstance(request.get("input"), list) else ():
        if item.get("type") == "message" and "role" in item:
            del item["type"]
    return request


def _openai_text(model: Any, prompt: Any, stop: Any, options: Request) -> Request:
    """Without the limit that is the class's default: then the call sets none of its own."""
    params = {**model._invocation_params, **options, "prompt": prompt}  # noqa: SLF001
    if params.get("max_tokens") == type(model).model_fields["max_tokens"].default:
        del params["max_tokens"]
    return params if stop is None else {**params, "stop": stop}


def _anthropic(model: Any, prompt: Any, stop: Any, options: Request) -> Request:
    """Without a limit that the class works out from the model's name: each release does so differently."""
    request: Request = model._get_request_payload(prompt, stop=stop, **options)  # noqa: SLF001
    try:
        filled_in = type(model).set_default_max_tokens({"model": request["model"]})["max_tokens"]
    except Exception:  # noqa: BLE001 - not LangChain's public API: without it the value counts
        return request
    if request.get("max_tokens") == filled_in:
        del request["max_tokens"]
    return request


def _google(model: Any, prompt: Any, stop: Any, options: Request) -> Request:
    options["cached_content"] = options.get("cached_content") or model.cached_content  # as it does itself
    request = model._prepare_request(list(prompt), stop=stop, **options)  # noqa: SLF001
    config = {name: value for name, value in vars(request["config"]).items() if value is not None and name != "labels"}
    if (http := config.pop("http_options", None)) is not None:
        told = {name: value for name, value in vars(http).items() if value is not None}
        sent = {name: value for name, value in told.items() if name not in {"timeout", "retry_options", "headers"}}
        config |= {"http_options": sent} if sent else {}
        request["extra_headers"] = told.get("headers")
    system = config.pop("system_instruction", None)
    return {**request, "config": config, **({} if system is None else {"system_instruction": system})}


def _of_dicts(model: Any, prompt: Any, stop: Any, options: Request) -> Request:
    """ChatMistralAI and ChatGroq."""
    messages, params = model._create_message_dicts(list(prompt), stop)  # noqa: SLF001
    return {**params, **options, "messages": messages}


def _ollama(model: Any, prompt: Any, stop: Any, options: Request) -> Request:
    return model._chat_params(list(prompt), stop, **options)  # type: ignore[no-any-return]  # noqa: SLF001


def _ollama_text(model: Any, prompt: Any, stop: Any, options: Request) -> Request:
    request = model._generate_params(prompt, stop=stop, **options)  # noqa: SLF001
    sent = {name: value for name, value in dict(request["options"]).items() if value is not None}
    return {**request, "options": sent}


class _Handed(BaseException):
    """What a class hands to its client."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self.request = request


class _StandIn:
    """In the place of a client of AWS: what it is handed goes no further."""

    def __init__(self, client: Any) -> None:
        self.meta = getattr(client, "meta", None)

    def converse(self, **request: Any) -> Any:
        raise _Handed(request)


def _bedrock(model: Any, prompt: Any, stop: Any, options: Request) -> Request:
    """ChatBedrockConverse builds its request on the way to its client: the class's own code, on a copy of the model."""
    twin = copy.copy(model)
    twin.__dict__["client"] = _StandIn(model.client)
    try:
        _owner(type(model), "ChatBedrockConverse")._generate(twin, list(prompt), stop, **options)  # noqa: SLF001
    except _Handed as handed:
        request = handed.request
        request.pop("requestMetadata", None)  # of AWS's logs alone
        return request
    raise TypeError("nothing was handed to the client")


def _owner(cls: type, name: str) -> Any:
    return next(base for base in cls.__mro__ if base.__name__ == name)


# Which family a class is of

_OPENAI = Family(
    _openai,
    ("messages", "input"),
    frozenset(
        {
            *("client", "async_client", "root_client", "root_async_client", "http_client", "http_async_client"),
            *("model_name", "temperature", "model_kwargs", "openai_api_key", "openai_api_base", "openai_organization"),
            *("openai_proxy", "request_timeout", "stream_usage", "max_retries", "presence_penalty", "streaming"),
            *("frequency_penalty", "seed", "logprobs", "top_logprobs", "logit_bias", "n", "top_p", "max_tokens"),
            *("reasoning_effort", "reasoning", "verbosity", "tiktoken_model_name", "default_headers", "default_query"),
            *("http_socket_options", "stream_chunk_timeout", "stop", "extra_body", "disabled_params"),
            *("context_management", "include", "prompt_cache_options", "service_tier", "store", "truncation"),
            *("use_previous_response_id", "use_responses_api", "azure_endpoint", "deployment_name"),
            *("openai_api_version", "azure_ad_token", "azure_ad_token_provider", "azure_ad_async_token_provider"),
            *("openai_api_type", "validate_base_url"),
        }
    ),
)
_OPENAI_TEXT = Family(
    _openai_text,
    ("prompt",),
    _OPENAI.fields | {"best_of", "batch_size", "allowed_special", "disallowed_special"},
)
_ANTHROPIC = Family(
    _anthropic,
    ("system", "messages"),
    frozenset(
        {
            *("model", "max_tokens", "temperature", "top_k", "top_p", "default_request_timeout", "max_retries"),
            *("stop_sequences", "anthropic_api_url", "anthropic_api_key", "anthropic_proxy", "default_headers"),
            *("betas", "model_kwargs", "streaming", "stream_usage", "thinking", "output_config", "reasoning_effort"),
            *("mcp_servers", "context_management", "container", "reuse_last_container", "inference_geo"),
            "user_profile_id",
        }
    ),
    dialect="anthropic",
)
_GOOGLE = Family(
    _google,
    ("system_instruction", "contents"),
    frozenset(
        {
            *("google_api_key", "credentials", "vertexai", "project", "location", "base_url", "additional_headers"),
            *("client_args", "api_version", "model", "temperature", "frequency_penalty", "presence_penalty", "top_p"),
            *("top_k", "max_output_tokens", "n", "max_retries", "timeout", "response_modalities", "media_resolution"),
            *("image_config", "thinking_budget", "include_thoughts", "safety_settings", "seed", "labels", "client"),
            *("default_metadata", "streaming", "convert_system_message_to_human", "stop", "response_mime_type"),
            *("response_schema", "reasoning_effort", "thinking_config", "cached_content"),
        }
    ),
    dialect="google",
    is_of_objects=True,
)
_SAMPLING = frozenset(
    {
        *("model", "reasoning", "mirostat", "mirostat_eta", "mirostat_tau", "num_ctx", "num_gpu", "num_thread"),
        *("num_predict", "repeat_last_n", "repeat_penalty", "temperature", "seed", "logprobs", "top_logprobs", "stop"),
        *("tfs_z", "top_k", "top_p", "format", "keep_alive", "base_url", "validate_model_on_init"),
        *("client_kwargs", "async_client_kwargs", "sync_client_kwargs"),
    }
)
_OLLAMA = Family(_ollama, ("messages",), _SAMPLING, frozenset({"stream", "timeout"}), "ollama", drops_none=True)
_OLLAMA_TEXT = Family(_ollama_text, ("prompt",), _SAMPLING, frozenset({"stream", "timeout"}), "ollama", drops_none=True)
_GROQ = Family(
    _of_dicts,
    ("messages",),
    frozenset(
        {
            *("client", "async_client", "model_name", "temperature", "stop", "reasoning_format", "reasoning_effort"),
            *("model_kwargs", "groq_api_key", "groq_api_base", "groq_proxy", "request_timeout", "max_retries"),
            *("streaming", "n", "max_tokens", "service_tier", "default_headers", "default_query", "http_client"),
            "http_async_client",
        }
    ),
)
_MISTRAL = Family(  # all that it is called with goes into the body
    _of_dicts,
    ("messages",),
    frozenset(
        {
            *("client", "async_client", "mistral_api_key", "endpoint", "max_retries", "timeout", "model", "stop"),
            *("max_concurrent_requests", "temperature", "max_tokens", "top_p", "random_seed", "safe_mode"),
            *("streaming", "model_kwargs"),
        }
    ),
    frozenset({"stream"}),
    takes_extras=False,
)
_BEDROCK = Family(
    _bedrock,
    ("system", "messages"),
    frozenset(
        {
            *("client", "bedrock_client", "model_id", "system", "max_tokens", "stop_sequences", "temperature"),
            *("top_p", "region_name", "credentials_profile_name", "aws_access_key_id", "aws_secret_access_key"),
            *("aws_session_token", "bedrock_api_key", "streaming", "endpoint_url", "timeout", "max_retries"),
            *("guardrail_config", "additional_model_request_fields", "reasoning_effort", "request_metadata"),
            *("additional_model_response_field_paths", "supports_tool_choice_values", "performance_config"),
            *("service_tier", "output_config", "guard_last_turn_only", "raw_blocks", "config"),
        }
    ),
    dialect="bedrock",
)
_FAMILIES: dict[tuple[str, str], Family] = {
    ("langchain_openai", "BaseChatOpenAI"): _OPENAI,
    ("langchain_openai", "BaseOpenAI"): _OPENAI_TEXT,
    ("langchain_anthropic", "ChatAnthropic"): _ANTHROPIC,
    ("langchain_google_genai", "ChatGoogleGenerativeAI"): _GOOGLE,
    ("langchain_ollama", "ChatOllama"): _OLLAMA,
    ("langchain_ollama", "OllamaLLM"): _OLLAMA_TEXT,
    ("langchain_groq", "ChatGroq"): _GROQ,
    ("langchain_mistralai", "ChatMistralAI"): _MISTRAL,
    ("langchain_aws", "ChatBedrockConverse"): _BEDROCK,
}
# Classes of which the request tells all. Others of a family, subclasses of somebody's, may do more than that.
_TELL_ALL = {
    ("langchain_openai", "ChatOpenAI"),
    ("langchain_openai", "AzureChatOpenAI"),
    ("langchain_openai", "OpenAI"),
    ("langchain_openai", "AzureOpenAI"),
    ("langchain_deepseek", "ChatDeepSeek"),
    *(name for name in _FAMILIES if not name[1].startswith("Base")),
}


def family_of(cls: type) -> Family | None:
    """The family of a model's class, or None where nobody knows how it builds its request."""
    for base in cls.__mro__:
        if (family := _FAMILIES.get((base.__module__.partition(".")[0], base.__name__))) is not None:
            return None if is_users_code(base) else family
    return None


def tells_all(cls: type) -> bool:
    """Whether the request of such a model tells all that counts of it."""
    return (cls.__module__.partition(".")[0], cls.__name__) in _TELL_ALL


def can_be_built(family: Family, prompt: str) -> bool:
    """Whether a request with these messages can be built without fetching anything, and shows all of them.

    Of an object in a prompt LangChain tells only how it prints.
    """
    if '"not_implemented"' in prompt:
        return False
    return not family.is_of_objects or not any(mark in prompt for mark in _FETCHED)


def _difference(request: Mapping[str, Any], settings: Mapping[str, Any]) -> Request:
    """The fields of a request that differ from those of `settings`; null where it has them not."""
    names = [*request, *(name for name in settings if name not in request)]
    return {
        name: request.get(name)
        for name in names
        if name not in request or name not in settings or canonical(request[name]) != canonical(settings[name])
    }


def shown(part: Mapping[str, Any]) -> str:
    """What a prompt makes of a request, as a prompt that people read: a text, or the messages in JSON."""
    if isinstance(part.get("prompt"), str):
        return str(part["prompt"])
    system = part.get("system") or part.get("system_instruction")
    said: Any = next((part[name] for name in ("messages", "input", "contents") if name in part), [])
    messages = [_readable(item) for item in (said if isinstance(said, list) else [{"role": "user", "content": said}])]
    if isinstance(system, Mapping):
        system = system.get("parts")
    return json.dumps([*([{"role": "system", "content": system}] if system else []), *messages], ensure_ascii=False)


def _readable(message: Any) -> Any:
    """A message with what Google calls its parts as its content, as the others do."""
    if isinstance(message, Mapping) and "parts" in message:
        return {"role": message.get("role"), "content": message["parts"]}
    return message


def messages_in(prompt: str) -> list[BaseMessage] | None:
    """The messages that LangChain wrote as `prompt`; None where it holds anything else, of which nothing is made."""
    try:
        parts = json.loads(prompt)
        if any(part["type"] != "constructor" or _holds_object(part["kwargs"]) for part in parts):
            return None
        return [MESSAGES[part["id"][-1]](**part["kwargs"]) for part in parts]
    except Exception:  # noqa: BLE001 - whatever is in it: then it counts as it is written
        return None


def _holds_object(value: Any) -> bool:
    if isinstance(value, dict):
        return "lc" in value or any(map(_holds_object, value.values()))
    return isinstance(value, list) and any(map(_holds_object, value))
