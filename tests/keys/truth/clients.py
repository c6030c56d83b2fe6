"""The clients whose calls are generated, each with what it needs to be made, and the names that its calls may hold."""

import importlib
import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import nbcache

_OPENAI = (
    *("temperature", "top_p", "n", "seed", "max_tokens", "max_completion_tokens", "stop", "logprobs", "top_logprobs"),
    *("presence_penalty", "frequency_penalty", "logit_bias", "service_tier", "reasoning_effort", "verbosity", "store"),
    *("response_format", "tool_choice", "parallel_tool_calls", "prediction", "modalities", "audio", "model"),
    *(
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "metadata",
        "timeout",
        "extra_headers",
        "extra_query",
        "extra_body",
    ),
)
_RESPONSES = ("reasoning", "text", "truncation", "include", "previous_response_id", "instructions", "max_output_tokens")


@dataclass(frozen=True)
class Client:
    """A class of LangChain's: where it is, what it is made with, and options of its calls that are no fields of it.

    `skips` are fields of no interest here, or that this process can't set. `share` is how many of the calls are made,
    from 0 to 1, where a client takes long to be made. `address` is the field that says where requests go.
    """

    name: str
    place: str
    base: Mapping[str, Any]
    options: tuple[str, ...] = ()
    kind: str = "chat"  # or "text", or "embeddings"
    skips: frozenset[str] = field(default_factory=frozenset)
    share: float = 1.0
    address: str = "base_url"

    @property
    def cls(self) -> Any:
        """The class."""
        module, _, name = self.place.rpartition(".")
        return getattr(importlib.import_module(module), name)

    def make(self, **settings: Any) -> Any:
        """A model as a notebook makes one, with these settings besides."""
        model = self.cls(**{**self.base, **settings})
        return nbcache.wrap(model) if self.kind == "embeddings" else model

    def ask(self, model: Any, prompt: Any, **options: Any) -> object:
        """Call the model."""
        return model.embed_query(prompt, **options) if self.kind == "embeddings" else model.invoke(prompt, **options)


_KEY = "sk-test"
_ALL = (
    Client("ChatOpenAI", "langchain_openai.ChatOpenAI", {"model": "gpt-4o", "api_key": _KEY}, _OPENAI),
    Client(
        *("ChatOpenAI, responses", "langchain_openai.ChatOpenAI"),
        {"model": "gpt-4o", "api_key": _KEY, "use_responses_api": True},
        _OPENAI + _RESPONSES,
        skips=frozenset({"use_responses_api"}),
    ),
    Client(
        *("AzureChatOpenAI", "langchain_openai.AzureChatOpenAI"),
        {
            "azure_deployment": "gpt-4o",
            "azure_endpoint": "https://one.example",
            "api_version": "2024-10-21",
            "api_key": _KEY,
        },
        _OPENAI,
        address="azure_endpoint",
    ),
    Client(
        *("OpenAI", "langchain_openai.OpenAI"),
        {"model": "gpt-3.5-turbo-instruct", "api_key": _KEY},
        (*_OPENAI, "suffix", "echo", "best_of"),
        kind="text",
    ),
    Client("ChatDeepSeek", "langchain_deepseek.ChatDeepSeek", {"model": "deepseek-chat", "api_key": _KEY}, _OPENAI),
    Client(
        *("ChatAnthropic", "langchain_anthropic.ChatAnthropic"),
        {"model": "claude-sonnet-4-5", "api_key": _KEY},
        (
            *(
                "temperature",
                "top_p",
                "top_k",
                "max_tokens",
                "stop_sequences",
                "thinking",
                "tool_choice",
                "service_tier",
            ),
            *(
                "metadata",
                "container",
                "context_management",
                "mcp_servers",
                "betas",
                "system",
                "inference_geo",
                "output_config",
            ),
            *("timeout", "extra_headers", "extra_query", "extra_body", "model"),
        ),
    ),
    Client(
        *("ChatGoogleGenerativeAI", "langchain_google_genai.ChatGoogleGenerativeAI"),
        {"model": "gemini-2.5-flash", "api_key": _KEY},
        (
            *("temperature", "top_p", "top_k", "max_output_tokens", "seed", "stop", "safety_settings", "tool_choice"),
            *(
                "generation_config",
                "response_mime_type",
                "response_schema",
                "cached_content",
                "thinking_budget",
                "labels",
            ),
            *(
                "candidate_count",
                "presence_penalty",
                "frequency_penalty",
                "logprobs",
                "timeout",
                "model",
                "tool_config",
            ),
        ),
    ),
    Client(
        *("ChatBedrockConverse", "langchain_aws.ChatBedrockConverse"),
        {
            "model": "anthropic.claude-3-haiku-20240307-v1:0",
            "region_name": "us-east-1",
            "aws_access_key_id": "a",
            "aws_secret_access_key": "b",
        },
        (
            *(
                "temperature",
                "top_p",
                "topP",
                "max_tokens",
                "maxTokens",
                "stop",
                "stopSequences",
                "tool_choice",
                "toolChoice",
            ),
            *("guardrailConfig", "guardrail_config", "additionalModelRequestFields", "additional_model_request_fields"),
            *("performanceConfig", "requestMetadata", "request_metadata", "promptVariables", "system", "service_tier"),
        ),
        share=0.3,
        address="endpoint_url",
    ),
    Client(
        *("ChatMistralAI", "langchain_mistralai.ChatMistralAI"),
        {"model": "mistral-small-latest", "api_key": _KEY},
        (
            *(
                "temperature",
                "top_p",
                "max_tokens",
                "random_seed",
                "safe_mode",
                "safe_prompt",
                "stop",
                "response_format",
            ),
            *(
                "tool_choice",
                "presence_penalty",
                "frequency_penalty",
                "n",
                "prediction",
                "prompt_mode",
                "model",
                "metadata",
            ),
        ),
    ),
    Client(
        *("ChatGroq", "langchain_groq.ChatGroq"),
        {"model": "openai/gpt-oss-20b", "api_key": _KEY},
        (*_OPENAI, "reasoning_format", "include_reasoning"),
    ),
    Client(
        *("ChatOllama", "langchain_ollama.ChatOllama"),
        {"model": "llama3"},
        (
            "options",
            "format",
            "think",
            "keep_alive",
            "tools",
            "stop",
            "model",
            "temperature",
            "num_ctx",
            "seed",
            "logprobs",
        ),
    ),
    Client(
        *("OpenAIEmbeddings", "langchain_openai.OpenAIEmbeddings"),
        {"model": "text-embedding-3-small", "api_key": _KEY, "check_embedding_ctx_length": False},
        kind="embeddings",
    ),
    Client(
        *("AzureOpenAIEmbeddings", "langchain_openai.AzureOpenAIEmbeddings"),
        {
            "azure_deployment": "embed",
            "azure_endpoint": "https://one.example",
            "api_version": "2024-10-21",
            "api_key": _KEY,
            "check_embedding_ctx_length": False,
        },
        address="azure_endpoint",
        kind="embeddings",
    ),
    Client("OllamaEmbeddings", "langchain_ollama.OllamaEmbeddings", {"model": "llama3"}, kind="embeddings"),
    Client(
        *("GoogleGenerativeAIEmbeddings", "langchain_google_genai.GoogleGenerativeAIEmbeddings"),
        {"model": "gemini-embedding-001", "api_key": _KEY},
        kind="embeddings",
    ),
    Client(
        *("OllamaLLM", "langchain_ollama.OllamaLLM"),
        {"model": "llama3"},
        (
            "options",
            "format",
            "think",
            "keep_alive",
            "stop",
            "model",
            "temperature",
            "num_ctx",
            "seed",
            "system",
            "suffix",
        ),
        kind="text",
    ),
)


def clients(names: Iterable[str] = ()) -> dict[str, Client]:
    """Those of these names that are installed; all that are, where none is named."""
    wanted = set(names)
    there = (client for client in _ALL if importlib.util.find_spec(client.place.partition(".")[0]))
    return {client.name: client for client in there if not wanted or client.name in wanted}
