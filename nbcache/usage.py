"""What a call used: who answered it, with which model, and how many tokens that took.

The n generations of one call each repeat the usage of all of them, so that one is taken and none is summed.
"""

import functools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, Generation

from nbcache.entry import Usage

# A provider's classes, what they tell as their `_type`, and what they answer as `model_provider`.
_KNOWN_AS = {
    "anthropic": ("ChatAnthropic", "AnthropicLLM", "anthropic-chat", "anthropic-llm", "anthropic"),
    "aws": (
        *("ChatBedrock", "ChatBedrockConverse", "BedrockLLM", "ChatAnthropicBedrock", "ChatAnthropicMantle"),
        *("amazon_bedrock", "amazon_bedrock_chat", "amazon_bedrock_converse_chat", "chat-anthropic-bedrock"),
        *("bedrock", "bedrock_converse", "BedrockEmbeddings"),
    ),
    "azure": ("AzureChatOpenAI", "AzureOpenAI", "azure-openai-chat", "azure", "azure_openai", "AzureOpenAIEmbeddings"),
    "cohere": ("ChatCohere", "cohere", "CohereEmbeddings"),
    "deepseek": ("ChatDeepSeek", "chat-deepseek", "deepseek"),
    "fireworks": ("ChatFireworks", "fireworks-chat", "fireworks", "FireworksEmbeddings"),
    "google": (
        *("ChatGoogleGenerativeAI", "GoogleGenerativeAI", "ChatVertexAI", "VertexAI", "ChatAnthropicVertex"),
        *("chat-google-generative-ai", "google_gemini", "vertexai", "google_genai", "google_vertexai"),
        *("GoogleGenerativeAIEmbeddings", "VertexAIEmbeddings"),
    ),
    "groq": ("ChatGroq", "groq-chat", "groq"),
    "mistral": ("ChatMistralAI", "mistralai-chat", "mistralai", "MistralAIEmbeddings"),
    "ollama": ("ChatOllama", "OllamaLLM", "chat-ollama", "ollama-llm", "ollama", "OllamaEmbeddings"),
    "openai": ("ChatOpenAI", "OpenAI", "openai-chat", "openai", "OpenAIEmbeddings"),
    "openrouter": ("ChatOpenRouter", "openrouter"),
    "perplexity": ("ChatPerplexity", "perplexitychat", "perplexity"),
    "together": ("ChatTogether", "together-chat", "together", "TogetherEmbeddings"),
    "x-ai": ("ChatXAI", "xai-chat", "xai"),
}
_PROVIDERS = {name: provider for provider, names in _KNOWN_AS.items() for name in names}
# Where a provider's own list prices apply, at these domains and all below them.
_FOUND_AT = {
    "anthropic": ("api.anthropic.com",),
    "aws": ("amazonaws.com", "api.aws"),
    "azure": ("openai.azure.com", "cognitiveservices.azure.com", "services.ai.azure.com", "azure-api.net"),
    "cerebras": ("api.cerebras.ai",),
    "cohere": ("api.cohere.com", "api.cohere.ai"),
    "deepseek": ("api.deepseek.com",),
    "fireworks": ("api.fireworks.ai",),
    "google": ("googleapis.com",),
    "groq": ("api.groq.com",),
    "mistral": ("api.mistral.ai",),
    "moonshotai": ("api.moonshot.ai",),
    "openai": ("api.openai.com",),
    "openrouter": ("openrouter.ai",),
    "perplexity": ("api.perplexity.ai",),
    "together": ("api.together.xyz", "api.together.ai"),
    "x-ai": ("api.x.ai",),
}
_DOMAINS = {domain: provider for provider, domains in _FOUND_AT.items() for domain in domains}
# This machine, from within a container too.
_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1|0\.0\.0\.0|host\.docker\.internal")
_MODEL = ("model_name", "model", "model_id")
_DEPLOYMENT = ("deployment_name", "azure_deployment")
_TIERS = ("flex", "priority")
_MOST = 2**53  # more tokens than that nobody counted


def usage_of(generations: Sequence[Generation], identity: Mapping[str, Any], endpoint: str) -> Usage:
    """What the call that `generations` answer used; `identity` is its document, `{}` where it is unknown."""
    told = [part for generation in generations for part in _told(generation)]
    asked = [_mapping(identity.get(part)) for part in ("options", "fields", "told")]
    names = (*_class_names(identity.get("class")), _named(told, ("model_provider",)) or "")
    provider, local = _provider(names, endpoint)
    model = _model(told, asked, is_azure=provider == "azure")
    if local and model is not None and model.endswith(("-cloud", ":cloud")):
        local = False  # Ollama hands these on to its own servers
    counts = next(filter(None, map(_counts, generations)), {})
    if "embeds" in identity:
        counts = {"output_tokens": 0}  # a vector is no text: only what goes in is counted, and LangChain tells nothing
    if tier := _service_tier(told):
        counts["service_tier"] = tier
    return Usage(provider, model, local=local, **counts)


def estimated(usage: Usage, prompt: str, answer: str) -> Usage:
    """`usage` with what was not reported worked out from `prompt` and `answer`, as people read them."""
    if usage.complete:
        return usage
    asked, answered = usage.input_tokens, usage.output_tokens
    if asked is None:
        asked = max(_estimate(prompt), usage.cache_read_tokens + usage.cache_write_tokens)
    if answered is None:
        answered = max(_estimate(answer), usage.reasoning_tokens)
    return replace(usage, input_tokens=asked, output_tokens=answered, estimated=True)


def _told(generation: Generation) -> Iterator[dict[str, Any]]:
    message = _message(generation)
    if metadata := _mapping(getattr(message, "response_metadata", None)):
        yield metadata
    if info := _mapping(generation.generation_info):
        yield info


def _class_names(told: Any) -> tuple[str, ...]:
    """The names of a model's class: without its module, and without the digests of its code."""
    names = told[:2] if isinstance(told, list) else [told]
    return tuple(name.rpartition(".")[2] for name in names if isinstance(name, str))


@functools.lru_cache(maxsize=256)
def _provider(names: tuple[str, ...], endpoint: str) -> tuple[str | None, bool]:
    """Whose prices apply, and whether it is nobody's since the model runs on this machine.

    Where calls are sent tells it better than the class: many servers speak OpenAI's language.
    """
    provider = next((_PROVIDERS[name] for name in names if name in _PROVIDERS), None)
    hosts = {_host(url) for url in endpoint.split()}
    if provider == "ollama" and all(map(_LOOPBACK.fullmatch, hosts)):
        return provider, True
    if hosts:
        owners = {_owner(host) for host in hosts}
        provider = owners.pop() if len(owners) == 1 else None
    return provider, False


def _host(url: str) -> str:
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
        host, port = parts.hostname or url, parts.port
    except ValueError:
        return url
    if "." in host or _LOOPBACK.fullmatch(host):
        return host
    return f"{host}:{port or parts.scheme}"  # a container may be called `openai`


def _owner(host: str) -> str:
    """The provider at `host`, else the host itself, which has no list price."""
    labels = host.split(".")
    owner = next(filter(None, (_DOMAINS.get(".".join(labels[i:])) for i in range(len(labels)))), host)
    return host if owner == "aws" and "bedrock" not in host else owner


def _model(told: list[dict[str, Any]], asked: list[dict[str, Any]], *, is_azure: bool) -> str | None:
    """What answered, else what was asked for. An Azure deployment's name says nothing of the model in it."""
    answered, wanted = _named(told, _MODEL), _named(asked, _MODEL)
    if is_azure:
        deployment = _named(asked, _DEPLOYMENT) or wanted
        answered, wanted = (None if name == deployment else name for name in (answered, wanted))
    model = answered or wanted
    if model is None or not model.startswith("arn:"):
        return model and model.removeprefix("models/")
    base = _named(asked, ("base_model_id",)) if "inference-profile" in model else None
    return base or model.rpartition("/")[2]


def _service_tier(told: list[dict[str, Any]]) -> str | None:
    for part in told:
        places = (part, _mapping(part.get("usage")), _mapping(part.get("token_usage")))
        if tier := _named(places, ("service_tier",)) or _named((_mapping(part.get("serviceTier")),), ("type",)):
            return tier
    return None


def _counts(generation: Generation) -> dict[str, Any] | None:
    """The tokens that a generation reports, as the arguments of a `Usage`; None where it reports none."""
    usage = _mapping(getattr(_message(generation), "usage_metadata", None))
    counts = _standard(usage)
    if counts is None:
        counts = next(filter(None, _reports(generation)), None)
    elif not usage.get("input_token_details"):  # ChatMistralAI drops them
        report = next(filter(None, _reports(generation)), None)
        if report is not None and report["input_tokens"] == counts["input_tokens"]:
            counts = {name: count or report.get(name) for name, count in counts.items()}
    if counts is not None:
        _mend(counts, generation)
    return counts


def _mend(counts: dict[str, Any], generation: Generation) -> None:
    """Take back the zeros that stand for what was not reported, and add parts to a whole that leaves them out."""
    asked, answered = counts["input_tokens"], counts["output_tokens"]
    if not (asked and answered):
        says_something = _says_something(generation)
        if says_something or answered:
            counts["input_tokens"] = asked = asked or None  # no prompt is empty
        if says_something:
            counts["output_tokens"] = answered = answered or None
    cached = counts["cache_read_tokens"] + counts["cache_write_tokens"]
    if asked is not None and asked < cached:
        counts["input_tokens"] = asked + cached
    if answered is not None and answered < counts["reasoning_tokens"]:
        counts["output_tokens"] = answered + counts["reasoning_tokens"]


def _reports(generation: Generation) -> Iterator[dict[str, Any] | None]:
    """The counts that stand in a generation's metadata, in the order in which they are to be believed."""
    for part in _told(generation):
        yield _standard(_mapping(part.get("usage_metadata")))  # LLM classes of Google's and Bedrock's
        yield _raw(_mapping(part.get("token_usage")))
        yield _raw(_mapping(part.get("usage")))
        yield _raw(part)  # Ollama's


def _standard(usage: dict[str, Any]) -> dict[str, Any] | None:
    """LangChain's `usage_metadata`. Of a hit it may be no more than `{"total_cost": 0}`."""
    if not usage:
        return None
    asked, answered = _count(usage.get("input_tokens")), _count(usage.get("output_tokens"))
    if asked is None and answered is None:
        return None
    details, answer_details = _mapping(usage.get("input_token_details")), _mapping(usage.get("output_token_details"))
    tier = next((tier for tier in _TIERS if tier in details or tier in answer_details), None)
    written_1h = _part(details, "ephemeral_1h_input_tokens")
    return {
        "input_tokens": asked,
        "output_tokens": answered,
        "cache_read_tokens": _part(details, "cache_read", tier),
        "cache_write_tokens": max(
            _part(details, "cache_creation", tier), _part(details, "ephemeral_5m_input_tokens") + written_1h
        ),
        "cache_write_1h_tokens": written_1h,
        "reasoning_tokens": _part(answer_details, "reasoning", tier),
        "input_audio_tokens": _part(details, "audio"),
        "output_audio_tokens": _part(answer_details, "audio"),
        "service_tier": tier,
    }


def _raw(usage: dict[str, Any]) -> dict[str, Any] | None:
    """What providers report themselves: OpenAI and all that speak its language, Anthropic, Ollama."""
    if not usage:
        return None
    asked = _first(usage, "prompt_tokens", "input_tokens", "prompt_eval_count")
    answered = _first(usage, "completion_tokens", "output_tokens", "eval_count")
    if asked is None and answered is None:
        return None
    details = _mapping(usage.get("prompt_tokens_details") or usage.get("input_tokens_details"))
    answer_details = _mapping(usage.get("completion_tokens_details") or usage.get("output_tokens_details"))
    read = _part(details, "cached_tokens") or _part(usage, "cache_read_input_tokens")
    written_1h = _part(_mapping(usage.get("cache_creation")), "ephemeral_1h_input_tokens")
    written = _part(details, "cache_write_tokens") or _part(usage, "cache_creation_input_tokens")
    if asked is not None and "prompt_tokens" not in usage and not details:
        asked += read + max(written, written_1h)  # Anthropic doesn't count them
    return {
        "input_tokens": asked,
        "output_tokens": answered,
        "cache_read_tokens": read,
        "cache_write_tokens": max(written, written_1h),
        "cache_write_1h_tokens": written_1h,
        "reasoning_tokens": _part(answer_details, "reasoning_tokens") or _part(answer_details, "thinking_tokens"),
        "input_audio_tokens": _part(details, "audio_tokens"),
        "output_audio_tokens": _part(answer_details, "audio_tokens"),
    }


def _says_something(generation: Generation) -> bool:
    message = _message(generation)
    return bool(generation.text or getattr(message, "content", "") or getattr(message, "tool_calls", ()))


def _message(generation: Generation) -> BaseMessage | None:
    return generation.message if isinstance(generation, ChatGeneration) else None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _named(parts: Iterable[dict[str, Any]], names: Sequence[str]) -> str | None:
    for part in parts:
        for name in names:
            value = part.get(name)
            if value and isinstance(value, str):
                return value
    return None


def _count(value: Any) -> int | None:
    if type(value) is int or (type(value) is float and value.is_integer()):
        return int(value) if 0 <= value < _MOST else None
    return None


def _first(usage: dict[str, Any], *names: str) -> int | None:
    return next((count for name in names if (count := _count(usage.get(name))) is not None), None)


def _part(details: dict[str, Any], name: str, tier: str | None = None) -> int:
    """A part of the tokens; langchain-openai puts the service tier before the names of some."""
    count = _count(details.get(name)) or 0
    return count + (_count(details.get(f"{tier}_{name}")) or 0) if tier else count


# Words, numbers, runs of another script, one sign repeated, signs, and the breaks that are tokens of their own.
_WORDS = re.compile(
    r"[A-Za-z\u00c0-\u024f]+|[0-9]{1,3}|[^\x00-\x7f\u00c0-\u024f]+|([^\w\s])\1{3,}|[^\w\s]+|_|\n+|[^\S\n]{2,}| (?=[0-9])"
)
_SAMPLED, _SAMPLES = 40_000, 8


def _estimate(text: str) -> int:
    """About as many tokens as OpenAI's vocabularies make of `text`, without them: they would have to be downloaded.

    Of a long text some pieces stand for all of it.
    """
    share = 1.0
    if len(text) > _SAMPLED:
        step, size = len(text) // _SAMPLES, _SAMPLED // _SAMPLES
        share = len(text) / _SAMPLED
        text = "\n".join(text[i * step : i * step + size] for i in range(_SAMPLES))
    return math.ceil(share * sum(map(_weight, (match[0] for match in _WORDS.finditer(text)))))


def _weight(piece: str) -> float:
    """The tokens of one piece of a text, on average."""
    first, length = piece[0], len(piece)
    if piece.isascii():
        if first.isalpha():
            return 1 + max(0, length - 6) / 5
        if first.isspace():
            return 0.8  # the end of a sentence takes a line break with it
        if first == "_":
            return 0.3  # part of the word that follows
        return 1 if first.isdigit() or piece == first * length else 1 + (length - 1) / 4
    letters_per_token = 3.8 if first < "\u0900" else 3.0 if first < "\u0f00" else 1.25
    return max(1.0, length / letters_per_token)
