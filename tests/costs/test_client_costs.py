"""What calls cost, through the providers' real clients, against sums done by hand: per million tokens, November 2026."""

import base64
import itertools
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from anthropic.types import Message
from google.genai.types import GenerateContentResponse
from langchain_anthropic import ChatAnthropic
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, Generation
from langchain_google_genai.chat_models import _response_to_result
from langchain_openai import ChatOpenAI

from nbcache.costs.price_lookup import Prices
from nbcache.entry.records import Usage
from nbcache.entry.usage.usage_of_call import usage_of

WHEN = datetime(2026, 11, 1, 12, tzinfo=UTC)
OPENAI, XAI, OPENROUTER = "https://api.openai.com/v1", "https://api.x.ai/v1", "https://openrouter.ai/api/v1"
ANTHROPIC, GOOGLE = "https://api.anthropic.com", "https://generativelanguage.googleapis.com"
COHERE, PERPLEXITY = "https://api.cohere.com", "https://api.perplexity.ai"
KEY: dict[str, Any] = {"api_key": "sk-test"}


def cost(usage: Usage) -> Decimal | None:
    return Prices().price(usage, WHEN).usd


def dollars(*parts: tuple[int, float]) -> Decimal:
    """So many tokens at so many dollars per million each."""
    return sum((count * Decimal(str(rate)) for count, rate in parts), Decimal(0)) / 10**6


def through_openai(body: Mapping[str, Any], model: str = "gpt-5-mini") -> list[Generation]:
    """The generations that ChatOpenAI makes of an answer."""
    result = ChatOpenAI(model=model, **KEY)._create_chat_result(dict(body))
    generations: list[Generation] = list(result.generations)
    for generation in result.generations:  # as LangChain does before it asks a cache to keep them
        generation.message.response_metadata = {**(result.llm_output or {}), **generation.message.response_metadata}
    return generations


def chat(model: str, usage: Any, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "Hi."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [choice],
        "usage": usage,
        **more,
    }


def through_anthropic(model: str, usage: Mapping[str, Any]) -> list[Generation]:
    body = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": "Hi."}],
    }
    message = Message.model_validate({**body, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage})
    result = ChatAnthropic(model=model, **KEY)._format_output(message)
    (generation,) = result.generations
    generation.message.response_metadata = {**(result.llm_output or {}), **generation.message.response_metadata}
    return [generation]


def through_google(model: str, parts: list[dict[str, Any]], usage: Mapping[str, Any]) -> list[Generation]:
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
    body = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model}
    generations: list[Generation] = []
    generations += _response_to_result(GenerateContentResponse.model_validate(body)).generations
    return generations


def openai_cases() -> Iterator[tuple[list[Generation], str, Decimal]]:
    rates = {None: (0.25, 0.025, 2), "default": (0.25, 0.025, 2), "flex": (0.125, 0.0125, 1)}
    counts = itertools.product((7, 1000, 90_001), (0, 5, 700), (3, 500), (0, 2, 400), rates)
    for asked, cached, answered, reasoning, tier in counts:
        if cached > asked or reasoning > answered:
            continue
        usage = {
            "prompt_tokens": asked,
            "completion_tokens": answered,
            "total_tokens": asked + answered,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }
        new, read, out = rates[tier]
        by_hand = dollars((asked - cached, new), (cached, read), (answered, out))
        yield through_openai(chat("gpt-5-mini", usage, service_tier=tier)), OPENAI, by_hand


def xai_cases() -> Iterator[tuple[list[Generation], str, Decimal]]:
    """Reasoning is counted apart, and only the total tells: also where there is less of it than of the answer."""
    for asked, cached, answered, reasoning in itertools.product((7, 1000), (0, 5), (3, 500), (0, 2, 100, 4000)):
        usage = {
            "prompt_tokens": asked,
            "completion_tokens": answered,
            "total_tokens": asked + answered + reasoning,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }
        by_hand = dollars((asked - cached, 3), (cached, 0.75), (answered + reasoning, 15))
        yield through_openai(chat("grok-4-0709", usage)), XAI, by_hand


def anthropic_cases() -> Iterator[tuple[list[Generation], str, Decimal]]:
    rates = {"standard": (5, 0.5, 6.25, 10, 25), "fast": (10, 1, 12.5, 20, 50)}
    counts = itertools.product((1, 900), (0, 2000), (0, 300), (0, 70), (1, 400), (0, 1), rates)
    for asked, read, written, long, answered, thought, speed in counts:
        usage = {
            "input_tokens": asked,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": written + long,
            "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": long},
            "output_tokens": answered,
            "output_tokens_details": {"thinking_tokens": thought},
            "service_tier": "standard",
            "speed": speed,
        }
        of = rates[speed]
        by_hand = dollars((asked, of[0]), (read, of[1]), (written, of[2]), (long, of[3]), (answered, of[4]))
        yield through_anthropic("claude-opus-4-8", usage), ANTHROPIC, by_hand


def google_cases() -> Iterator[tuple[list[Generation], str, Decimal]]:
    for asked, cached, answered, thought, tool in itertools.product((9, 1200), (0, 8), (1, 300), (0, 64), (0, 50)):
        usage = {
            "promptTokenCount": asked,
            "cachedContentTokenCount": cached,
            "candidatesTokenCount": answered,
            "thoughtsTokenCount": thought,
            "toolUsePromptTokenCount": tool,
            "totalTokenCount": asked + answered + thought + tool,
        }
        by_hand = dollars((asked + tool - cached, 0.3), (cached, 0.03), (answered + thought, 2.5))
        yield through_google("gemini-2.5-flash", [{"text": "Hi."}], usage), GOOGLE, by_hand
        if not cached:
            image = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(b"x").decode()}}
            by_hand = dollars((asked + tool, 0.3), (answered, 30), (thought, 2.5))
            yield through_google("gemini-2.5-flash-image", [image], usage), GOOGLE, by_hand


@pytest.mark.parametrize("cases", [openai_cases, xai_cases, anthropic_cases, google_cases], ids=lambda f: f.__name__)
def test_each_kind_of_token_costs_what_it_costs(cases: Any) -> None:
    wrong = {}
    for number, (generations, endpoint, by_hand) in enumerate(cases()):
        usage = usage_of(generations, {}, endpoint)
        if cost(usage) != by_hand:
            wrong[number] = (usage, cost(usage), by_hand)
    assert not wrong


# What a client drops, the answer or the request tells; else it is unknown

DOT = base64.b64encode(b"x").decode()
IMAGE = {"inlineData": {"mimeType": "image/png", "data": DOT}}
GOOGLE_USAGE = {"promptTokenCount": 1000, "candidatesTokenCount": 1290, "totalTokenCount": 2290}


def test_an_image_that_says_something_too_has_no_known_price() -> None:
    generations = through_google("gemini-2.5-flash-image", [{"text": "Here:"}, IMAGE], GOOGLE_USAGE)
    usage = usage_of(generations, {}, GOOGLE)
    assert (usage.mixed, cost(usage)) == ("output_image", None)


def prompt(*blocks: Any) -> str:
    return dumps([HumanMessage(list(blocks))])


SOUND = [
    {"type": "audio", "base64": DOT, "mime_type": "audio/wav"},
    {"type": "input_audio", "input_audio": {"data": DOT, "format": "wav"}},
    {"type": "media", "mime_type": "audio/mp3", "data": DOT},
    {"type": "media", "file_uri": "https://generativelanguage.googleapis.com/v1beta/files/x"},
    {"type": "file", "mime_type": "video/mp4", "url": "https://example.com/x"},
    {"type": "video", "url": "https://example.com/x", "mime_type": "video/mp4"},
]
NO_SOUND = [
    {"type": "text", "text": 'a text that says "type": "audio", audio/wav'},
    {"type": "image", "base64": DOT, "mime_type": "image/png"},
    {"type": "media", "mime_type": "application/pdf", "data": DOT},
]


@pytest.mark.parametrize("block", SOUND, ids=lambda block: f"{block['type']} {block.get('mime_type', '')}")
def test_sound_among_what_gemini_was_asked_has_no_known_price(block: Any) -> None:
    generations = through_google("gemini-2.5-flash", [{"text": "Hi."}], GOOGLE_USAGE)
    asked = prompt({"type": "text", "text": "What is said?"}, block)
    assert cost(usage_of(generations, {}, GOOGLE, asked)) is None
    # where text and sound cost the same it has
    generations = through_google("gemini-2.5-pro", [{"text": "Hi."}], GOOGLE_USAGE)
    assert cost(usage_of(generations, {}, GOOGLE, asked)) == dollars((1000, 1.25), (1290, 10))


@pytest.mark.parametrize("block", NO_SOUND, ids=lambda block: block["type"])
def test_what_only_speaks_of_sound_has_its_price(block: Any) -> None:
    generations = through_google("gemini-2.5-flash", [{"text": "Hi."}], GOOGLE_USAGE)
    assert cost(usage_of(generations, {}, GOOGLE, prompt(block))) == dollars((1000, 0.3), (1290, 2.5))


def test_what_google_has_cached_before_may_be_sound() -> None:
    generations = through_google(
        "gemini-2.5-flash", [{"text": "Hi."}], {**GOOGLE_USAGE, "cachedContentTokenCount": 900}
    )
    assert cost(usage_of(generations, {"fields": {"cached_content": "cachedContents/1"}}, GOOGLE)) is None
    assert cost(usage_of(generations, {}, GOOGLE)) == dollars((100, 0.3), (900, 0.03), (1290, 2.5))


def streamed_by_anthropic(**details: int) -> list[Generation]:
    """As a stream leaves it: how much was written to the cache, and not for how long."""
    message = AIMessage(
        "Hi.",
        usage_metadata={
            "input_tokens": 3500,
            "output_tokens": 100,
            "total_tokens": 3600,
            "input_token_details": {"cache_read": 2000, "cache_creation": 500, **details},
        },
        response_metadata={"model_name": "claude-opus-4-8", "model_provider": "anthropic"},
    )
    return [ChatGeneration(message=message)]


def marked(*lifetimes: str | None) -> list[BaseMessage]:
    blocks: list[str | dict[str, Any]] = [
        {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", **({"ttl": ttl} if ttl else {})}}
        for ttl in lifetimes
    ]
    return [SystemMessage(blocks), HumanMessage("q")]


@pytest.mark.parametrize(
    ("messages", "identity", "rate"),
    [
        (marked(), {}, 6.25),
        (marked(None), {}, 6.25),
        (marked("5m"), {}, 6.25),
        (marked("1h"), {}, 10),
        (marked("1h", "1h"), {}, 10),
        (marked(), {"options": {"cache_control": {"type": "ephemeral", "ttl": "1h"}}}, 10),
        (marked(), {"request": {"tools": [{"name": "t", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}}, 10),
        (marked("1h", None), {}, None),
        (marked("5m"), {"options": {"cache_control": {"type": "ephemeral", "ttl": "1h"}}}, None),
    ],
)
def test_the_request_tells_for_how_long_claude_caches_a_prompt(
    messages: list[BaseMessage], identity: dict[str, Any], rate: float | None
) -> None:
    usage = usage_of(streamed_by_anthropic(), identity, ANTHROPIC, dumps(messages))
    by_hand = None if rate is None else dollars((1000, 5), (2000, 0.5), (500, rate), (100, 25))
    assert cost(usage) == by_hand


def test_what_the_answer_tells_of_it_comes_first() -> None:
    generations = streamed_by_anthropic(ephemeral_5m_input_tokens=500, ephemeral_1h_input_tokens=0)
    usage = usage_of(generations, {}, ANTHROPIC, dumps(marked("1h")))
    assert cost(usage) == dollars((1000, 5), (2000, 0.5), (500, 6.25), (100, 25))


@pytest.mark.parametrize(
    ("identity", "rates"),
    [
        ({}, (5, 0.5, 6.25, 25)),
        ({"options": {"speed": "standard"}}, (5, 0.5, 6.25, 25)),
        ({"options": {"speed": "fast"}}, (10, 1, 12.5, 50)),
        ({"fields": {"model_kwargs": {"speed": "fast"}}}, (10, 1, 12.5, 50)),
        ({"request": {"speed": "fast"}}, (10, 1, 12.5, 50)),
        ({"request": {"speed": "slow"}}, None),  # whatever that costs
        ({"request": {"service_tier": "priority"}}, None),
        ({"request": {"service_tier": "auto"}}, (5, 0.5, 6.25, 25)),
    ],
)
def test_a_stream_costs_what_was_asked_for(identity: dict[str, Any], rates: tuple[float, ...] | None) -> None:
    usage = usage_of(streamed_by_anthropic(), identity, ANTHROPIC)
    counts = (1000, 2000, 500, 100)
    assert cost(usage) == (None if rates is None else dollars(*zip(counts, rates, strict=True)))


def test_an_answer_from_one_country_costs_more_than_is_listed() -> None:
    usage = {"input_tokens": 10, "output_tokens": 10}
    for place, known in (("global", True), ("not_available", True), ("us", False)):
        generations = through_anthropic("claude-opus-4-8", {**usage, "inference_geo": place})
        assert (cost(usage_of(generations, {}, ANTHROPIC)) is not None) == known


def test_cohere_bills_less_than_its_model_reads() -> None:
    counts = {"input_tokens": 71.0, "output_tokens": 12.0}
    unbilled = AIMessage("Hi.", usage_metadata={"input_tokens": 71, "output_tokens": 12, "total_tokens": 83})
    info = {"finish_reason": "COMPLETE", "token_count": counts, "model_name": "command-r-plus"}
    usage = usage_of([ChatGeneration(message=unbilled, generation_info=info)], {}, COHERE)
    assert (usage.input_tokens, cost(usage)) == (71, None)
    streamed = {**info, "token_count": {"total_tokens": 15.0, "input_tokens": 5.0, "output_tokens": 10.0}}
    told = {**info, "usage": {"billed_units": {"input_tokens": 5, "output_tokens": 10}, "tokens": counts}}
    for each in (streamed, told):
        usage = usage_of([ChatGeneration(message=unbilled, generation_info=each)], {}, COHERE)
        assert (usage.input_tokens, usage.output_tokens) == (5, 10)
        assert cost(usage) == dollars((5, 2.5), (10, 10))


@pytest.mark.parametrize("more", [1, 70])
def test_a_total_that_nothing_explains_has_no_known_price(more: int) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500 + more}
    assert cost(usage_of(through_openai(chat("gpt-5-mini", usage)), {}, OPENAI)) is None
    compatible = f"{GOOGLE}/v1beta/openai"  # counts thoughts in the total alone
    found = cost(usage_of(through_openai(chat("gemini-2.5-flash", usage)), {}, compatible))
    assert found == dollars((1000, 0.3), (500 + more, 2.5))


# What the provider says that it charged

USAGE = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}


NO_CHARGES: list[Any] = [-0.1, "0.0123", "free", None, True, [1], {}, 10**7, float("nan"), float("inf"), -float("inf")]


@pytest.mark.parametrize(
    ("endpoint", "usage", "charged"),
    [
        (OPENROUTER, {"cost": 0.0123}, "0.0123"),
        (OPENROUTER, {"cost": 0}, "0"),
        (OPENROUTER, {"cost": 1e-07}, "0.0000001"),
        (OPENROUTER, {"cost": 0.0123, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.01}}, "0.0123"),
        # on the user's own key: OpenRouter's fee, and what the provider behind it charges
        (OPENROUTER, {"cost": 0.0005, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.01}}, "0.0105"),
        (OPENROUTER, {"cost": 0, "cost_details": {"upstream_inference_cost": 0.01}}, "0.01"),
        (OPENROUTER, {"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": None}}, None),
        (XAI, {"cost_in_usd_ticks": 37756000}, "0.0037756"),
        (PERPLEXITY, {"cost": {"input_tokens_cost": 0.001, "request_cost": 0.005, "total_cost": 0.006}}, "0.006"),
        ("http://127.0.0.1:4000", {"cost": 0.5}, "0.5"),
        *((OPENROUTER, {"cost": value}, None) for value in NO_CHARGES),
        (XAI, {"cost_in_usd_ticks": -5}, None),
    ],
)
def test_what_was_charged_comes_before_a_list_price(endpoint: str, usage: dict[str, Any], charged: str | None) -> None:
    generations = through_openai(chat("anthropic/claude-sonnet-4.5", {**USAGE, **usage}))
    found = Prices().price(used := usage_of(generations, {}, endpoint), WHEN)
    assert used.charged == charged
    assert found.why == "charged" if charged is not None else found.why != "charged"
    if charged is not None:
        assert found.usd == Decimal(charged)
    elif endpoint == OPENROUTER:
        assert found.usd == dollars((1000, 3), (500, 15))


@pytest.mark.parametrize(
    ("metadata", "charged"),
    [
        ({"response_cost": 0.0021}, "0.0021"),  # ChatLiteLLM
        ({"cost": 0.0021, "cost_details": {}}, "0.0021"),  # ChatOpenRouter
        ({"_hidden_params": {"response_cost": 0.0021}}, "0.0021"),
        ({"headers": {"x-litellm-response-cost": "0.0021"}}, "0.0021"),
        ({"headers": {"X-LiteLLM-Response-Cost": "2.1e-03"}}, "0.0021"),
        ({"headers": {"x-litellm-response-cost": "None"}}, None),
        ({"headers": {"x-litellm-response-cost": "-1"}}, None),
        ({"headers": {"x-litellm-response-cost": "NaN"}}, None),
        ({"response_cost": 0.0}, None),  # LiteLLM's word for a model that it doesn't know
        ({"response_cost": "0.0021"}, None),
        ({"total_cost": 0}, None),  # LangChain's mark of a hit
    ],
)
def test_what_a_gateway_says_it_cost(metadata: dict[str, Any], charged: str | None) -> None:
    message = AIMessage('{"cost": 5, "usage": {"cost": 5}}', response_metadata=metadata)
    assert usage_of([ChatGeneration(message=message)], {}, "https://llm.example.org").charged == charged


def test_the_users_own_price_comes_first() -> None:
    generations = through_openai(chat("m", {**USAGE, "cost": 0.0123}))
    price = Prices({"m": {"input": 2, "output": 8}}).price(usage_of(generations, {}, OPENROUTER), WHEN)
    assert (price.usd, price.why) == (Decimal("0.006"), "your price")
