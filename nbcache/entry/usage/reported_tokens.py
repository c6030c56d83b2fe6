"""The tokens that a generation reports, in whatever shape its provider or client does."""

from collections.abc import Iterator
from typing import Any

from langchain_core.outputs import Generation

from nbcache.entry.usage.reported_metadata import NO_TEXT, count, mapping, message_of, metadata_of

_TIERS = ("priority", "flex")
_CACHED = ("cache_read_input_tokens", "prompt_cache_hit_tokens", "cached_tokens")  # Anthropic's, DeepSeek's, Moonshot's
_LIFETIMES = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
_COUNTS = (
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
    *("reasoning_tokens", "input_audio_tokens", "output_audio_tokens", "output_image_tokens"),
)
_NO_PARTS = dict.fromkeys(_COUNTS, 0)  # of a report that has nothing but its totals
# Not counts: what a report leaves open, for `usage_of` to find out elsewhere.
TOTAL, LIFETIME_KNOWN, BILLED, PARTS_KNOWN = "total", "lifetime_known", "billed", "parts_known"


def counts_of(generation: Generation) -> dict[str, Any] | None:
    """The tokens that a generation reports, as the arguments of a `Usage`. None if it reports none.

    There are further items: `unexplained` is by how many tokens the total exceeds its parts. `lifetime_known` is whether
    the report says for how long prompts were written to the provider's cache. `billed` is whether the counts are those that
    Cohere bills. `parts_known` is whether the provider's own report is there: LangChain drops parts of it for a stream.
    """
    usage = mapping(getattr(message_of(generation), "usage_metadata", None))
    counts = None
    for part in metadata_of(generation):
        counts = counts or _billed(part)
    counts = counts or _standard(usage)
    parts_known = True
    if counts is None:
        counts = next(filter(None, _reports(generation)), None)
    elif not usage.get("input_token_details"):  # ChatMistralAI drops them
        report = next(filter(None, _reports(generation)), None)
        parts_known = report is not None
        if report is not None and report["input_tokens"] == counts["input_tokens"]:
            counts = {name: number or report.get(name) for name, number in counts.items()}
    if counts is not None:
        _mend(counts, generation)
        counts[PARTS_KNOWN] = parts_known
    return counts


def _mend(counts: dict[str, Any], generation: Generation) -> None:
    """Take back the zeros that stand for what was not reported, and add parts to a whole that leaves them out."""
    prompt_tokens, output_tokens, total = counts["input_tokens"], counts["output_tokens"], counts.pop(TOTAL, None)
    if not (prompt_tokens and output_tokens):
        says_something = _says_something(generation)
        if says_something or output_tokens:
            counts["input_tokens"] = prompt_tokens = prompt_tokens or None  # no prompt is empty
        if says_something:
            counts["output_tokens"] = output_tokens = output_tokens or None
    cached, reasoning = counts["cache_read_tokens"] + counts["cache_write_tokens"], counts["reasoning_tokens"]
    more = total - prompt_tokens - output_tokens if None not in {total, prompt_tokens, output_tokens} else 0
    if reasoning and more in {reasoning, reasoning + cached}:  # x.ai counts it apart
        output_tokens, more = output_tokens + reasoning, more - reasoning
    if cached and more == cached:
        prompt_tokens, more = prompt_tokens + cached, 0
    if prompt_tokens is not None and prompt_tokens < cached:
        prompt_tokens += cached
    if output_tokens is not None and output_tokens < reasoning:
        output_tokens += reasoning
    counts |= {"input_tokens": prompt_tokens, "output_tokens": output_tokens, "unexplained": max(0, more)}


def _reports(generation: Generation) -> Iterator[dict[str, Any] | None]:
    """The counts in a generation's metadata, the most reliable first."""
    for part in metadata_of(generation):
        yield _standard(mapping(part.get("usage_metadata")))  # LLM classes of Google's and Bedrock's
        yield _raw(mapping(part.get("token_usage")))
        yield _raw(mapping(part.get("usage")))
        yield _raw(part)  # Ollama's


def _billed(part: dict[str, Any]) -> dict[str, Any] | None:
    """What Cohere bills, which is less than what its model reads and writes.

    LangChain's client passes it on only of a stream, as a `token_count` that has a total.
    """
    for place in (part, part.get("usage"), part.get("token_usage"), part.get("meta")):
        if isinstance(place, dict) and "billed_units" in place:
            counts = _standard(mapping(place["billed_units"]))
            return None if counts is None else counts | {BILLED: True}
    if "token_count" in part and "total_tokens" in (streamed := mapping(part["token_count"])):
        counts = _standard(streamed)
        return None if counts is None else counts | {BILLED: True}
    return None


def _standard(usage: dict[str, Any]) -> dict[str, Any] | None:
    """The counts in LangChain's `usage_metadata`. For a hit that may be no more than `{"total_cost": 0}`."""
    if not usage:
        return None
    prompt_tokens, output_tokens = count(usage.get("input_tokens")), count(usage.get("output_tokens"))
    if prompt_tokens is None and output_tokens is None:
        return None
    details, answer_details = mapping(usage.get("input_token_details")), mapping(usage.get("output_token_details"))
    tier = None
    for name in _TIERS:
        if name in details or name in answer_details:
            tier = name
    lifetime_known = details.get(_LIFETIMES[0]) is not None or details.get(_LIFETIMES[1]) is not None
    if not any(details.values()) and not any(answer_details.values()):
        return {
            **_NO_PARTS,
            "input_tokens": prompt_tokens,
            "output_tokens": output_tokens,
            "service_tier": tier,
            TOTAL: count(usage.get("total_tokens")),
            LIFETIME_KNOWN: lifetime_known,
        }
    written_1h = _part(details, "ephemeral_1h_input_tokens")
    return {
        "input_tokens": prompt_tokens,
        "output_tokens": output_tokens,
        "cache_read_tokens": _part(details, "cache_read", tier),
        "cache_write_tokens": max(
            _part(details, "cache_creation", tier), _part(details, "ephemeral_5m_input_tokens") + written_1h
        ),
        "cache_write_1h_tokens": written_1h,
        "reasoning_tokens": _part(answer_details, "reasoning", tier),
        "input_audio_tokens": _part(details, "audio"),
        "output_audio_tokens": _part(answer_details, "audio"),
        "output_image_tokens": _part(answer_details, "image"),
        "service_tier": tier,
        TOTAL: count(usage.get("total_tokens")),
        LIFETIME_KNOWN: lifetime_known,
    }


def _raw(usage: dict[str, Any]) -> dict[str, Any] | None:
    """What providers report themselves: OpenAI and all that speak its language, Anthropic, Ollama."""
    if not usage:
        return None
    prompt_tokens = _first(usage, "prompt_tokens", "input_tokens", "prompt_eval_count")
    output_tokens = _first(usage, "completion_tokens", "output_tokens", "eval_count")
    if prompt_tokens is None and output_tokens is None:
        return None
    details = mapping(usage.get("prompt_tokens_details") or usage.get("input_tokens_details"))
    answer_details = mapping(usage.get("completion_tokens_details") or usage.get("output_tokens_details"))
    lifetimes = mapping(usage.get("cache_creation"))
    read = _part(details, "cached_tokens") or _first(usage, *_CACHED) or 0
    written_1h = _part(lifetimes, "ephemeral_1h_input_tokens")
    written = _part(details, "cache_write_tokens") or _part(usage, "cache_creation_input_tokens")
    if prompt_tokens is not None and "prompt_tokens" not in usage and not details:
        prompt_tokens += read + max(written, written_1h)  # Anthropic doesn't count them
    return {
        "input_tokens": prompt_tokens,
        "output_tokens": output_tokens,
        "cache_read_tokens": read,
        "cache_write_tokens": max(written, written_1h),
        "cache_write_1h_tokens": written_1h,
        "reasoning_tokens": _part(answer_details, "reasoning_tokens") or _part(answer_details, "thinking_tokens"),
        "input_audio_tokens": _part(details, "audio_tokens"),
        "output_audio_tokens": _part(answer_details, "audio_tokens"),
        "output_image_tokens": _part(answer_details, "image_tokens"),
        TOTAL: count(usage.get("total_tokens")),
        LIFETIME_KNOWN: any(lifetimes.get(name) is not None for name in _LIFETIMES),
    }


def _says_something(generation: Generation) -> bool:
    if (generation.generation_info or {}).get(NO_TEXT):
        return False
    message = message_of(generation)
    return bool(generation.text or getattr(message, "content", "") or getattr(message, "tool_calls", ()))


def _first(usage: dict[str, Any], *names: str) -> int | None:
    return next((number for name in names if (number := count(usage.get(name))) is not None), None)


def _part(details: dict[str, Any], name: str, tier: str | None = None) -> int:
    """A part of the tokens; langchain-openai puts the service tier before the names of some."""
    if not details:
        return 0
    number = count(details.get(name)) or 0
    return number + (count(details.get(f"{tier}_{name}")) or 0) if tier else number
