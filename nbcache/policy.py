"""What an answer is good for: whether it may be handed out again in place of a new one."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, Generation

OK, CUT_OFF, FILTERED, EMPTY = "ok", "cut off", "filtered", "empty"

_REASON_FIELDS = ("finish_reason", "stop_reason", "done_reason", "finishReason", "stopReason")
# As OpenAI, Anthropic, Google, Mistral, Bedrock, Cohere and DeepSeek name them; all in lower case.
_CUT_OFF = {
    *("length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded", "incomplete"),
    *("continuation", "error_limit"),
}
_FILTERED = {
    *("content_filter", "content_filtered", "safety", "refusal", "recitation", "blocklist", "prohibited_content"),
    *("spii", "guardrail_intervened", "image_safety", "image_prohibited_content", "image_recitation", "error_toxic"),
    # the provider gave up: asked again, the model may do better
    *("language", "other", "malformed_function_call", "unexpected_tool_call", "too_many_tool_calls", "no_image"),
    *("image_other", "malformed_model_output", "malformed_tool_use", "insufficient_system_resource"),
    *("error", "failed", "cancelled", "timeout", "user_cancel"),
}


def status_of(generations: Sequence[Generation]) -> str:
    """`ok`, `cut off`, `filtered` or `empty`: of several generations, what is wrong with any of them.

    No generations at all is `empty`.
    """
    found = {_status(generation) for generation in generations} or {EMPTY}
    return next(status for status in (FILTERED, CUT_OFF, EMPTY, OK) if status in found)


def reusable(status: str, *, limits_tokens: bool) -> bool:
    """Whether such an answer is a hit in mode `on`; others are recordings.

    An answer that is cut off is what a call asked for that set its own token limit, and an accident otherwise.
    """
    return status == OK or (status == CUT_OFF and limits_tokens)


def _status(generation: Generation) -> str:
    reasons = {_once(reason.lower()) for reason in _reasons(generation)}
    if reasons & _FILTERED or _refused(generation):
        return FILTERED
    if reasons & _CUT_OFF:
        return CUT_OFF
    return OK if _says_something(generation) else EMPTY


def _reasons(generation: Generation) -> Iterable[str]:
    told: list[Mapping[str, Any]] = [generation.generation_info or {}]
    if isinstance(generation, ChatGeneration):
        metadata = generation.message.response_metadata
        told.append(metadata)
        if isinstance(status := metadata.get("status"), str):  # OpenAI's Responses API
            details = metadata.get("incomplete_details")
            reason = details.get("reason") if isinstance(details, dict) else None
            told += [{"finish_reason": reason}, {"finish_reason": status}]
    for mapping in told:
        for name in _REASON_FIELDS:
            if isinstance(mapping.get(name), str):
                yield mapping[name]


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
    """The blocks of a message's content; none where it is text, which is long to walk through."""
    return [block for block in message.content if isinstance(block, dict)] if isinstance(message.content, list) else []


def _shows_something(block: Mapping[str, Any]) -> bool:
    """Whether a block of content is more than its type: an image, a call, reasoning."""
    return any(
        value.strip() if isinstance(value, str) else value
        for name, value in block.items()
        if name not in {"type", "index", "id", "annotations", "extras"}
    )


def _once(text: str) -> str:
    """A word that was written several times without a break: so LangChain joins what each chunk of a stream tells."""
    for length in range(2, len(text) // 2 + 1):
        if len(text) % length == 0 and text[:length] * (len(text) // length) == text:
            return text[:length]
    return text
