"""Which classes of LangChain's providers can build their request, and how: each by a method of its own.

A class that isn't listed here counts by its fields (`model_fields`).
"""

import copy
import functools
from typing import Any

from nbcache.keys.canonical import is_users_code
from nbcache.keys.provider_requests.request_parts import Body, Family


def _openai(model: Any, prompt: Any, stop: Any, options: Body) -> Body:
    """Remove `type` from messages of the Responses API, where it is optional."""
    request: Body = model._get_request_payload(prompt, stop=stop, **options)  # noqa: SLF001
    for item in request["input"] if isinstance(request.get("input"), list) else ():
        if item.get("type") == "message" and "role" in item:
            del item["type"]
    return request


def _openai_text(model: Any, prompt: Any, stop: Any, options: Body) -> Body:
    """Remove a limit of tokens that is the class's default: then the caller has set none."""
    params = {**model._invocation_params, **options, "prompt": prompt}  # noqa: SLF001
    if params.get("max_tokens") == type(model).model_fields["max_tokens"].default:
        del params["max_tokens"]
    return params if stop is None else {**params, "stop": stop}


def _anthropic(model: Any, prompt: Any, stop: Any, options: Body) -> Body:
    """Remove a limit of tokens that the class computes from the model's name: each release does so differently."""
    request: Body = model._get_request_payload(prompt, stop=stop, **options)  # noqa: SLF001
    try:
        default = type(model).set_default_max_tokens({"model": request["model"]})["max_tokens"]
    except Exception:  # noqa: BLE001 - not LangChain's public API: without it the value counts
        return request
    if request.get("max_tokens") == default:
        del request["max_tokens"]
    return request


def _google(model: Any, prompt: Any, stop: Any, options: Body) -> Body:
    options["cached_content"] = options.get("cached_content") or model.cached_content  # as it does itself
    request = model._prepare_request(list(prompt), stop=stop, **options)  # noqa: SLF001
    config = {name: value for name, value in vars(request["config"]).items() if value is not None and name != "labels"}
    if (http := config.pop("http_options", None)) is not None:
        http_options = {name: value for name, value in vars(http).items() if value is not None}
        sent = {
            name: value for name, value in http_options.items() if name not in {"timeout", "retry_options", "headers"}
        }
        config |= {"http_options": sent} if sent else {}
        request["extra_headers"] = http_options.get("headers")
    system = config.pop("system_instruction", None)
    return {**request, "config": config, **({} if system is None else {"system_instruction": system})}


def _message_dicts(model: Any, prompt: Any, stop: Any, options: Body) -> Body:
    """ChatMistralAI and ChatGroq."""
    messages, params = model._create_message_dicts(list(prompt), stop)  # noqa: SLF001
    return {**params, **options, "messages": messages}


def _ollama(model: Any, prompt: Any, stop: Any, options: Body) -> Body:
    return model._chat_params(list(prompt), stop, **options)  # type: ignore[no-any-return]  # noqa: SLF001


def _ollama_text(model: Any, prompt: Any, stop: Any, options: Body) -> Body:
    request = model._generate_params(prompt, stop=stop, **options)  # noqa: SLF001
    sent = {name: value for name, value in dict(request["options"]).items() if value is not None}
    return {**request, "options": sent}


class _RequestBuilt(BaseException):
    """Carries the request that a class passes to its client."""

    def __init__(self, request: Body) -> None:
        super().__init__()
        self.request = request


class _OfflineClient:
    """Takes the place of a client of AWS, and sends nothing."""

    def __init__(self, client: Any) -> None:
        self.meta = getattr(client, "meta", None)

    def converse(self, **request: Any) -> Any:
        raise _RequestBuilt(request)


def _bedrock(model: Any, prompt: Any, stop: Any, options: Body) -> Body:
    """ChatBedrockConverse builds its request while it calls its client. So it runs on a copy, with a client that sends nothing."""
    twin = copy.copy(model)
    twin.__dict__["client"] = _OfflineClient(model.client)
    try:
        _base_named(type(model), "ChatBedrockConverse")._generate(twin, list(prompt), stop, **options)  # noqa: SLF001
    except _RequestBuilt as built:
        request = built.request
        request.pop("requestMetadata", None)  # only for AWS's logs
        return request
    raise TypeError("the client was not called")


def _base_named(cls: type, name: str) -> Any:
    return next(base for base in cls.__mro__ if base.__name__ == name)


# The families, and their classes

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
    has_objects=True,
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
    _message_dicts,
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
_MISTRAL = Family(  # all options of a call are sent in the body
    _message_dicts,
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
# Classes whose request contains all that counts. Other classes of a family are subclasses that may do more.
_FULLY_DESCRIBED = {
    ("langchain_openai", "ChatOpenAI"),
    ("langchain_openai", "AzureChatOpenAI"),
    ("langchain_openai", "OpenAI"),
    ("langchain_openai", "AzureOpenAI"),
    ("langchain_deepseek", "ChatDeepSeek"),
    *(name for name in _FAMILIES if not name[1].startswith("Base")),
}
# Classes that convert each message by itself: no message becomes another for those around it.
_BY_MESSAGE = {
    ("langchain_openai", "ChatOpenAI"),
    ("langchain_openai", "AzureChatOpenAI"),
    ("langchain_groq", "ChatGroq"),
    ("langchain_mistralai", "ChatMistralAI"),
    ("langchain_ollama", "ChatOllama"),
}


@functools.lru_cache(maxsize=64)  # a hit asks
def family_of(cls: type) -> Family | None:
    """The family of a model's class. None if it is not known how the class builds its request."""
    for base in cls.__mro__:
        if (family := _FAMILIES.get(_name_of(base))) is not None:
            return None if is_users_code(base) else family
    return None


def is_fully_described(cls: type) -> bool:
    """Whether the request of such a model contains all that counts of it."""
    return _name_of(cls) in _FULLY_DESCRIBED


def converts_by_message(cls: type) -> bool:
    """Whether such a model converts each message by itself."""
    return _name_of(cls) in _BY_MESSAGE


def _name_of(cls: type) -> tuple[str, str]:
    """The package and the name of a class."""
    return cls.__module__.partition(".")[0], cls.__name__
