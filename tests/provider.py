"""A model provider on loopback: enough of OpenAI, Anthropic and Ollama for LangChain's real clients.

An answer that nobody scripted depends on the whole request, so that a wrong hit shows.
"""

import hashlib
import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

_PATIENCE = 30  # seconds that a held answer, or a test, waits at most

_ANTHROPIC_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_RESPONSES_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}


@dataclass(frozen=True)
class Request:
    """A request as it came in; the names of `headers` are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def echo(self) -> str:
        """The answer to this request and no other: the model's name and a digest of the whole body."""
        written = json.dumps(self.body, sort_keys=True)
        return f"{self.body.get('model')} {hashlib.sha256(written.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Answer:
    """What the model says. Several `choices` of a request say the same, each with its number after the first.

    `tool_calls` are names and arguments; `finish_reason` is `stop`, `length`, `tool_calls` or `content_filter`.
    """

    text: str = ""
    tool_calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    finish_reason: str = "stop"

    @property
    def reason(self) -> str:
        """Why the model stopped: it calls tools, or what was scripted."""
        return "tool_calls" if self.tool_calls and self.finish_reason == "stop" else self.finish_reason


@dataclass
class Provider:
    """The running server: what it was asked, and what it is to answer.

    Use it as a context manager. `url` is its root; `openai`, `anthropic` and `ollama` are the arguments with
    which a client finds it.
    """

    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._script: deque[Answer] = deque()
        self._failures: deque[int] = deque()
        self._open = threading.Event()
        self._open.set()
        self._changed = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.provider = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="provider", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def openai(self) -> dict[str, Any]:
        return {"base_url": f"{self.url}/v1", "api_key": "sk-test"}

    @property
    def anthropic(self) -> dict[str, Any]:
        return {"base_url": self.url, "api_key": "sk-test"}

    @property
    def ollama(self) -> dict[str, Any]:
        return {"base_url": self.url}

    def answer(self, *answers: Answer | str) -> None:
        """Give these answers, one to each of the next requests; after the last, echo again."""
        with self._changed:
            self._script.extend(Answer(one) if isinstance(one, str) else one for one in answers)

    def fail(self, status: int, times: int = 1) -> None:
        """Answer the next `times` requests with this error status."""
        with self._changed:
            self._failures.extend([status] * times)

    @contextmanager
    def hold(self) -> Iterator[threading.Event]:
        """Keep back all answers until the event is set, or the block ends. Requests are recorded meanwhile."""
        self._open.clear()
        try:
            yield self._open
        finally:
            self._open.set()

    def wait_for(self, count: int) -> None:
        """Wait until `count` requests have come in. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.requests) >= count, _PATIENCE):
                raise TimeoutError(f"{len(self.requests)} requests came in, not {count}")

    def receive(self, request: Request) -> Answer | int:
        """Record a request; its answer, or the status with which it fails."""
        with self._changed:
            self.requests.append(request)
            reply = self._reply(request)
            self._changed.notify_all()
        self._open.wait(_PATIENCE)
        return reply

    def _reply(self, request: Request) -> Answer | int:
        if self._failures:
            return self._failures.popleft()
        return self._script.popleft() if self._script else Answer(request.echo)


class _Server(ThreadingHTTPServer):
    provider: Provider
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of some tests."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has in the base class
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.path.partition("?")[0], headers, body)
        answer = self.server.provider.receive(request)
        speak = _DIALECTS.get(request.path)
        if isinstance(answer, int) or speak is None:
            status = answer if isinstance(answer, int) else 404
            self._send(status, "application/json", json.dumps({"error": {"message": f"status {status}"}}))
        else:
            self._send(200, *speak(request, answer))

    def _send(self, status: int, kind: str, content: str) -> None:
        data = content.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _chat_completions(request: Request, answer: Answer) -> tuple[str, str]:
    body, usage = request.body, _openai_usage(request, answer)
    calls = [
        {
            "id": f"call_{i}",
            "index": i,
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments)},
        }
        for i, (name, arguments) in enumerate(answer.tool_calls)
    ]
    common = {"id": "chatcmpl-1", "created": 1, "model": body["model"]}
    if body.get("stream"):
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": piece} for piece in _pieces(answer.text)]
        deltas += [{"tool_calls": [call]} for call in calls]
        chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": answer.reason}]})
        if (body.get("stream_options") or {}).get("include_usage"):
            chunks.append({"choices": [], "usage": usage})
        return _events(*({**common, "object": "chat.completion.chunk", **chunk} for chunk in chunks), done=True)
    called: dict[str, Any] = {"tool_calls": calls} if calls else {}
    choices = [
        {
            "index": i,
            "message": {"role": "assistant", "content": text or None, **called},
            "finish_reason": answer.reason,
        }
        for i, text in enumerate(_choices(answer, body))
    ]
    return _json({**common, "object": "chat.completion", "choices": choices, "usage": usage})


def _completions(request: Request, answer: Answer) -> tuple[str, str]:
    body, usage = request.body, _openai_usage(request, answer)
    common = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": body["model"]}
    if body.get("stream"):
        chunks: list[dict[str, Any]] = [
            *({"choices": [{"index": 0, "text": piece, "finish_reason": None}]} for piece in _pieces(answer.text)),
            {"choices": [{"index": 0, "text": "", "finish_reason": answer.reason}]},
        ]
        return _events(*(common | chunk for chunk in chunks), done=True)
    prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
    texts = [
        text if len(prompts) == 1 else f"{text} to {prompt!r}" for prompt in prompts for text in _choices(answer, body)
    ]
    choices = [{"index": i, "text": text, "finish_reason": answer.reason} for i, text in enumerate(texts)]
    return _json({**common, "choices": choices, "usage": usage})


def _responses(request: Request, answer: Answer) -> tuple[str, str]:
    content = [{"type": "output_text", "text": answer.text, "annotations": []}]
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}
    calls = [
        {
            "id": f"fc_{i}",
            "type": "function_call",
            "call_id": f"call_{i}",
            "name": name,
            "arguments": json.dumps(arguments),
            "status": "completed",
        }
        for i, (name, arguments) in enumerate(answer.tool_calls)
    ]
    reason = _RESPONSES_REASONS.get(answer.reason)
    usage = _openai_usage(request, answer)
    response = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": request.body["model"],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": [*([message] if answer.text else []), *calls],
        "usage": {
            "input_tokens": usage["prompt_tokens"],
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": usage["completion_tokens"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage["total_tokens"],
        },
    }
    if not request.body.get("stream"):
        return _json(response)
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**response, "status": "in_progress", "output": [], "usage": None}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**message, "content": []}},
        {"type": "response.content_part.added", **place, "part": {**content[0], "text": ""}},
        *(
            {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
            for piece in _pieces(answer.text)
        ),
        {"type": "response.output_text.done", **place, "text": answer.text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": content[0]},
        {"type": "response.output_item.done", "output_index": 0, "item": message},
        {"type": "response.completed", "response": response},
    ]
    return _events(*({**event, "sequence_number": i} for i, event in enumerate(events)))


def _messages(request: Request, answer: Answer) -> tuple[str, str]:
    tokens = _tokens(request, answer)
    blocks: list[dict[str, Any]] = [{"type": "text", "text": answer.text}] if answer.text else []
    blocks += [
        {"type": "tool_use", "id": f"toolu_{i}", "name": name, "input": arguments}
        for i, (name, arguments) in enumerate(answer.tool_calls)
    ]
    ending = {"stop_reason": _ANTHROPIC_REASONS[answer.reason], "stop_sequence": None}
    usage = {"input_tokens": tokens[0], "output_tokens": tokens[1]}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": request.body["model"]}
    if not request.body.get("stream"):
        return _json({**message, "content": blocks, **ending, "usage": usage})
    begun = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 0}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": begun}]
    for i, block in enumerate(blocks):
        if block["type"] == "text":
            empty: dict[str, Any] = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"])]
        else:
            empty = {**block, "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
        events.append({"type": "content_block_start", "index": i, "content_block": empty})
        events += [{"type": "content_block_delta", "index": i, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": i})
    events.append({"type": "message_delta", "delta": ending, "usage": usage})
    return _events(*events, {"type": "message_stop"})


def _ollama_chat(request: Request, answer: Answer) -> tuple[str, str]:
    calls = [{"function": {"name": name, "arguments": arguments}} for name, arguments in answer.tool_calls]
    said: list[dict[str, Any]] = [{"role": "assistant", "content": piece} for piece in _pieces(answer.text)]
    if calls:
        said.append({"role": "assistant", "content": "", "tool_calls": calls})
    nothing = {"message": {"role": "assistant", "content": ""}}
    return _ollama(request, answer, [{"message": one} for one in said], nothing)


def _ollama_generate(request: Request, answer: Answer) -> tuple[str, str]:
    return _ollama(request, answer, [{"response": piece} for piece in _pieces(answer.text)], {"response": ""})


def _ollama(request: Request, answer: Answer, said: list[dict[str, Any]], nothing: dict[str, Any]) -> tuple[str, str]:
    """NDJSON, which LangChain's clients of Ollama ask for even where nobody streams."""
    common = {"model": request.body["model"], "created_at": "2026-01-01T00:00:00Z"}
    tokens = _tokens(request, answer)
    counts = {"prompt_eval_count": tokens[0], "eval_count": tokens[1], "total_duration": 1000, "load_duration": 1}
    reason = "length" if answer.reason == "length" else "stop"
    lines = [
        *({**common, **one, "done": False} for one in said),
        {**common, **nothing, "done": True, "done_reason": reason, **counts},
    ]
    return "application/x-ndjson", "".join(json.dumps(line) + "\n" for line in lines)


def _choices(answer: Answer, body: dict[str, Any]) -> list[str]:
    return [answer.text if i == 1 else f"{answer.text} #{i}" for i in range(1, (body.get("n") or 1) + 1)]


def _pieces(text: str) -> list[str]:
    """A text as it would be streamed: word by word."""
    return text.replace(" ", " \0").split("\0") if text else []


def _tokens(request: Request, answer: Answer) -> tuple[int, int]:
    """As many tokens as a real model would about count, in and out."""
    asked = request.body.get("messages") or request.body.get("input") or request.body.get("prompt")
    return len(json.dumps(asked)) // 4 + 1, len(answer.text) // 4 + 8 * len(answer.tool_calls) + 1


def _openai_usage(request: Request, answer: Answer) -> dict[str, int]:
    asked, answered = _tokens(request, answer)
    answered *= request.body.get("n") or 1
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def _json(body: dict[str, Any]) -> tuple[str, str]:
    return "application/json", json.dumps(body)


def _events(*events: dict[str, Any], done: bool = False) -> tuple[str, str]:
    """Server-sent events, each named after its type where it has one."""
    lines = [
        (f"event: {event['type']}\n" if "type" in event else "") + f"data: {json.dumps(event)}\n\n" for event in events
    ]
    return "text/event-stream", "".join(lines) + ("data: [DONE]\n\n" if done else "")


_DIALECTS = {
    "/v1/chat/completions": _chat_completions,
    "/v1/completions": _completions,
    "/v1/responses": _responses,
    "/v1/messages": _messages,
    "/api/chat": _ollama_chat,
    "/api/generate": _ollama_generate,
}
