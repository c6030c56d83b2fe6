"""What the bodies of all APIs have in common, as LangChain's generations: what people read, search and pay for."""

from collections.abc import Iterable
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, Generation

from nbcache.entry.finish_reasons import meaning
from nbcache.entry.text import called
from nbcache.errors import warn_once
from nbcache.integrations.http.apis.framing import Body


def chat_generation(  # noqa: PLR0913 - all that a message may have
    content: Any,
    calls: Iterable[Body],
    metadata: Body,
    *,
    refusal: Any = None,
    reasoning: Any = None,
    tools_run: Any = None,
    usage: UsageMetadata | None = None,
) -> ChatGeneration:
    """A message. `content` is a text or blocks, `calls` are tool calls as the provider writes them.

    `tools_run` are the tools that the provider itself has run for it.
    """
    tool_calls = list(map(called, calls))
    if reasoning:
        text = [{"type": "text", "text": content}] if content else []
        content = [{"type": "reasoning", "reasoning": str(reasoning)}, *text]
    elif isinstance(content, list) and all(block.get("type") == "text" for block in content):
        content = "".join(block.get("text") or "" for block in content)
    answer = AIMessage(
        content=content,
        tool_calls=[call for call in tool_calls if isinstance(call["args"], dict)],
        invalid_tool_calls=[{**call, "error": None} for call in tool_calls if isinstance(call["args"], str)],
        additional_kwargs=without_nulls({"refusal": refusal or None, "executed_tools": tools_run or None}),
        response_metadata=without_nulls(metadata),
        usage_metadata=usage,
    )
    return ChatGeneration(message=answer)


def text_generation(text: str, metadata: Body) -> Generation:
    """An answer that is no message."""
    return Generation(text=text, generation_info=without_nulls(metadata))


def all_finished(api: str, reasons: Iterable[Any]) -> bool:
    """Whether each part of an answer says why the model stopped. By the documentation of such an API it isn't whole otherwise."""
    if all(isinstance(reason, str) and meaning(reason) != frozenset() for reason in reasons):
        return True
    warn_once(
        f"no finish reason {api}",
        f"nbcache: an answer of {api} is not cached: it has no finish reason, so nobody knows whether it is whole",
    )
    return False


def without_nulls(body: Body) -> Body:
    """The fields that have a value."""
    return {name: value for name, value in body.items() if value is not None}


def append(whole: Body, part: Body, piecewise: frozenset[str]) -> None:
    """Add a part of a stream to `whole`: the texts in `piecewise` are appended, tool calls are merged by their index."""
    for name, value in without_nulls(part).items():
        if isinstance(value, str) and name in piecewise:
            whole[name] = (whole.get(name) or "") + value
        elif isinstance(value, dict):
            append(whole.setdefault(name, {}), value, piecewise)
        elif name == "tool_calls" and isinstance(value, list):
            calls = whole.setdefault(name, [])
            for i, call in enumerate(value):
                index = call.get("index", i)
                calls.extend({} for _ in range(index + 1 - len(calls)))
                append(calls[index], call, piecewise)
        else:
            whole[name] = value


def size_of_base64(encoded: str) -> int:
    """How many bytes a text of Base64 stands for, as near as people need it."""
    return len(encoded) * 3 // 4
