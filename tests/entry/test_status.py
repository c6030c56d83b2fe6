"""What an answer is good for, by the words that providers use."""

from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation

import nbcache
from nbcache.entry.status import CUT_OFF, EMPTY, FILTERED, OK, UNFINISHED, reusable, status_of
from nbcache.session import installation
from nbcache.stores.entry_costs import entry_cost
from tests.integrations.providers.providers import CLIENTS
from tests.servers.provider import Answer, Provider


def chat(content: Any = "x", info: dict[str, Any] | None = None, **fields: Any) -> ChatGeneration:
    return ChatGeneration(message=AIMessage(content, **fields), generation_info=info)


@pytest.mark.parametrize(
    ("metadata", "status"),
    [
        ({}, OK),
        *(({"finish_reason": reason}, OK) for reason in ("stop", "tool_calls", "function_call", "STOP", "", None, 1)),
        *(({"stop_reason": reason}, OK) for reason in ("end_turn", "stop_sequence", "tool_use")),
        ({"stop_reason": "pause_turn"}, UNFINISHED),
        ({"status": "completed", "incomplete_details": None}, OK),
        ({"finish_reason": "length"}, CUT_OFF),
        ({"finish_reason": "MAX_TOKENS"}, CUT_OFF),
        ({"stop_reason": "max_tokens"}, CUT_OFF),
        ({"stop_reason": "model_context_window_exceeded"}, CUT_OFF),
        ({"stopReason": "max_tokens"}, CUT_OFF),
        ({"done_reason": "length"}, CUT_OFF),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, CUT_OFF),
        ({"status": "incomplete", "incomplete_details": None}, CUT_OFF),
        ({"finish_reason": "content_filter"}, FILTERED),
        ({"finish_reason": "SAFETY"}, FILTERED),
        ({"stop_reason": "refusal"}, FILTERED),
        ({"stopReason": "guardrail_intervened"}, FILTERED),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, FILTERED),
    ],
    ids=str,
)
def test_the_providers_reason_tells_the_status(metadata: dict[str, Any], status: str) -> None:
    assert status_of([chat(response_metadata=metadata)]) == status


def test_the_reason_may_be_in_the_generation() -> None:
    assert status_of([chat(info={"finish_reason": "length"})]) == CUT_OFF
    assert status_of([Generation(text="x", generation_info={"finish_reason": "length"})]) == CUT_OFF
    assert status_of([Generation(text="x", generation_info={"done_reason": "stop"})]) == OK


CALL = {"name": "f", "args": {}, "id": "1"}


@pytest.mark.parametrize(
    ("generation", "status"),
    [
        (chat(""), EMPTY),
        (chat(" \n"), EMPTY),
        (chat([]), EMPTY),
        (Generation(text=""), EMPTY),
        (chat("", tool_calls=[CALL]), OK),
        (chat("", invalid_tool_calls=[{**CALL, "args": "{", "error": None}]), OK),
        (chat([{"type": "image", "base64": "x"}]), OK),
        (chat("", additional_kwargs={"function_call": {"name": "f", "arguments": "{}"}}), OK),
        (chat("", additional_kwargs={"audio": {"data": "x"}}), OK),
        (chat("", additional_kwargs={"refusal": "I can't"}), FILTERED),
        (chat([{"type": "refusal", "refusal": "I can't"}]), FILTERED),
        (chat("x", additional_kwargs={"refusal": None}), OK),
    ],
    ids=repr,
)
def test_an_answer_that_says_nothing_is_empty(generation: Generation, status: str) -> None:
    assert status_of([generation]) == status


@pytest.mark.parametrize(
    "nothing",
    [{"refusal": None}, {"refusal": ""}, {"function_call": None}, {"tool_calls": []}],
    ids=str,
)
def test_an_answer_of_fields_that_hold_nothing_is_empty(nothing: dict[str, Any]) -> None:
    """OpenAI's client puts `refusal: None` into every answer."""
    assert status_of([chat("", additional_kwargs=nothing)]) == EMPTY


@pytest.mark.parametrize("block", [{"type": "text", "text": ""}, {"type": "text", "text": " "}, {"type": "text"}])
def test_an_empty_block_of_text_says_nothing(block: dict[str, Any]) -> None:
    assert status_of([chat([block])]) == EMPTY


def test_of_several_answers_the_worst_counts() -> None:
    ok, empty = chat(), chat("")
    cut, filtered = (chat(response_metadata={"finish_reason": reason}) for reason in ("length", "content_filter"))
    assert status_of([ok, empty]) == EMPTY
    assert status_of([empty, cut, ok]) == CUT_OFF
    assert status_of([cut, filtered]) == FILTERED
    assert status_of([]) == EMPTY


def test_only_what_is_whole_or_was_cut_off_as_asked_is_used_again() -> None:
    assert [reusable(status, limits_tokens=False) for status in (OK, CUT_OFF, FILTERED, EMPTY)] == [True] + [False] * 3
    assert [reusable(status, limits_tokens=True) for status in (OK, CUT_OFF, FILTERED, EMPTY)] == [True] * 2 + [
        False
    ] * 2


REASONS = {"stop": OK, "length": CUT_OFF, "content_filter": FILTERED}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_every_clients_own_words_are_understood(client: str, reason: str, way: str, provider: Provider) -> None:
    if CLIENTS[client].provider == "ollama" and reason == "content_filter":
        return  # it has no such reason
    nbcache.install("memory://")
    model = CLIENTS[client].connect(provider.url)()
    provider.answer(Answer("one two three", finish_reason=reason))
    for _ in [model.invoke("q")] if way == "invoke" else model.stream("q"):
        pass
    (row,) = installation.installed().contents().entries()
    assert row.status == REASONS[reason]
    facts = entry_cost(installation.installed().store.get(row.key) or b"", row.key)
    assert facts.usage.model in {row.model, None}
    assert not facts.usage.estimated or CLIENTS[client].provider == "openai"


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("STOPSTOP", OK),
        ("MAX_TOKENSMAX_TOKENS", CUT_OFF),
        ("SAFETYSAFETYSAFETY", FILTERED),
        ("CONTINUATION", CUT_OFF),
        ("MALFORMED_FUNCTION_CALL", FILTERED),
        ("OTHER", FILTERED),
        ("error", FILTERED),
        ("malformed_tool_use", FILTERED),
        ("insufficient_system_resource", FILTERED),
        ("compaction", OK),
        ("eos", OK),
    ],
)
def test_reasons_that_are_joined_or_rare_are_understood(reason: str, status: str) -> None:
    """LangChain joins the words of a stream's chunks."""
    assert status_of([chat(response_metadata={"finish_reason": reason})]) == status


@pytest.mark.parametrize("told", [{"reason": "max_messages"}, {"reason": "steered"}, {}])
def test_a_response_that_is_incomplete_for_whatever_reason_is_cut_off(told: dict[str, str]) -> None:
    assert status_of([chat(response_metadata={"status": "incomplete", "incomplete_details": told})]) == CUT_OFF
