"""Google's dialect: what `generateContent` answers, and the pieces that `streamGenerateContent` sends."""

import base64
from collections.abc import Callable
from typing import Any

from tests.servers.provider_asked import Answer, Request, pieces, tokens

PREFIXES = ("/v1/models/", "/v1beta/models/")  # of google-genai 3 and 2

_REASONS = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}


def generated(request: Request, answer: Answer) -> list[dict[str, Any]]:
    """The answer as one body, or as those of a stream."""
    counted = tokens(request, answer)
    usage = {"promptTokenCount": counted[0], "candidatesTokenCount": counted[1], "totalTokenCount": sum(counted)}
    common = {"modelVersion": request.model, "responseId": f"response-{request.number}", "usageMetadata": usage}
    ending = {"finishReason": _REASONS.get(answer.reason, "STOP")}
    sent = [[part] for part in _parts(answer, pieces)] if is_streamed(request) else [_parts(answer, _whole)]
    return [
        {
            "candidates": [
                {"index": 0, "content": {"role": "model", "parts": some}, **(ending if i == len(sent) else {})}
            ],
            **common,
        }
        for i, some in enumerate(sent, 1)
    ]


def is_streamed(request: Request) -> bool:
    return request.path.endswith(":streamGenerateContent")


def is_embedding(request: Request) -> bool:
    return request.path.endswith((":embedContent", ":batchEmbedContents"))


def _parts(answer: Answer, cut: Callable[[str], list[str]]) -> list[dict[str, Any]]:
    """A call comes in one piece, even where text comes word by word."""
    thoughts = [{"text": piece, "thought": True} for piece in cut(answer.thinking)]
    calls = [{"functionCall": {"name": name, "args": arguments}} for name, arguments in answer.tool_calls]
    said: list[dict[str, Any]] = [*({"text": piece} for piece in cut(answer.text)), *calls]
    if thoughts:
        said[-1]["thoughtSignature"] = base64.b64encode(answer.thinking.encode()).decode()
    return [*thoughts, *said]


def _whole(text: str) -> list[str]:
    return [text] if text else []
