"""Claude, by LangChain's class, Anthropic's client and Bedrock."""

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from langchain_core.messages import HumanMessage, SystemMessage

from tests.costs.generated import draws
from tests.costs.generated.bill import Bill
from tests.costs.generated.case import Case
from tests.servers import canned
from tests.servers.canned import Reply

_MODELS = {
    "claude-haiku-4-5-20251001": "claude-haiku-4-5",
    "claude-haiku-5-5": "claude-haiku-5-5",
    "claude-sonnet-4-6": "claude-sonnet-4-6",
    "claude-opus-4-8": "claude-opus-4-8",
    "claude-opus-5": "claude-opus-5",
    "claude-opus-99": None,
}
_FAST = {"claude-opus-4-8", "claude-opus-5"}
_CLIENTS = ("ChatAnthropic", "anthropic")
_LIFETIMES: tuple[tuple[str, ...], ...] = ((), ("5m",), ("1h",), ("5m", "1h"))
_SEARCHED = [
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": [
            {
                "type": "web_search_result",
                "url": "https://e.org",
                "title": "E",
                "encrypted_content": "x",
                "page_age": None,
            }
        ],
    },
]
_ON_BEDROCK = {
    "global.anthropic.claude-haiku-4-5-20251001-v1:0": "global.anthropic.claude-haiku-4-5-20251001-v1:0",
    "us.anthropic.claude-haiku-4-5-20251001-v1:0": "regional.anthropic.claude-haiku-4-5-20251001-v1:0",
    "eu.anthropic.claude-sonnet-4-5-20250929-v1:0": "regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "amazon.nova-pro-v1:0": "amazon.nova-pro-v1:0",
}


def _counts(draw: Random, lifetimes: tuple[str, ...]) -> dict[str, int]:
    new, read, short, long = draws.split(draw, draws.asked(draw), 4)
    if "5m" not in lifetimes:
        new, short = new + short, 0
    if "1h" not in lifetimes:
        new, long = new + long, 0
    said, thought = draws.split(draw, draws.answered(draw), 2)
    return {"new": new, "read": read, "5m": short, "1h": long, "answered": said + thought, "thought": thought}


def _tokens(counts: Mapping[str, int]) -> dict[str, int]:
    return {
        "input_mtok": counts["new"],
        "cache_read_mtok": counts["read"],
        "cache_write_mtok": counts["5m"],
        "cache_write_1h_mtok": counts["1h"],
        "output_mtok": counts["answered"],
    }


def _usage(counts: Mapping[str, int], **more: Any) -> dict[str, Any]:
    return {
        "input_tokens": counts["new"],
        "cache_read_input_tokens": counts["read"],
        "cache_creation_input_tokens": counts["5m"] + counts["1h"],
        "cache_creation": {
            "ephemeral_5m_input_tokens": counts["5m"],
            "ephemeral_1h_input_tokens": counts["1h"],
        },
        "output_tokens": counts["answered"],
        "output_tokens_details": {"thinking_tokens": counts["thought"]},
        **more,
    }


def _reply(model: str, usage: Mapping[str, Any], *, stream: bool, before: Any = ()) -> Reply:
    if stream:
        return canned.anthropic_stream(model, usage, first=before)
    whole = canned.anthropic(model, usage)
    return canned.as_json({**whole, "content": [*before, *whole["content"]]})


def _prompt(client: str, lifetimes: tuple[str, ...]) -> Any:
    """A prompt that asks for its parts to be cached for so long."""
    blocks: list[Any] = [
        {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": lifetime}} for lifetime in lifetimes
    ]
    if client == "anthropic":
        return [*blocks, {"type": "text", "text": "hi"}]
    return [SystemMessage(blocks), HumanMessage("hi")] if blocks else "hi"


def messages(draw: Random, number: int) -> Iterator[Case]:
    """What is cached and for how long, fast answers, tiers, and models that nobody knows."""
    for model, listed in _MODELS.items():
        for client in _CLIENTS:
            for lifetimes in _LIFETIMES:
                for speed in (None, "standard", "fast") if model in _FAST else (None,):
                    for stream in (False, True):
                        # LangChain drops the tier of a stream, and what was asked for is the usual one or a better.
                        drops = stream and client == "ChatAnthropic"
                        for tier in ("standard",) if drops else ("standard", "priority"):
                            for _ in range(number):
                                counts = _counts(draw, lifetimes)
                                told = {"service_tier": tier} | ({} if speed is None else {"speed": speed})
                                reply = _reply(model, _usage(counts, **told), stream=stream)
                                variant = {"speed": "fast"} if speed == "fast" else {}
                                known = listed if tier == "standard" else None
                                options: dict[str, Any] = {}
                                if speed == "fast":
                                    options = (
                                        {"speed": speed}
                                        if client == "ChatAnthropic"
                                        else {"extra_body": {"speed": speed}}
                                    )
                                if tier == "priority":
                                    options["service_tier"] = "auto"
                                unclear = "streams don't say which" if stream and len(lifetimes) > 1 else ""
                                yield Case(
                                    *(client, model, stream, reply, Bill("anthropic", known, _tokens(counts), variant)),
                                    prompt=_prompt(client, lifetimes),
                                    options=options,
                                    unclear=unclear,
                                )


def searches(draw: Random, number: int) -> Iterator[Case]:
    """Searches of the web, which are counted, and cost ten dollars for a thousand."""
    model = "claude-haiku-4-5-20251001"
    for client in _CLIENTS:
        for stream in (False, True):
            for _ in range(number * 4):
                counts, times = _counts(draw, ()), draw.choice((1, 2, 5))
                usage = _usage(counts, server_tool_use={"web_search_requests": times, "web_fetch_requests": 0})
                reply = _reply(model, usage, stream=stream, before=_SEARCHED)
                bill = Bill("anthropic", "claude-haiku-4-5", _tokens(counts), searches=times)
                unclear = "LangChain drops the count of a stream" if stream and client == "ChatAnthropic" else ""
                yield Case(client, model, stream, reply, bill, unclear=unclear)
                fetched = _usage(counts, server_tool_use={"web_search_requests": 0, "web_fetch_requests": times})
                reply = _reply(model, fetched, stream=stream)
                yield Case(client, model, stream, reply, Bill("anthropic", "claude-haiku-4-5", _tokens(counts)))


def places(draw: Random, number: int) -> Iterator[Case]:
    """Answers that are kept in one country cost a tenth more, which is not in the list."""
    model = "claude-opus-4-8"
    for client in _CLIENTS:
        for place in ("global", "not_available", "us"):
            for _ in range(number):
                counts = _counts(draw, ())
                reply = _reply(model, _usage(counts, inference_geo=place), stream=False)
                listed = None if place == "us" else "claude-opus-4-8"
                yield Case(client, model, False, reply, Bill("anthropic", listed, _tokens(counts)))


def bedrock(draw: Random, number: int) -> Iterator[Case]:
    """Converse, and Anthropic's own words there."""
    for model, listed in _ON_BEDROCK.items():
        for stream in (False, True):
            for tier in (None, "default", "priority"):
                for _ in range(number * 2):
                    counts = _counts(draw, ("5m",))
                    usage = {
                        "inputTokens": counts["new"],
                        "outputTokens": counts["answered"],
                        "totalTokens": counts["new"] + counts["read"] + counts["5m"] + counts["answered"],
                        "cacheReadInputTokens": counts["read"],
                        "cacheWriteInputTokens": counts["5m"],
                    }
                    told = {} if tier is None else {"serviceTier": {"type": tier}}
                    reply = canned.converse_stream(usage, **told) if stream else canned.converse(usage=usage, **told)
                    known = listed if tier != "priority" else None
                    bill = Bill("aws", known, _tokens(counts))
                    yield Case("ChatBedrockConverse", model, stream, reply, bill)
