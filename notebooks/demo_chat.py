"""Chat completions as OpenAI's API speaks them: whole, or in chunks."""

import json
import re
import time
import uuid
from dataclasses import dataclass
from typing import Any, Self

from demo_answers import CHARACTERS_A_TOKEN, Repertoire, Reply, text_of

CHAT_MODEL = "demo-model"


@dataclass(frozen=True)
class Completion:
    """One request, understood, and the answer it gets."""

    reply: Reply
    prompt_tokens: int
    cached_tokens: int
    n: int
    stream: bool

    @classmethod
    def of(cls, body: bytes, repertoire: Repertoire) -> Self:
        """Read a request's JSON; `ValueError` says what is wrong with it."""
        request = json.loads(body)
        messages = request.get("messages") if isinstance(request, dict) else None
        if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
            raise ValueError("'messages' must be a list of at least one message")
        n = request.get("n") or 1
        if not isinstance(n, int) or not 1 <= n <= 128:
            raise ValueError("'n' must be an integer from 1 to 128")
        tools = [] if request.get("tool_choice") == "none" else request.get("tools") or []
        if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
            raise ValueError("'tools' must be a list of tools")
        return cls(
            reply=repertoire.reply(messages, tools),
            prompt_tokens=3 + sum(4 + tokens_in(text_of(message)) for message in messages),
            cached_tokens=repertoire.cached_tokens(messages),
            n=n,
            stream=bool(request.get("stream")),
        )

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return seconds_for(self.reply.text)

    def answer(self) -> dict[str, Any]:
        """The answer whole."""
        message: dict[str, Any] = {"role": "assistant", "content": self.reply.text}
        if self.reply.call:
            message["tool_calls"] = [self._called(json.dumps(self.reply.call[1]))]
        choices = self._choices(self._reason, message=message)
        return _label("chat.completion") | {"choices": choices, "usage": self._usage}

    def chunks(self) -> list[dict[str, Any]]:
        """The answer word by word, a tool's arguments in two pieces, and the usage at the end."""
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": word} for word in re.findall(r"\s*\S+", self.reply.text)]
        if self.reply.call:
            arguments = json.dumps(self.reply.call[1])
            half = len(arguments) // 2
            pieces = [{"index": 0, "function": {"arguments": text}} for text in (arguments[:half], arguments[half:])]
            deltas += [{"tool_calls": [piece]} for piece in ({"index": 0, **self._called("")}, *pieces)]
        chunks: list[dict[str, Any]] = [{"choices": self._choices(None, delta=delta)} for delta in deltas]
        chunks += [{"choices": self._choices(self._reason, delta={})}, {"choices": [], "usage": self._usage}]
        label = _label("chat.completion.chunk")
        return [label | chunk for chunk in chunks]

    @property
    def _reason(self) -> str:
        return "tool_calls" if self.reply.call else "stop"

    @property
    def _usage(self) -> dict[str, Any]:
        """The tokens, as the provider reports them: the prompt's once, the answer's for each of the n choices."""
        said = self.reply.text + (json.dumps(self.reply.call) if self.reply.call else "")
        asked, answered = self.prompt_tokens, self.n * tokens_in(said)
        details = {
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": 0},
        }
        return details | {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}

    def _called(self, arguments: str) -> dict[str, Any]:
        assert self.reply.call
        function = {"name": self.reply.call[0], "arguments": arguments}
        return {"id": f"call_demo_{uuid.uuid4().hex}", "type": "function", "function": function}

    def _choices(self, finish_reason: str | None, **content: object) -> list[dict[str, Any]]:
        """The same content n times: who knows one answer can't draw samples."""
        return [{"index": i, "finish_reason": finish_reason, "logprobs": None, **content} for i in range(self.n)]


def tokens_in(text: str) -> int:
    """About how many tokens this text has."""
    return -(-len(text) // CHARACTERS_A_TOKEN)


def seconds_for(answer: str) -> float:
    """About what a small model would need."""
    return min(0.3 + 0.01 * tokens_in(answer), 0.9)


def _label(kind: str) -> dict[str, Any]:
    identity = {"id": f"chatcmpl-demo-{uuid.uuid4().hex}", "object": kind, "created": int(time.time())}
    return identity | {"model": CHAT_MODEL, "system_fingerprint": "nbcache-demo"}
