"""What an answer is good for: whether it may be handed out again in place of a new one."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, Generation

from nbcache.entry.finish_reasons import CUT_OFF_REASONS, FILTERED_REASONS, UNFINISHED_REASONS, is_good_also, meaning
from nbcache.entry.records import STATUSES

OK, CUT_OFF, FILTERED, EMPTY, UNFINISHED = STATUSES

_REASON_FIELDS = frozenset(
    {"finish_reason", "stop_reason", "done_reason", "finishReason", "stopReason", "completionReason"}
)
_PLACES = _REASON_FIELDS | {"status"}
_ALL_GOOD = {OK}
_BEDROCK_METRICS = "amazon-bedrock-invocationMetrics"  # in the last event of an answer that is streamed


def status_of(generations: Sequence[Generation], *, by_client: bool = False, ended: bool = True) -> str:
    """One of `STATUSES`: of several generations, what is wrong with any of them.

    No generations at all is `empty`. `by_client` says that a provider's client made them: then a finish reason that is
    on no list is `unfinished`. So is an answer that has not `ended`.
    """
    statuses = {_status(generation, by_client=by_client) for generation in generations} or {EMPTY}
    if not ended:
        statuses.add(UNFINISHED)
    if statuses == _ALL_GOOD:
        return OK
    return next(status for status in (FILTERED, UNFINISHED, CUT_OFF, EMPTY) if status in statuses)


def reusable(status: str, *, limits_tokens: bool) -> bool:
    """Whether such an answer is a hit in mode `on`; others are recordings.

    An answer that is cut off is what a call asked for that set its own token limit, and an accident otherwise.
    """
    return status == OK or (status == CUT_OFF and limits_tokens)


def unknown_reason(generations: Sequence[Generation]) -> str | None:
    """The first finish reason that is on no list, if any."""
    reasons = (reason for generation in generations for reason in _reasons(generation))
    return next((reason for reason in reasons if meaning(reason) is None and not is_good_also(reason)), None)


def shows_end(generation: Generation) -> bool:
    """Whether an answer, or a chunk of one, says that it has ended, well or not."""
    if any(meaning(reason) != frozenset() for reason in _reasons(generation)):
        return True
    return any(part.get("done") is True or _BEDROCK_METRICS in part for part in _metadata(generation))


def tells_reason(generation: Generation) -> bool:
    """Whether an answer has a place for its finish reason, even if that is empty."""
    return not all(map(_PLACES.isdisjoint, _metadata(generation)))


def _status(generation: Generation, *, by_client: bool) -> str:
    reasons: set[str] = set()
    for reason in _reasons(generation):
        words = meaning(reason)
        if words is not None:
            reasons |= words
        elif by_client and not is_good_also(reason):
            reasons |= UNFINISHED_REASONS
    if reasons & FILTERED_REASONS or _refused(generation):
        return FILTERED
    if reasons & CUT_OFF_REASONS:
        return CUT_OFF
    if reasons & UNFINISHED_REASONS:
        return UNFINISHED
    return OK if _says_something(generation) else EMPTY


def _metadata(generation: Generation) -> list[Mapping[str, Any]]:
    """The mappings in which a finish reason may be."""
    parts: list[Mapping[str, Any]] = [generation.generation_info] if generation.generation_info else []
    if isinstance(generation, ChatGeneration):
        parts.append(generation.message.response_metadata)
    return parts


def _reasons(generation: Generation) -> Iterable[str]:
    for part in _metadata(generation):
        for name in _REASON_FIELDS:
            if name in part and isinstance(reason := part[name], str):
                yield reason
    if isinstance(generation, ChatGeneration):
        metadata = generation.message.response_metadata
        status = metadata.get("status")
        if isinstance(status, str) and (metadata.get("object") == "response" or meaning(status)):  # OpenAI's Responses
            yield status
            details = metadata.get("incomplete_details")
            if isinstance(details, dict) and isinstance(reason := details.get("reason"), str):
                yield reason


def _refused(generation: Generation) -> bool:
    if not isinstance(generation, ChatGeneration):
        return False
    message = generation.message
    if message.additional_kwargs.get("refusal"):
        return True
    return type(message.content) is not str and any(block.get("type") == "refusal" for block in _blocks(message))


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
