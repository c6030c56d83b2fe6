"""What providers charge for besides tokens: counted and listed it is priced, else the price is not known."""

from decimal import Decimal
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration

from nbcache.costs.price_lookup import Prices
from nbcache.entry.records import Usage
from nbcache.entry.usage.usage_of_call import usage_of
from tests.costs.test_client_costs import ANTHROPIC, GOOGLE, OPENAI, OPENROUTER, PERPLEXITY, WHEN, XAI, cost

TOKENS = {"input_tokens": 1000, "output_tokens": 500, "total_tokens": 1500}
GROQ = "https://api.groq.com"


def used(endpoint: str, model: str, *, identity: Any = None, content: Any = "Hi.", **message: Any) -> Usage:
    metadata = {"model_name": model, **message.pop("metadata", {})}
    answer = AIMessage(content, usage_metadata=TOKENS, response_metadata=metadata, **message)
    return usage_of([ChatGeneration(message=answer)], identity or {}, endpoint)


def test_searches_that_are_counted_cost_what_is_listed() -> None:
    told = {"usage": {"server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 9}}}
    usage = used(ANTHROPIC, "claude-haiku-4-5", metadata=told)
    assert (usage.web_searches, cost(usage)) == (3, Decimal("0.0035") + Decimal("0.03"))
    assert cost(used(ANTHROPIC, "claude-haiku-4-5")) == Decimal("0.0035")


def test_searches_without_a_listed_price_have_none() -> None:
    told = {"usage": {"server_tool_use": {"web_search_requests": 3}}}
    assert cost(used(OPENROUTER, "anthropic/claude-haiku-4.5", metadata=told)) is None
    own = Prices({"claude-haiku-4-5": {"input": 1, "output": 5}})
    assert own.price(used(ANTHROPIC, "claude-haiku-4-5", metadata=told), WHEN).usd is None
    by_call = Prices({"claude-haiku-4-5": {"request": 2}})
    assert by_call.price(used(ANTHROPIC, "claude-haiku-4-5", metadata=told), WHEN).usd == 2


def tool(name: str, kind: str = "server_tool_use") -> list[Any]:
    return [{"type": kind, "id": "1", "name": name}, {"type": "text", "text": "Hi."}]


@pytest.mark.parametrize(
    ("endpoint", "model", "answer"),
    [
        (ANTHROPIC, "claude-haiku-4-5", {"content": tool("web_search")}),  # of a stream: nobody counts them
        (ANTHROPIC, "claude-haiku-4-5", {"content": tool("code_execution")}),
        (ANTHROPIC, "claude-haiku-4-5", {"content": tool("what_comes_next", "server_tool_call")}),
        (ANTHROPIC, "claude-haiku-4-5", {"content": [{"type": "compaction", "content": "x"}]}),
        (ANTHROPIC, "claude-haiku-4-5", {"metadata": {"usage": {"iterations": [{"type": "message"}] * 2}}}),
        (ANTHROPIC, "claude-haiku-4-5", {"metadata": {"usage": {"iterations": [{"type": "compaction"}]}}}),
        (OPENAI, "gpt-5-mini", {"content": [{"type": "web_search_call", "id": "1"}]}),
        (OPENAI, "gpt-5-mini", {"content": [{"type": "image", "base64": "eA=="}]}),
        (OPENAI, "gpt-5-mini", {"additional_kwargs": {"tool_outputs": [{"type": "file_search_call"}]}}),
        (OPENAI, "gpt-4o-search-preview", {}),
        (OPENAI, "gpt-5-mini", {"identity": {"options": {"web_search_options": {"search_context_size": "low"}}}}),
        (GOOGLE, "gemini-2.5-flash", {"metadata": {"grounding_metadata": {"web_search_queries": ["x"]}}}),
        (
            GOOGLE,
            "gemini-2.5-flash",
            {"metadata": {"grounding_metadata": {"grounding_chunks": [{"maps": {"uri": "x"}}]}}},
        ),
        (GROQ, "openai/gpt-oss-120b", {"additional_kwargs": {"executed_tools": [{"type": "browser_search"}]}}),
        (XAI, "grok-4-0709", {"metadata": {"token_usage": {"num_sources_used": 2}}}),
        (XAI, "grok-4-0709", {"identity": {"fields": {"search_parameters": {"mode": "auto"}}}}),
        (PERPLEXITY, "sonar", {}),
        (OPENROUTER, "anthropic/claude-haiku-4.5:online", {}),
        (
            OPENROUTER,
            "anthropic/claude-haiku-4.5",
            {"identity": {"fields": {"extra_body": {"plugins": [{"id": "web"}]}}}},
        ),
    ],
)
def test_what_nobody_counts_leaves_the_price_unknown(endpoint: str, model: str, answer: dict[str, Any]) -> None:
    usage = used(endpoint, model, **answer)
    assert "other" in usage.mixed.split()
    assert cost(usage) is None


@pytest.mark.parametrize(
    ("endpoint", "model", "answer"),
    [
        (ANTHROPIC, "claude-haiku-4-5", {"content": tool("web_fetch")}),
        (ANTHROPIC, "claude-haiku-4-5", {"content": tool("tool_search_tool_regex")}),
        (ANTHROPIC, "claude-haiku-4-5", {"metadata": {"usage": {"iterations": [{"type": "message"}]}}}),
        (ANTHROPIC, "claude-haiku-4-5", {"metadata": {"usage": {"server_tool_use": None}}}),
        (OPENAI, "gpt-5-mini", {"content": [{"type": "function_call", "name": "web_search"}]}),
        (OPENAI, "gpt-5-mini", {"content": [{"type": "mcp_call", "name": "x"}]}),
        (OPENAI, "gpt-5-mini", {"tool_calls": [{"name": "web_search", "args": {}, "id": "1"}]}),  # the user's own
        (
            GOOGLE,
            "gemini-2.5-flash",
            {"metadata": {"grounding_metadata": {"web_search_queries": [], "grounding_chunks": []}}},
        ),
        (GOOGLE, "gemini-2.5-flash", {"metadata": {"grounding_metadata": None}}),
        (XAI, "grok-4-0709", {"identity": {"fields": {"search_parameters": {"mode": "off"}}}}),
        (XAI, "grok-4-0709", {"metadata": {"token_usage": {"num_sources_used": 0}}}),
    ],
)
def test_what_costs_nothing_more_leaves_the_price_as_it_is(endpoint: str, model: str, answer: dict[str, Any]) -> None:
    usage = used(endpoint, model, **answer)
    assert cost(usage) == cost(used(endpoint, model)) is not None


def test_what_was_charged_has_all_in_it() -> None:
    told = {"metadata": {"token_usage": {"cost": 0.02}, "usage": {"server_tool_use": {"web_search_requests": 3}}}}
    assert cost(used(OPENROUTER, "anthropic/claude-haiku-4.5:online", **told)) == Decimal("0.02")


@pytest.mark.parametrize(
    ("endpoint", "model", "known"),
    [
        ("https://aiplatform.googleapis.com", "claude-opus-4-8", True),
        ("https://us-east5-aiplatform.googleapis.com/v1", "claude-opus-4-8", False),
        ("https://aiplatform.us.rep.googleapis.com/v1", "claude-opus-4-8", False),
        ("https://us-east5-aiplatform.googleapis.com/v1", "gemini-2.5-flash", True),
        ("https://api.openai.com/v1", "gpt-5.4", True),
        ("https://eu.api.openai.com/v1", "gpt-5.4", False),
        ("https://eu.api.openai.com/v1", "gpt-4o-mini", True),
    ],
)
def test_an_answer_from_one_region_may_cost_more_than_is_listed(endpoint: str, model: str, known: bool) -> None:
    assert (cost(used(endpoint, model)) is not None) == known


def test_a_request_for_the_usual_tier_has_the_usual_price() -> None:
    asked = {"options": {"service_tier": "standard_only"}}
    assert cost(used(ANTHROPIC, "claude-haiku-4-5", identity=asked)) == Decimal("0.0035")
