"""Whose prices apply to a call: known from where it was sent, else from the class of its model."""

import functools
import re
from typing import Any
from urllib.parse import urlsplit

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
    "voyageai": ("api.voyageai.com",),
    "x-ai": ("api.x.ai",),
}
_DOMAINS = {domain: provider for provider, domains in _FOUND_AT.items() for domain in domains}
# Hosts that answer in one region, and the models that cost more there than is listed, or may.
_REGIONAL = {
    "google": (
        re.compile(r"//(?!aiplatform\.googleapis\.com)[\w.-]*aiplatform[\w.-]*\.googleapis\.com"),
        re.compile("claude"),
    ),
    "openai": (
        re.compile(r"//[\w-]+\.api\.openai\.com"),
        re.compile(r"(?!gpt-[34]|chatgpt-4o|o\d|ft:gpt-[34]|text-embedding)"),
    ),
}
# This machine, from within a container too.
_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1|0\.0\.0\.0|host\.docker\.internal")


def class_names(kind: Any) -> tuple[str, ...]:
    """The names of a model's class: without its module, and without the digests of its code."""
    names = kind[:2] if isinstance(kind, list) else [kind]
    return tuple(name.rpartition(".")[2] for name in names if isinstance(name, str))


@functools.lru_cache(maxsize=256)
def provider_of(names: tuple[str, ...], endpoint: str) -> tuple[str | None, bool]:
    """Whose prices apply, and whether the model runs on this machine, where nobody charges for it.

    The address says more than the class, since many servers speak OpenAI's language.
    """
    provider = next((_PROVIDERS[name] for name in names if name in _PROVIDERS), None)
    hosts = {_host(url) for url in endpoint.split()}
    if provider == "ollama" and all(map(_LOOPBACK.fullmatch, hosts)):
        return provider, True
    if hosts:
        owners = {_owner(host) for host in hosts}
        provider = owners.pop() if len(owners) == 1 else None
    return provider, False


def costs_more_there(provider: str | None, endpoint: str, model: str) -> bool:
    """Whether this model may cost more than its list price where the call was sent: at a host that answers in one region."""
    if provider not in _REGIONAL:
        return False
    hosts, models = _REGIONAL[provider]
    return hosts.search(endpoint) is not None and models.match(model.lower()) is not None


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
