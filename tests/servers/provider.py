"""A model provider on loopback: enough of the wire formats of nine APIs for the providers' and LangChain's real clients.

An answer that nobody scripted depends on the whole request, so that a wrong hit shows.
"""

import json
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.servers import provider_anthropic, provider_bedrock, provider_cohere, provider_google, provider_vectors
from tests.servers.loopback import Handler, Loopback
from tests.servers.provider_asked import Answer, Request, halves, pieces, tokens, unscripted

__all__ = ["Answer", "Provider", "Request"]

_PATIENCE = 30  # seconds that a held answer, or a test, waits at most

_RESPONSES_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}


_DEPLOYMENT = re.compile("^/openai/deployments/[^/]+/")  # Azure's


@dataclass
class Provider(Loopback):
    """The running server: what it was asked, and what it is to answer.

    Use it as a context manager. `url` is its root; `openai` and the others are the arguments with which a client
    finds it.
    """

    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._script: deque[Answer] = deque()
        self._failures: deque[int] = deque()
        self._open = threading.Event()
        self._open.set()
        self._changed = threading.Condition()
        super().__init__(_Handler)

    def let_go(self) -> None:
        self._open.set()

    @property
    def openai(self) -> dict[str, Any]:
        return {"base_url": f"{self.url}/v1", "api_key": "sk-test"}

    @property
    def anthropic(self) -> dict[str, Any]:
        return {"base_url": self.url, "api_key": "sk-test"}

    @property
    def bedrock(self) -> dict[str, Any]:
        """The arguments of boto3's client."""
        keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s"}
        return {"service_name": "bedrock-runtime", "endpoint_url": self.url, "region_name": "us-east-1", **keys}

    @property
    def ollama(self) -> dict[str, Any]:
        return {"base_url": self.url}

    def answer(self, *answers: Answer | str) -> None:
        """Give these answers, one to each of the next requests; after the last, echo again."""
        with self._changed:
            self._script.extend(Answer(one) if isinstance(one, str) else one for one in answers)

    def answer_only(self, answer: str) -> None:
        """Give this answer to the next request, whatever it was to be."""
        with self._changed:
            self._script = deque([Answer(answer)])

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

    def receive(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> tuple[Request, Answer | int]:
        """Record a request; with it comes its answer, or the status with which it fails."""
        with self._changed:
            request = Request(path, headers, body, number=len(self.requests) + 1)
            self.requests.append(request)
            reply = self._reply(request)
            self._changed.notify_all()
        self._open.wait(_PATIENCE)
        return request, reply

    def _reply(self, request: Request) -> Answer | int:
        if self._failures:
            return self._failures.popleft()
        return self._script.popleft() if self._script else unscripted(request)


class _Handler(Handler):
    def respond(self) -> None:
        body = json.loads(self.body())
        headers = {name.lower(): value for name, value in self.headers.items()}
        request, answer = self.server.owner.receive(self.path.partition("?")[0], headers, body)
        path = _DEPLOYMENT.sub("/v1/", request.path)
        speak = _by_prefix(request.path) or _DIALECTS.get(path)
        if isinstance(answer, int) or speak is None:
            status = answer if isinstance(answer, int) else 404
            self.send(status, "application/json", json.dumps({"error": {"message": f"status {status}"}}).encode())
        else:
            kind, text = speak(request, answer)
            data = text if isinstance(text, bytes) else text.encode()
            sent = data[: len(data) // 2] if answer.breaks else data
            self.send(200, kind, sent, {"Content-Length": str(len(data))})


def _by_prefix(path: str) -> Callable[[Request, Answer], tuple[str, str | bytes]] | None:
    """The dialect of an API that names its models in the path."""
    if path.startswith(provider_bedrock.PREFIX):
        return provider_bedrock.spoken
    return _google if path.startswith(provider_google.PREFIXES) else None


def _chat_completions(request: Request, answer: Answer) -> tuple[str, str]:
    body, usage = request.body, _openai_usage(request, answer)
    calls = [
        {
            "id": request.call_id(i),
            "index": i,
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments)},
        }
        for i, (name, arguments) in enumerate(answer.tool_calls)
    ]
    common = {"id": f"chatcmpl-{request.number}", "created": 1, "model": body["model"]}
    if body.get("stream"):
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": piece} for piece in pieces(answer.text)]
        deltas += [{"tool_calls": [part]} for call in calls for part in _call_in_parts(request, call)]
        chunks: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
        ]
        chunks += _closing(request, {"choices": [{"index": 0, "delta": {}, "finish_reason": answer.reason}]}, usage)
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


def _call_in_parts(request: Request, call: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Who is called, then the arguments, cut wherever it happens to be; Mistral and Groq send a call whole."""
    if not request.path.startswith("/v1/"):
        yield call
        return
    function = call["function"]
    yield {**call, "function": {**function, "arguments": ""}}
    for piece in halves(function["arguments"]):
        yield {"index": call["index"], "function": {"arguments": piece}}


def _closing(request: Request, last: dict[str, Any], usage: dict[str, int]) -> list[dict[str, Any]]:
    """The end of a stream; each provider has its own place for what was used."""
    if request.path.startswith("/openai/"):  # Groq
        return [{**last, "x_groq": {"id": f"req_{request.number}", "usage": usage}}]
    if request.path.startswith("/mistral/"):
        return [{**last, "usage": usage}]
    wanted = (request.body.get("stream_options") or {}).get("include_usage")
    return [last, {"choices": [], "usage": usage}] if wanted else [last]


def _completions(request: Request, answer: Answer) -> tuple[str, str]:
    body, usage = request.body, _openai_usage(request, answer)
    common = {"id": f"cmpl-{request.number}", "object": "text_completion", "created": 1, "model": body["model"]}
    if body.get("stream"):
        chunks: list[dict[str, Any]] = [
            *({"choices": [{"index": 0, "text": piece, "finish_reason": None}]} for piece in pieces(answer.text)),
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
    message = {"id": f"msg_{request.number}", "type": "message", "role": "assistant", "content": content}
    output: list[dict[str, Any]] = [message] if answer.text else []
    output += [
        {
            "id": f"fc_{request.number}_{i}",
            "type": "function_call",
            "call_id": request.call_id(i),
            "name": name,
            "arguments": json.dumps(arguments),
        }
        for i, (name, arguments) in enumerate(answer.tool_calls)
    ]
    output = [{**item, "status": "completed"} for item in output]
    reason = _RESPONSES_REASONS.get(answer.reason)
    usage = _openai_usage(request, answer)
    response = {
        "id": f"resp_{request.number}",
        "object": "response",
        "created_at": 1,
        "model": request.body["model"],
        "previous_response_id": request.body.get("previous_response_id"),
        "text": request.body.get("text") or {"format": {"type": "text"}},
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": output,
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
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        *(event for i, item in enumerate(output) for event in _item_events(i, item)),
        {"type": "response.completed", "response": response},
    ]
    return _events(*({**event, "sequence_number": i} for i, event in enumerate(events)))


def _item_events(i: int, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What is streamed for one item of the output."""
    place = {"item_id": item["id"], "output_index": i}
    is_call = item["type"] == "function_call"
    empty: dict[str, Any] = {"arguments": ""} if is_call else {"content": []}
    yield {"type": "response.output_item.added", "output_index": i, "item": {**item, "status": "in_progress", **empty}}
    if is_call:
        for piece in halves(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}
        yield {"type": "response.function_call_arguments.done", **place, "arguments": item["arguments"]}
    else:
        part, place = item["content"][0], {**place, "content_index": 0}
        yield {"type": "response.content_part.added", **place, "part": {**part, "text": ""}}
        for piece in pieces(part["text"]):
            yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
        yield {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}
        yield {"type": "response.content_part.done", **place, "part": part}
    yield {"type": "response.output_item.done", "output_index": i, "item": item}


def _messages(request: Request, answer: Answer) -> tuple[str, str]:
    if request.body.get("stream"):
        return _events(*provider_anthropic.events(request, answer))
    return _json(provider_anthropic.message(request, answer))


def _cohere(request: Request, answer: Answer) -> tuple[str, str]:
    events = provider_cohere.events(request, answer)
    if request.body.get("stream") and request.headers.get("accept") == "application/json":  # as LiteLLM asks
        return "application/stream+json", "".join(f"{json.dumps(event)}\n" for event in events)
    if request.body.get("stream"):
        return _events(*events)
    return _json(provider_cohere.message(request, answer))


def _vectors(answer_of: Callable[[Request], dict[str, Any]]) -> Callable[[Request, Answer], tuple[str, str]]:
    return lambda request, _: _json(answer_of(request))


def _google(request: Request, answer: Answer) -> tuple[str, str]:
    if provider_google.is_embedding(request):
        return _json(provider_vectors.google(request))
    bodies = provider_google.generated(request, answer)
    return _events(*bodies) if provider_google.is_streamed(request) else _json(bodies[0])


def _ollama_chat(request: Request, answer: Answer) -> tuple[str, str]:
    calls = [{"function": {"name": name, "arguments": arguments}} for name, arguments in answer.tool_calls]
    said: list[dict[str, Any]] = [{"role": "assistant", "content": piece} for piece in pieces(answer.text)]
    if calls:
        said.append({"role": "assistant", "content": "", "tool_calls": calls})
    nothing = {"message": {"role": "assistant", "content": ""}}
    return _ollama(request, answer, [{"message": one} for one in said], nothing)


def _ollama_generate(request: Request, answer: Answer) -> tuple[str, str]:
    return _ollama(request, answer, [{"response": piece} for piece in pieces(answer.text)], {"response": ""})


def _ollama(request: Request, answer: Answer, said: list[dict[str, Any]], nothing: dict[str, Any]) -> tuple[str, str]:
    """NDJSON, which LangChain's clients of Ollama ask for even where nobody streams; one object where a client wants that."""
    common = {"model": request.body["model"], "created_at": "2026-01-01T00:00:00Z"}
    asked, answered = tokens(request, answer)
    counts = {"prompt_eval_count": asked, "eval_count": answered, "total_duration": 1000, "load_duration": 1}
    reason = "length" if answer.reason == "length" else "stop"
    lines = [
        *({**common, **one, "done": False} for one in said),
        {**common, **nothing, "done": True, "done_reason": reason, **counts},
    ]
    if request.body.get("stream") is False:
        return _json(_whole_line(lines))
    return "application/x-ndjson", "".join(json.dumps(line) + "\n" for line in lines)


def _whole_line(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The last line, with what those before it say."""
    whole = dict(lines[-1])
    if "response" in whole:
        return {**whole, "response": "".join(line["response"] for line in lines)}
    messages = [line["message"] for line in lines]
    calls = [call for message in messages for call in message.get("tool_calls", ())]
    content = "".join(message["content"] for message in messages)
    return {**whole, "message": {"role": "assistant", "content": content, **({"tool_calls": calls} if calls else {})}}


def _own(_: Request, answer: Answer) -> tuple[str, str]:
    """An API that nobody else has."""
    return _json({"answer": answer.text, "tokens": {"input_tokens": 7, "output_tokens": 5}, "state": "done"})


def _choices(answer: Answer, body: dict[str, Any]) -> list[str]:
    return [answer.text if i == 1 else f"{answer.text} #{i}" for i in range(1, (body.get("n") or 1) + 1)]


def _openai_usage(request: Request, answer: Answer) -> dict[str, int]:
    asked, answered = tokens(request, answer)
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


_DIALECTS: dict[str, Callable[[Request, Answer], tuple[str, str | bytes]]] = {
    "/ask": _own,
    "/v1/chat/completions": _chat_completions,
    "/mistral/v1/chat/completions": _chat_completions,
    "/openai/v1/chat/completions": _chat_completions,  # Groq
    "/v1/completions": _completions,
    "/v1/responses": _responses,
    "/v1/messages": _messages,
    "/api/chat": _ollama_chat,
    "/api/generate": _ollama_generate,
    "/v2/chat": _cohere,
    "/v1/embeddings": _vectors(provider_vectors.openai),
    "/mistral/v1/embeddings": _vectors(provider_vectors.openai),
    "/api/embed": _vectors(provider_vectors.ollama),
    "/v2/embed": _vectors(provider_cohere.embeddings),
}
