"""OpenAI's two APIs, by LangChain's classes and its own client, Azure's, and others that speak its language."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from random import Random
from typing import Any

from tests.costs.generated import draws
from tests.costs.generated.bill import Bill
from tests.costs.generated.case import Case
from tests.servers import canned
from tests.servers.canned import Reply

# As the API names them, and the price list.
_CHAT = {
    "gpt-4o-mini-2024-07-18": "gpt-4o-mini",
    "gpt-4o-2024-05-13": "gpt-4o-2024-05-13",
    "gpt-4.1-2025-04-14": "gpt-4.1",
    "gpt-5-mini": "gpt-5-mini",
    "gpt-5.4": "gpt-5.4",
    "gpt-5.6-luna": "gpt-5.6-luna",
    "gpt-6-sol": "gpt-6-sol",
    "o4-mini-2025-04-16": "o4-mini",
    "ft:gpt-4o-mini-2024-07-18:acme:joke:AbC": "ft:gpt-4o-mini",
    "gpt-99-turbo": None,
}
_WRITES = {"gpt-5.6-luna", "gpt-6-sol"}  # whose cache writes are counted, and charged
_TIERS = (None, "default", "auto", "flex", "priority", "scale")
_USUAL = {None, "default", "auto"}
_CHAT_CLIENTS = ("ChatOpenAI", "openai")
_RESPONSES_CLIENTS = ("ChatOpenAI, responses", "ChatOpenAI, responses, v1", "openai, responses")
_SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
_TOOLS = {
    "web_search": {**_SEARCH, "action": {"type": "search", "query": "x", "sources": []}},
    "file_search": {"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["x"], "results": None},
    "code_interpreter": {
        "type": "code_interpreter_call",
        "id": "ci_1",
        "status": "completed",
        "code": "1",
        "container_id": "c",
        "outputs": [],
    },
    "image_generation": {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "eA=="},
}


def _variant(tier: str | None) -> Mapping[str, str]:
    return {} if tier in _USUAL else {"service_tier": str(tier)}


def _tokens(draw: Random, *, writes: bool) -> tuple[dict[str, int], dict[str, int]]:
    """The tokens of each kind, and those counts that are parts of others."""
    new, read, written = draws.split(draw, draws.asked(draw), 3)
    if not writes:
        new, written = new + written, 0
    said, thought = draws.split(draw, draws.answered(draw), 2)
    tokens = {"input_mtok": new, "cache_read_mtok": read, "cache_write_mtok": written, "output_mtok": said + thought}
    return tokens, {
        "asked": new + read + written,
        "read": read,
        "written": written,
        "answered": said + thought,
        "thought": thought,
    }


def _chat_usage(counts: Mapping[str, int], *, writes: bool, **more: Any) -> dict[str, Any]:
    read = {"cached_tokens": counts["read"], "audio_tokens": 0}
    return {
        "prompt_tokens": counts["asked"],
        "completion_tokens": counts["answered"],
        "total_tokens": counts["asked"] + counts["answered"],
        "prompt_tokens_details": read | ({"cache_write_tokens": counts["written"]} if writes else {}),
        "completion_tokens_details": {"reasoning_tokens": counts["thought"], "audio_tokens": 0},
        **more,
    }


def _chat_reply(model: str, usage: Mapping[str, Any], *, stream: bool, **more: Any) -> Reply:
    return canned.chat_stream(model, usage, **more) if stream else canned.chat(model, usage, **more)


def chat(draw: Random, number: int) -> Iterator[Case]:
    """Chat completions: caches, reasoning, service tiers, fine-tuned and unknown models."""
    for model, listed in _CHAT.items():
        writes = model in _WRITES
        for client in _CHAT_CLIENTS:
            for tier in _TIERS:
                for stream in (False, True):
                    for _ in range(number):
                        tokens, counts = _tokens(draw, writes=writes)
                        told = {} if tier is None else {"service_tier": tier}
                        usage = _chat_usage(counts, writes=writes)
                        reply = _chat_reply(model, usage, stream=stream, **told)
                        yield Case(client, model, stream, reply, Bill("openai", listed, tokens, _variant(tier)))


def responses(draw: Random, number: int) -> Iterator[Case]:
    """Responses: the same, and what its tools cost."""
    for model, listed in _CHAT.items():
        writes = model in _WRITES
        for client in _RESPONSES_CLIENTS:
            for tier in _TIERS:
                for stream in (False, True):
                    for _ in range(number):
                        tokens, counts = _tokens(draw, writes=writes)
                        body = {"usage": _responses_usage(counts, writes=writes), "service_tier": tier}
                        reply = _responses_reply(model, stream=stream, **body)
                        yield Case(client, model, stream, reply, Bill("openai", listed, tokens, _variant(tier)))


def tools(draw: Random, number: int) -> Iterator[Case]:
    """Responses whose model has searched, or used another tool that costs more than its tokens."""
    for client in _RESPONSES_CLIENTS:
        for name, call in _TOOLS.items():
            for stream in (False, True):
                for _ in range(number):
                    tokens, counts = _tokens(draw, writes=False)
                    model, times = "gpt-5-mini", draw.choice((1, 2))
                    body = {"usage": _responses_usage(counts, writes=False), "service_tier": "default"}
                    reply = _responses_reply(model, stream=stream, before=[call] * times, **body)
                    searches = times if name == "web_search" else 0
                    listed = model if name == "web_search" else None
                    bill = Bill("openai", listed, tokens, searches=searches)
                    yield Case(client, model, stream, reply, bill, unclear="what tools cost is counted by nobody")


def _responses_usage(counts: Mapping[str, int], *, writes: bool) -> dict[str, Any]:
    return {
        "input_tokens": counts["asked"],
        "input_tokens_details": {"cached_tokens": counts["read"]}
        | ({"cache_write_tokens": counts["written"]} if writes else {}),
        "output_tokens": counts["answered"],
        "output_tokens_details": {"reasoning_tokens": counts["thought"]},
        "total_tokens": counts["asked"] + counts["answered"],
    }


def _responses_reply(model: str, *, stream: bool, before: Any = (), **body: Any) -> Reply:
    whole = canned.responses(model, **body)
    if not before:
        return canned.responses_stream(model, **body) if stream else canned.as_json(whole)
    items = [{**item, "id": f"{item['id']}{number}"} for number, item in enumerate(before)]
    if not stream:
        return canned.as_json({**whole, "output": [*items, *whole["output"]]})
    return canned.responses_stream(model, first=items, **body)


def audio(draw: Random, number: int) -> Iterator[Case]:
    """Sound in and out, which is counted apart and costs more."""
    for model in ("gpt-audio", "gpt-audio-mini", "gpt-4o-audio-preview"):
        for client in _CHAT_CLIENTS:
            for stream in (False, True):
                for _ in range(number * 4):
                    text, heard = draws.split(draw, draws.asked(draw), 2)
                    said, spoken = draws.split(draw, draws.answered(draw), 2)
                    counts = {"asked": text + heard, "read": 0, "answered": said + spoken, "thought": 0, "written": 0}
                    usage = _chat_usage(counts, writes=False)
                    usage["prompt_tokens_details"] |= {"audio_tokens": heard, "text_tokens": text}
                    usage["completion_tokens_details"] |= {"audio_tokens": spoken, "text_tokens": said}
                    asked = {"input_mtok": text, "input_audio_mtok": heard}
                    tokens = asked | {"output_mtok": said, "output_audio_mtok": spoken}
                    reply = _chat_reply(model, usage, stream=stream)
                    yield Case(client, model, stream, reply, Bill("openai", model, tokens))


def azure(draw: Random, number: int) -> Iterator[Case]:
    """Deployments: named as their model, as another one, or as they like."""
    for deployment in ("gpt-4o-mini-2024-07-18", "gpt-4o", "mine", "gpt-5-mini"):
        for answering, listed in (("gpt-4o-mini-2024-07-18", "gpt-4o-mini"), ("gpt-4.1-2025-04-14", "gpt-4.1")):
            for stream in (False, True):
                for _ in range(number):
                    tokens, counts = _tokens(draw, writes=False)
                    reply = _chat_reply(answering, _chat_usage(counts, writes=False), stream=stream)
                    bill = Bill("openai", listed, tokens)
                    unclear = "Azure may only repeat the deployment's name" if answering == deployment else ""
                    yield Case("AzureChatOpenAI", deployment, stream, reply, bill, unclear=unclear)


def compatible(draw: Random, number: int) -> Iterator[Case]:
    """Others that speak OpenAI's language, each with its own way to count."""
    for stream in (False, True):
        for _ in range(number * 6):
            yield from _deepseek(draw, stream=stream)
            yield from _xai(draw, stream=stream)
            yield from _openrouter(draw, stream=stream)
            yield from _google(draw, stream=stream)
            yield from _perplexity(draw, stream=stream)
            yield from _moonshot(draw, stream=stream)


def _deepseek(draw: Random, *, stream: bool) -> Iterator[Case]:
    tokens, counts = _tokens(draw, writes=False)
    model = "deepseek-chat"
    usage = _chat_usage(counts, writes=False) | {
        "prompt_cache_hit_tokens": counts["read"],
        "prompt_cache_miss_tokens": counts["asked"] - counts["read"],
    }
    reply = _chat_reply(model, usage, stream=stream)
    yield Case("ChatOpenAI at deepseek", model, stream, reply, Bill("deepseek", model, tokens))
    if not stream:  # as it answered before it spoke OpenAI's language: LangChain drops these of a stream
        del usage["prompt_tokens_details"], usage["completion_tokens_details"]
        reply = _chat_reply(model, usage, stream=stream)
        yield Case("ChatOpenAI at deepseek", model, stream, reply, Bill("deepseek", model, tokens))


def _xai(draw: Random, *, stream: bool) -> Iterator[Case]:
    tokens, counts = _tokens(draw, writes=False)
    model = "grok-4-0709"
    apart = counts | {"answered": counts["answered"] - counts["thought"]}
    if not apart["answered"]:
        return
    usage = _chat_usage(apart, writes=False, total_tokens=counts["asked"] + counts["answered"])
    bill = Bill("x-ai", model, tokens)
    yield Case("ChatOpenAI at x-ai", model, stream, _chat_reply(model, usage, stream=stream), bill)
    usage["num_sources_used"] = 3
    reply = _chat_reply(model, usage, stream=stream)
    bill = Bill("x-ai", None, tokens)
    if not stream:
        yield Case("ChatOpenAI at x-ai", model, stream, reply, bill, unclear="searched sources")
        usage["cost_in_usd_ticks"] = ticks = draw.randint(1, 10**11)
        reply = _chat_reply(model, usage, stream=stream)
        charged = Bill("x-ai", model, tokens, charged=Decimal(ticks) / 10**10)
        yield Case("ChatOpenAI at x-ai", model, stream, reply, charged)


def _openrouter(draw: Random, *, stream: bool) -> Iterator[Case]:
    tokens, counts = _tokens(draw, writes=False)
    model, listed = "anthropic/claude-haiku-4.5", "anthropic/claude-haiku-4.5"
    reply = _chat_reply(model, _chat_usage(counts, writes=False), stream=stream)
    yield Case("ChatOpenAI at openrouter", model, stream, reply, Bill("openrouter", listed, tokens))
    if stream:
        return  # LangChain drops the cost
    cost = draw.choice((0, 1e-07, round(draw.random() / 10, 6)))
    usage = _chat_usage(counts, writes=False, cost=cost, is_byok=False)
    charged = Bill("openrouter", listed, tokens, charged=Decimal(str(cost)))
    yield Case("ChatOpenAI at openrouter", model, stream, _chat_reply(model, usage, stream=stream), charged)


def _google(draw: Random, *, stream: bool) -> Iterator[Case]:
    """Thoughts are in the total alone."""
    asked, said, thought = draws.asked(draw), draws.answered(draw), draw.choice((0, 0, 77, 5_000))
    usage = {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said + thought}
    model = "gemini-2.5-flash"
    tokens = {"input_mtok": asked, "output_mtok": said + thought}
    reply = _chat_reply(model, usage, stream=stream)
    yield Case("ChatOpenAI at google", model, stream, reply, Bill("google", model, tokens))


def _perplexity(draw: Random, *, stream: bool) -> Iterator[Case]:
    """What a search costs depends on how much it reads, which nobody says."""
    tokens, counts = _tokens(draw, writes=False)
    usage = _chat_usage(counts, writes=False, search_context_size="low")
    reply = _chat_reply("sonar", usage, stream=stream)
    yield Case("ChatOpenAI at perplexity", "sonar", stream, reply, Bill("perplexity", None, tokens))
    if not stream:
        cost = round(draw.random() / 10, 6)
        reply = _chat_reply("sonar", {**usage, "cost": {"total_cost": cost}}, stream=stream)
        charged = Bill("perplexity", "sonar", tokens, charged=Decimal(str(cost)))
        yield Case("ChatOpenAI at perplexity", "sonar", stream, reply, charged)


def _moonshot(draw: Random, *, stream: bool) -> Iterator[Case]:
    """Its cached tokens stand beside the others."""
    tokens, counts = _tokens(draw, writes=False)
    asked, answered = counts["asked"], counts["answered"]
    usage = {
        "prompt_tokens": asked,
        "completion_tokens": answered,
        "total_tokens": asked + answered,
        "cached_tokens": counts["read"],
    }
    model = "kimi-k2.5"
    reply = _chat_reply(model, usage, stream=stream)
    unclear = "LangChain drops what was cached" if stream else ""
    yield Case("ChatOpenAI at moonshotai", model, stream, reply, Bill("moonshotai", model, tokens), unclear=unclear)
