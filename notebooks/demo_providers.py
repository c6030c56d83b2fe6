"""Answers as the APIs of Anthropic and Google have them, whole only, and the variables by which clients find the server."""

import json
from dataclasses import dataclass
from typing import Any, Protocol, Self

from demo_answers import Repertoire, text_of
from demo_chat import CHAT_MODEL, seconds_for, tokens_in

# By the variable of the provider's key: those that name its endpoint, each with the path that its clients expect there.
ENDPOINTS = {
    "OPENAI_API_KEY": {"OPENAI_BASE_URL": "/v1", "OPENAI_API_BASE": "/v1"},  # LlamaIndex reads the second
    "ANTHROPIC_API_KEY": {"ANTHROPIC_BASE_URL": ""},
    "GEMINI_API_KEY": {"GOOGLE_GEMINI_BASE_URL": ""},
}


class Answer(Protocol):
    """What the server needs to know of an answer."""

    @property
    def seconds(self) -> float: ...

    def answer(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class _Text:
    """A text that answers a conversation, and how many tokens that had."""

    text: str
    prompt_tokens: int

    @classmethod
    def replying(cls, messages: list[dict[str, Any]], repertoire: Repertoire) -> Self:
        asked = sum(tokens_in(text_of(message)) for message in messages)
        return cls(repertoire.reply(messages, tools=[]).text, asked)

    @property
    def seconds(self) -> float:
        return seconds_for(self.text)

    @property
    def tokens(self) -> int:
        return tokens_in(self.text)


class AnthropicMessage(_Text):
    """`/v1/messages`."""

    @classmethod
    def of(cls, body: bytes, repertoire: Repertoire) -> Self:
        """Read a request's JSON; `ValueError` says what is wrong with it."""
        request = _request(body, "messages")
        if request.get("stream"):
            raise ValueError("the demo server streams OpenAI's chats only")
        return cls.replying(request["messages"], repertoire)

    def answer(self) -> dict[str, Any]:
        return {
            "id": "msg_demo",
            "type": "message",
            "role": "assistant",
            "model": CHAT_MODEL,
            "content": [{"type": "text", "text": self.text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": self.prompt_tokens, "output_tokens": self.tokens},
        }


class GoogleContent(_Text):
    """`/v1beta/models/NAME:generateContent`."""

    @classmethod
    def of(cls, body: bytes, repertoire: Repertoire) -> Self:
        """Read a request's JSON; `ValueError` says what is wrong with it."""
        contents = _request(body, "contents")["contents"]
        return cls.replying([{"role": one.get("role"), "content": one.get("parts")} for one in contents], repertoire)

    def answer(self) -> dict[str, Any]:
        counted = {"promptTokenCount": self.prompt_tokens, "candidatesTokenCount": self.tokens}
        content = {"role": "model", "parts": [{"text": self.text}]}
        return {
            "candidates": [{"index": 0, "content": content, "finishReason": "STOP"}],
            "modelVersion": CHAT_MODEL,
            "responseId": "demo",
            "usageMetadata": {**counted, "totalTokenCount": self.prompt_tokens + self.tokens},
        }


def _request(body: bytes, messages: str) -> dict[str, Any]:
    """The request, which has messages under that name."""
    request = json.loads(body)
    listed = request.get(messages) if isinstance(request, dict) else None
    if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
        raise ValueError(f"'{messages}' must be a list of at least one message")
    return dict(request)
