"""The clients that are called, by name: each makes a call for a model, streamed or not."""

import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

import anthropic
import openai
from langchain_anthropic import ChatAnthropic
from langchain_aws import ChatBedrock, ChatBedrockConverse
from langchain_core.language_models import BaseChatModel
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_groq import ChatGroq
from langchain_mistralai import ChatMistralAI
from langchain_ollama import ChatOllama
from langchain_openai import AzureChatOpenAI, ChatOpenAI

import nbcache

_KEY: dict[str, Any] = {"api_key": "sk-test"}
_AWS: dict[str, Any] = {"region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
_AZURE: dict[str, Any] = {"azure_endpoint": "https://me.openai.azure.com", "api_version": "2024-10-21", **_KEY}
_COMPATIBLE = {
    "deepseek": "https://api.deepseek.com",
    "google": "https://generativelanguage.googleapis.com/v1beta/openai/",
    "openrouter": "https://openrouter.ai/api/v1",
    "perplexity": "https://api.perplexity.ai",
    "x-ai": "https://api.x.ai/v1",
    "moonshotai": "https://api.moonshot.ai/v1",
}
Ask = Callable[[Any, bool, Mapping[str, Any]], None]


def _at(provider: str, model: str) -> BaseChatModel:
    return ChatOpenAI(model=model, base_url=_COMPATIBLE[provider], stream_usage=True, **_KEY)


_MODELS: dict[str, Callable[[str], BaseChatModel]] = {
    "ChatOpenAI": lambda model: ChatOpenAI(model=model, use_responses_api=False, stream_usage=True, **_KEY),
    "ChatOpenAI, responses": lambda model: ChatOpenAI(model=model, use_responses_api=True, **_KEY),
    "ChatOpenAI, responses, v1": lambda model: ChatOpenAI(
        model=model, use_responses_api=True, output_version="v1", **_KEY
    ),
    "AzureChatOpenAI": lambda model: AzureChatOpenAI(azure_deployment=model, stream_usage=True, **_AZURE),
    "ChatAnthropic": lambda model: ChatAnthropic(model=model, **_KEY),
    "ChatGoogleGenerativeAI": lambda model: ChatGoogleGenerativeAI(model=model, google_api_key="x"),
    "ChatGroq": lambda model: ChatGroq(model=model, **_KEY),
    "ChatMistralAI": lambda model: ChatMistralAI(model_name=model, **_KEY),
    "ChatOllama": lambda model: ChatOllama(model=model),
    "ChatBedrockConverse": lambda model: ChatBedrockConverse(model_id=model, **_AWS),
    "ChatBedrock": lambda model: ChatBedrock(model_id=model, beta_use_converse_api=False, **_AWS),
    **{f"ChatOpenAI at {name}": functools.partial(_at, name) for name in _COMPATIBLE},
}
for _name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "OLLAMA_HOST"):
    os.environ.pop(_name, None)


@functools.cache
def client(name: str, model: str) -> Ask:
    """What calls this client for this model."""
    if name == "openai":
        return _openai(nbcache.wrap(openai.OpenAI(**_KEY)), model)
    if name == "openai, responses":
        return _responses(nbcache.wrap(openai.OpenAI(**_KEY)), model)
    if name == "anthropic":
        return _anthropic(nbcache.wrap(anthropic.Anthropic(**_KEY)), model)
    chat = _MODELS[name](model)

    def ask(prompt: Any, stream: bool, options: Mapping[str, Any]) -> None:
        if stream:
            for _ in chat.stream(prompt, **options):
                pass
        else:
            chat.invoke(prompt, **options)

    return ask


def _openai(sdk: Any, model: str) -> Ask:
    def ask(prompt: Any, stream: bool, options: Mapping[str, Any]) -> None:
        streamed = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
        messages = [{"role": "user", "content": prompt}]
        _read(sdk.chat.completions.create(model=model, messages=messages, **streamed, **options), stream=stream)

    return ask


def _responses(sdk: Any, model: str) -> Ask:
    def ask(prompt: Any, stream: bool, options: Mapping[str, Any]) -> None:
        _read(sdk.responses.create(model=model, input=prompt, stream=stream, **options), stream=stream)

    return ask


def _anthropic(sdk: Any, model: str) -> Ask:
    def ask(prompt: Any, stream: bool, options: Mapping[str, Any]) -> None:
        messages = [{"role": "user", "content": prompt}]
        asked = {"model": model, "max_tokens": 64, "messages": messages, "stream": stream, **options}
        _read(sdk.messages.create(**asked), stream=stream)

    return ask


def _read(answer: Any, *, stream: bool) -> None:
    if stream:
        for _ in answer:
            pass
