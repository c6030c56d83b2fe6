"""What a call used: who answered it, with which model, how many tokens that took, and what was charged for it.

Each of the n generations of a call repeats the usage of the whole call. So it is read from one of them, and not summed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.outputs import Generation

from nbcache.entry.records import Usage
from nbcache.entry.usage.billed_tools import fees_of
from nbcache.entry.usage.estimates import token_estimate
from nbcache.entry.usage.priced_request import MODEL, Request, cache_lifetimes, input_media, request_of
from nbcache.entry.usage.reported_charges import charge_of
from nbcache.entry.usage.reported_metadata import NO_TEXT, UNPRICED, mapping, message_of, metadata_of, named
from nbcache.entry.usage.reported_tokens import BILLED, LIFETIME_KNOWN, PARTS_KNOWN, counts_of
from nbcache.entry.usage.vendors import costs_more_there, provider_of

_AZURE = re.compile(r"/deployments/([^/\s]+)")


def usage_of(generations: Sequence[Generation], identity: Mapping[str, Any], endpoint: str, prompt: str = "") -> Usage:
    """What the call that `generations` answer used. `identity` is its document, and `{}` if that is unknown.

    `prompt` is the call's prompt as it is stored: some prices depend on what is in it.
    """
    request = request_of(identity)
    reported = [part for generation in generations for part in metadata_of(generation)]
    usages = [
        each for part in reported for each in (part.get("usage"), part.get("token_usage")) if isinstance(each, dict)
    ]
    provider, local = provider_of((*request.classes, named(reported, ("model_provider",)) or ""), endpoint)
    model = _model(reported, request, endpoint if provider == "azure" else None)
    if local and model is not None and model.endswith(("-cloud", ":cloud")):
        local = False  # Ollama hands these on to its own servers
    counts = next(filter(None, map(counts_of, generations)), {})
    if request.embeds:
        counts = {"output_tokens": 0}  # a vector is no text: only what goes in is counted, and LangChain tells nothing
    if _is_marked(reported, NO_TEXT):
        counts["output_tokens"] = counts.get("output_tokens") or 0  # none are estimated from what describes an answer
    mixed = set(_unclear(counts, provider))
    if counts.get("cache_write_tokens") and not counts[LIFETIME_KNOWN]:
        mixed |= _written(counts, cache_lifetimes(identity, prompt))
    if provider == "google":
        mixed |= _media_out(counts, generations)
        if request.cached_content or input_media(prompt):  # a video may have sound, too
            mixed.add("input_audio")
    fees = fees_of(reported, usages, generations, request, provider=provider, model=model or "")
    in_one_place = named(usages, ("inference_geo",)) == "us" or costs_more_there(provider, endpoint, model or "")
    if fees.uncounted or in_one_place or _is_marked(reported, UNPRICED):
        mixed.add("other")
    if tier := _service_tier(reported, usages) or counts.get("service_tier") or request.service_tier:
        counts["service_tier"] = tier
    counts.pop(LIFETIME_KNOWN, None)
    return Usage(
        provider,
        model,
        local=local,
        speed=named(usages, ("speed",)) or request.speed,
        charged=charge_of(reported),
        mixed=" ".join(sorted(mixed)),
        web_searches=fees.searches,
        **counts,
    )


def estimated(usage: Usage, prompt: str, answer: str) -> Usage:
    """`usage` with what was not reported worked out from `prompt` and `answer`, as people read them."""
    if usage.complete:
        return usage
    input_tokens, output_tokens = usage.input_tokens, usage.output_tokens
    if input_tokens is None:
        input_tokens = max(token_estimate(prompt), usage.cache_read_tokens + usage.cache_write_tokens)
    if output_tokens is None:
        output_tokens = max(token_estimate(answer), usage.reasoning_tokens)
    return replace(usage, input_tokens=input_tokens, output_tokens=output_tokens, estimated=True)


def _is_marked(reported: list[dict[str, Any]], mark: str) -> bool:
    """Whether nbcache itself has put this mark into what was reported."""
    for part in reported:  # noqa: SIM110 - a generator would take longer than all that it looks at
        if part.get(mark):
            return True
    return False


def _model(reported: list[dict[str, Any]], request: Request, azure: str | None) -> str | None:
    """The model that answered, else the one asked for. A deployment's name at `azure` doesn't count: it may be any word."""
    names = [name for name in (named(reported, MODEL), *request.models) if name]
    if azure is not None:
        at_end = _AZURE.search(azure)
        deployment = request.deployment or (at_end[1] if at_end else next(iter(request.models), None))
        if request.embeds:  # the class has a name of its own for the model, whatever is deployed
            deployment = next(iter(request.models), None)
        names = [name for name in names if name != deployment]
    model = next(iter(names), None)
    if model is None or not model.startswith("arn:"):
        return model and model.removeprefix("models/")
    base = request.base_model if "inference-profile" in model else None
    return base or model.rpartition("/")[2]


def _service_tier(reported: list[dict[str, Any]], usages: list[dict[str, Any]]) -> str | None:
    tier = named([*reported, *usages], ("service_tier",))
    return tier or named([mapping(part["serviceTier"]) for part in reported if "serviceTier" in part], ("type",))


def _unclear(counts: dict[str, Any], provider: str | None) -> Iterator[str]:
    """Assign the tokens by which the total exceeds its parts. Yields the kinds of tokens whose number stays unknown."""
    more = counts.pop("unexplained", 0)
    if more and provider == "google":  # its OpenAI-compatible API counts thoughts in the total alone
        counts["output_tokens"] += more
        counts["reasoning_tokens"] += more
    elif more:
        yield "other"
    if not counts.pop(PARTS_KNOWN, True) and provider == "moonshotai":  # it counts them in a place of its own
        yield "cache_read"
    billed = counts.pop(BILLED, False)
    if provider == "cohere" and not billed and counts.get("output_tokens"):
        yield "other"


def _written(counts: dict[str, Any], lifetimes: set[str]) -> set[str]:
    """Take from the request for how long Claude's prompts were cached, since a stream doesn't say it."""
    if lifetimes == {"1h"}:
        counts["cache_write_1h_tokens"] = counts["cache_write_tokens"]
    return {"cache_write_1h"} if len(lifetimes) > 1 else set()


def _media_out(counts: dict[str, Any], generations: Sequence[Generation]) -> set[str]:
    """Which of Google's tokens were images and sound: its answers hold them, and LangChain drops the counts.

    What has a count of its own is known already.
    """
    kinds = {kind for generation in generations for kind in _content_kinds(generation)}
    answered = counts.get("output_tokens")
    media = {kind for kind in kinds & {"image", "audio"} if not counts.get(f"output_{kind}_tokens")}
    if len(kinds) > 1 or answered is None:
        return {f"output_{kind}" for kind in media}
    for kind in media:
        counts[f"output_{kind}_tokens"] = answered - counts.get("reasoning_tokens", 0)
    return set()


def _content_kinds(generation: Generation) -> Iterator[str]:
    """Of `text`, `image` and `audio` what the answer has; its thoughts are counted apart."""
    message = message_of(generation)
    if "audio" in mapping(getattr(message, "additional_kwargs", None)):
        yield "audio"
    if getattr(message, "tool_calls", ()):
        yield "text"
    content = getattr(message, "content", generation.text)
    for block in [content] if isinstance(content, str) else content if isinstance(content, list) else ():
        kind = "text" if isinstance(block, str) else mapping(block).get("type")
        if kind in {"image", "image_url"}:
            yield "image"
        elif kind == "audio":
            yield "audio"
        elif kind not in {"reasoning", "thinking"} and (
            block if isinstance(block, str) else mapping(block).get("text")
        ):
            yield "text"
