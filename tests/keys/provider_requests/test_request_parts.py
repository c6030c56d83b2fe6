"""The key of a call is the request that a provider's class would send."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_anthropic import ChatAnthropic
from langchain_aws import ChatBedrockConverse
from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumps
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_groq import ChatGroq
from langchain_mistralai import ChatMistralAI
from langchain_ollama import ChatOllama
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from pydantic import SecretStr

from nbcache.cache.call import Call
from nbcache.keys.key import call_key

KEY = SecretStr("key")
MODELS: dict[str, BaseChatModel] = {
    "openai": ChatOpenAI(model="gpt-4o", api_key=KEY),
    "openai, o1": ChatOpenAI(model="o1", api_key=KEY),
    "openai, responses": ChatOpenAI(model="gpt-4o", api_key=KEY, use_responses_api=True),
    "azure": AzureChatOpenAI(
        azure_deployment="gpt-4o", api_key=KEY, api_version="2024-10-21", azure_endpoint="http://127.0.0.1:9"
    ),
    "anthropic": ChatAnthropic(model="claude-sonnet-4-5", api_key=KEY),
    "google": ChatGoogleGenerativeAI(model="gemini-2.5-flash", google_api_key=KEY),
    "groq": ChatGroq(model_name="llama-3.1-8b-instant", api_key=KEY),
    "mistral": ChatMistralAI(model_name="mistral-small-latest", api_key=KEY),
    "ollama": ChatOllama(model="llama3.2"),
    "bedrock": ChatBedrockConverse(
        model_id="anthropic.claude-3-haiku-20240307-v1:0",
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=KEY,
    ),
}
PROMPTS = st.lists(
    st.builds(
        lambda kind, text: kind(content=text), st.sampled_from([HumanMessage, SystemMessage]), st.text(min_size=1)
    ),
    min_size=1,
    max_size=4,
)


def _key(model: BaseChatModel, messages: Sequence[BaseMessage], **options: Any) -> tuple[str, bytes]:
    call = call_key(dumps(messages), "", Call(model, options=options, messages=messages))
    return call.key, call.canonical_prompt


@pytest.mark.parametrize("name", MODELS)
@given(messages=PROMPTS)
def test_texts_count_as_they_are_in_the_request_that_is_built_of_them(name: str, messages: list[BaseMessage]) -> None:
    """What isn't sent, metadata of a person's message, leaves the key as it is: such a request is built in full."""
    model = MODELS[name]
    unsent = [message.model_copy(update={"response_metadata": {"seen": True}}) for message in messages]

    assert _key(model, messages) == _key(model, unsent)


@pytest.mark.parametrize("name", MODELS)
def test_texts_that_look_like_parts_of_a_request_are_told_apart(name: str) -> None:
    texts = ['a","b', 'a\\","b', "a", "b", "a\nb", "nbcache-text-0-7d1f0c2e", "nbcache-text-1-7d1f0c2e", " a", "\ud800"]
    prompts = [
        [kind(first), HumanMessage(second)]
        for kind in (SystemMessage, HumanMessage)
        for first in texts
        for second in texts
    ]

    keys = {_key(MODELS[name], prompt)[0] for prompt in prompts}

    assert len(keys) == len(prompts)
