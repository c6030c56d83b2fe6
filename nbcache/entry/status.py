"""What an answer is good for: whether it may be handed out again in place of a new one."""

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, Generation

from nbcache.entry.records import STATUSES

OK, CUT_OFF, FILTERED, EMPTY, UNFINISHED = STATUSES

_REASON_FIELDS = {"finish_reason", "stop_reason", "done_reason", "finishReason", "stopReason", "completionReason"}
_BEDROCK_METRICS = "amazon-bedrock-invocationMetrics"  # in the last event of an answer that is streamed
# As OpenAI, Anthropic, Google, Mistral, Bedrock, Cohere, Ollama, watsonx, x.ai, vLLM and others name them; all in
# lower case, without the `FINISH_REASON_` or `REASON_` that some put before them.
_GOOD = {
    *("stop", "end_turn", "stop_sequence", "stop_sequences", "tool_calls", "tool_call", "tool_use", "function_call"),
    *(
        "complete",
        "completed",
        "finish",
        "finished",
        "done",
        "end",
        "eos",
        "eos_token",
        "eot",
        "endoftext",
        "stop_token",
    ),
    *("stop_criteria_met", "end_of_turn", "compaction", "load", "unload"),
}
_CUT_OFF = {
    *("length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded", "incomplete"),
    *("continuation", "error_limit", "token_limit", "max_len", "max_context"),
}
_FILTERED = {
    *("content_filter", "content_filtered", "safety", "refusal", "recitation", "blocklist", "prohibited_content"),
    *("spii", "guardrail_intervened", "image_safety", "image_prohibited_content", "image_recitation", "error_toxic"),
    *("model_armor", "escalation", "pup_limited_disabled", "sensitive"),
    # the provider gave up: asked again, the model may do better
    *("language", "other", "malformed_function_call", "unexpected_tool_call", "too_many_tool_calls", "no_image"),
    *("image_other", "malformed_model_output", "malformed_tool_use", "insufficient_system_resource"),
    *("missing_thought_signature", "malformed_response", "network_error", "abort"),
    *("error", "failed", "cancelled", "timeout", "user_cancel"),
}
_UNFINISHED = {"pause_turn", "in_progress", "queued", "not_finished", "time_limit"}
_NO_REASON = {"null", "none", "unspecified"}
_WORDS = sorted(_GOOD | _CUT_OFF | _FILTERED | _UNFINISHED | _NO_REASON, key=len, reverse=True)
_PREFIX = re.compile(r"^(finish_)?reason_")

_also_good: frozenset[str] = frozenset()


def good_also(reasons: Iterable[str]) -> None:
    """Let these finish reasons be good ones too (`%config NBCache.finish_reasons`). Replaces earlier ones."""
    global _also_good  # noqa: PLW0603 - one setting of the process, as providers' words are
    _also_good = frozenset(reason.lower() for reason in reasons)


def status_of(generations: Sequence[Generation], *, by_client: bool = False, ended: bool = True) -> str:
    """One of `STATUSES`: of several generations, what is wrong with any of them.

    No generations at all is `empty`. `by_client` says that a provider's client made them: then a finish reason that is
    on no list is `unfinished`. So is an answer that has not `ended`.
    """
    statuses = {_status(generation, by_client=by_client) for generation in generations} or {EMPTY}
    if not ended:
        statuses.add(UNFINISHED)
    return next(status for status in (FILTERED, UNFINISHED, CUT_OFF, EMPTY, OK) if status in statuses)


def reusable(status: str, *, limits_tokens: bool) -> bool:
    """Whether such an answer is a hit in mode `on`; others are recordings.

    An answer that is cut off is what a call asked for that set its own token limit, and an accident otherwise.
    """
    return status == OK or (status == CUT_OFF and limits_tokens)


def unknown_reason(generations: Sequence[Generation]) -> str | None:
    """The first finish reason that is on no list, if any."""
    reasons = (reason for generation in generations for reason in _reasons(generation))
    return next((reason for reason in reasons if _meaning(reason) is None and reason.lower() not in _also_good), None)


def shows_end(generation: Generation) -> bool:
    """Whether an answer, or a chunk of one, says that it has ended, well or not."""
    if any(_meaning(reason) != frozenset() for reason in _reasons(generation)):
        return True
    return any(part.get("done") is True or _BEDROCK_METRICS in part for part in _metadata(generation))


def tells_reason(generation: Generation) -> bool:
    """Whether an answer has a place for its finish reason, even if that is empty."""
    return any((_REASON_FIELDS | {"status"}) & part.keys() for part in _metadata(generation))


def _status(generation: Generation, *, by_client: bool) -> str:
    reasons: set[str] = set()
    for reason in _reasons(generation):
        words = _meaning(reason)
        if words is not None:
            reasons |= words
        elif by_client and reason.lower() not in _also_good:
            reasons |= _UNFINISHED
    if reasons & _FILTERED or _refused(generation):
        return FILTERED
    if reasons & _CUT_OFF:
        return CUT_OFF
    if reasons & _UNFINISHED:
        return UNFINISHED
    return OK if _says_something(generation) else EMPTY


def _metadata(generation: Generation) -> list[Mapping[str, Any]]:
    """The mappings in which a finish reason may be."""
    info = [generation.generation_info] if generation.generation_info else []
    return [*info, generation.message.response_metadata] if isinstance(generation, ChatGeneration) else [*info]


def _reasons(generation: Generation) -> Iterable[str]:
    for part in _metadata(generation):
        for name in _REASON_FIELDS & part.keys():
            if isinstance(reason := part[name], str):
                yield reason
    if isinstance(generation, ChatGeneration):
        metadata = generation.message.response_metadata
        status = metadata.get("status")
        if isinstance(status, str) and (metadata.get("object") == "response" or _meaning(status)):  # OpenAI's Responses
            yield status
            details = metadata.get("incomplete_details")
            if isinstance(details, dict) and isinstance(reason := details.get("reason"), str):
                yield reason


@functools.lru_cache(maxsize=256)
def _meaning(reason: str) -> frozenset[str] | None:
    """The words that a reason consists of, since LangChain joins the reasons of all chunks. None if a word is unknown.

    The set is empty if the text stands for no reason at all.
    """
    text, words, start = reason.strip().lower(), set(), 0
    while start < len(text):
        prefix = _PREFIX.match(text[start : start + 14])
        start += len(prefix[0]) if prefix else 0
        word = next((word for word in _WORDS if text.startswith(word, start)), None)
        if word is None:
            return None
        words.add(word)
        start += len(word)
    return frozenset(words - _NO_REASON)


def _refused(generation: Generation) -> bool:
    if not isinstance(generation, ChatGeneration):
        return False
    message = generation.message
    if message.additional_kwargs.get("refusal"):
        return True
    return any(block.get("type") == "refusal" for block in _blocks(message))


def _says_something(generation: Generation) -> bool:
    if generation.text.strip():
        return True
    if not isinstance(generation, ChatGeneration):
        return False
    message = generation.message
    if getattr(message, "tool_calls", None) or getattr(message, "invalid_tool_calls", None):
        return True
    if any(message.additional_kwargs.values()):  # function calls of old, audio, parsed objects
        return True
    return any(map(_shows_something, _blocks(message)))


def _blocks(message: BaseMessage) -> list[dict[str, Any]]:
    """The blocks of a message's content. None if it is text, which is long to walk through."""
    return [block for block in message.content if isinstance(block, dict)] if isinstance(message.content, list) else []


def _shows_something(block: Mapping[str, Any]) -> bool:
    """Whether a block of content is more than its type: an image, a call, reasoning."""
    return any(
        value.strip() if isinstance(value, str) else value
        for name, value in block.items()
        if name not in {"type", "index", "id", "annotations", "extras"}
    )
