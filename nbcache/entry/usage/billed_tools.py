"""What a call cost besides its own tokens: searches, and other tools that providers charge for by their use.

Only Anthropic reports how many searches it charges for. For all else an answer shows at most that there was something to
charge for. Then the price of the call is not known.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from langchain_core.outputs import Generation

from nbcache.entry.usage.priced_request import Request
from nbcache.entry.usage.reported_metadata import count, mapping, message_of

_SEARCH = "web_search"
# Tools that cost no more than the tokens that they take.
_FREE = frozenset(
    {
        *("function", "custom_tool", "computer", "computer_use", "mcp", "remote_mcp", "local_shell", "apply_patch"),
        *("tool_search", "tool_search_tool_regex", "tool_search_tool_bm25", "web_fetch", "memory"),
    }
)
# Blocks of answers that other models had a part in, whose tokens are counted elsewhere.
_ELSEWHERE = frozenset({"compaction", "advisor_tool_result"})
_SOURCES = ("num_sources_used", "num_server_side_tools_used")  # x.ai's
_OTHERS = frozenset({"iterations", *_SOURCES})
_QUERIES = ("web_search_queries", "image_search_queries", "google_maps_widget_context_token", "search_entry_point")


class Fees(NamedTuple):
    """The searches that the provider counted, and whether something else was charged that no answer counts."""

    searches: int = 0
    uncounted: bool = False


def fees_of(  # noqa: PLR0913 - all that a fee depends on
    reported: Sequence[dict[str, Any]],
    usages: Sequence[dict[str, Any]],
    generations: Iterable[Generation],
    request: Request,
    *,
    provider: str | None,
    model: str,
) -> Fees:
    """What was charged besides tokens, by the answer's metadata and blocks, and by what the request asked for."""
    tools: set[str] = set()
    for generation in generations:
        tools.update(_tools_of(generation, provider))
    searches = None
    for usage in usages:
        if "server_tool_use" in usage and searches is None:
            searches = count(mapping(usage["server_tool_use"]).get("web_search_requests"))
    if searches is not None:
        tools.discard(_SEARCH)
    uncounted = bool(tools) or any(map(_has_others, usages)) or any(map(_is_grounded, reported))
    return Fees(searches or 0, uncounted or request.searches or _always_searches(provider, model))


def _has_others(usage: dict[str, Any]) -> bool:
    """Whether other models or sources were charged for, too."""
    if _OTHERS.isdisjoint(usage):
        return False
    passes = usage.get("iterations")  # of Claude's: a compaction, an adviser, a model that stepped in
    if isinstance(passes, list) and (len(passes) > 1 or any(mapping(each).get("type") != "message" for each in passes)):
        return True
    return any(usage.get(name) for name in _SOURCES)


def _is_grounded(part: dict[str, Any]) -> bool:
    """Whether Google has searched. Some searches are free each day, so the price isn't known."""
    if "grounding_metadata" not in part:
        return False
    grounding = mapping(part["grounding_metadata"])
    return bool(grounding) and (
        any(grounding.get(name) for name in _QUERIES)
        or any(mapping(chunk).get("maps") for chunk in grounding.get("grounding_chunks") or ())
    )


def _always_searches(provider: str | None, model: str) -> bool:
    match provider:
        case "openai" | "azure":
            return "-search-" in model
        case "perplexity":
            return "sonar" in model
        case "openrouter":
            return model.endswith(":online") or "/sonar" in model or "-search-" in model
    return False


def _tools_of(generation: Generation, provider: str | None) -> Iterator[str]:
    """The names of the tools that the provider ran for an answer, but for those that cost nothing."""
    message = message_of(generation)
    if message is None:
        return
    beside, content = message.additional_kwargs, message.content
    if not beside and isinstance(content, str):
        return
    blocks = content if isinstance(content, list) else []
    if beside:
        if beside.get("executed_tools"):  # Groq's
            yield "executed_tools"
        blocks = [*blocks, *(beside.get("tool_outputs") or ())]
    for block in map(mapping, blocks):
        kind = block.get("type")
        if not isinstance(kind, str):
            continue
        if kind in {"server_tool_use", "server_tool_call"}:
            kind = f"{block.get('name')}_call"
        if kind.endswith("_call") and (name := kind.removesuffix("_call")) not in _FREE:
            yield name
        elif kind in _ELSEWHERE or (kind == "image" and provider in {"openai", "azure"}):
            yield kind
