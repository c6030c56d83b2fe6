"""What the finish reasons of providers mean."""

import functools
import re
from collections.abc import Iterable

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
CUT_OFF_REASONS = {
    *("length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded", "incomplete"),
    *("continuation", "error_limit", "token_limit", "max_len", "max_context"),
}
FILTERED_REASONS = {
    *("content_filter", "content_filtered", "safety", "refusal", "recitation", "blocklist", "prohibited_content"),
    *("spii", "guardrail_intervened", "image_safety", "image_prohibited_content", "image_recitation", "error_toxic"),
    *("model_armor", "escalation", "pup_limited_disabled", "sensitive"),
    # the provider gave up: asked again, the model may do better
    *("language", "other", "malformed_function_call", "unexpected_tool_call", "too_many_tool_calls", "no_image"),
    *("image_other", "malformed_model_output", "malformed_tool_use", "insufficient_system_resource"),
    *("missing_thought_signature", "malformed_response", "network_error", "abort"),
    *("error", "failed", "cancelled", "timeout", "user_cancel"),
}
UNFINISHED_REASONS = {"pause_turn", "in_progress", "queued", "not_finished", "time_limit"}
_NO_REASON = {"null", "none", "unspecified"}
_WORDS = sorted(_GOOD | CUT_OFF_REASONS | FILTERED_REASONS | UNFINISHED_REASONS | _NO_REASON, key=len, reverse=True)
_PREFIX = re.compile(r"^(finish_)?reason_")

_also_good: frozenset[str] = frozenset()


def good_also(reasons: Iterable[str]) -> None:
    """Let these finish reasons be good ones too (`%config NBCache.finish_reasons`). Replaces earlier ones."""
    global _also_good  # noqa: PLW0603 - one setting of the process, as providers' words are
    _also_good = frozenset(reason.lower() for reason in reasons)


def is_good_also(reason: str) -> bool:
    """Whether `good_also` has named this reason."""
    return reason.lower() in _also_good


@functools.lru_cache(maxsize=256)
def meaning(reason: str) -> frozenset[str] | None:
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
