"""Wrapped clients of the SDKs, what they are asked, and servers that need no network."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anthropic
import httpx2
import openai

import nbcache

ASKED: Any = [{"role": "user", "content": "What is a monad?"}]
WEATHER: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


CHAT: Any = {"model": "gpt-4o-mini", "messages": ASKED}
RESPONSE: Any = {"model": "gpt-4o-mini", "input": "What is a monad?", "instructions": "Be terse."}
MESSAGE: Any = {"model": "claude-for-tests", "max_tokens": 100, "system": "Be terse.", "messages": ASKED}
TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": WEATHER}}


def ask(client: Any, **more: Any) -> Any:
    return client.chat.completions.create(**{"model": "gpt-4o-mini", "messages": ASKED, **more})


def said(client: Any, **more: Any) -> str:
    return str(ask(client, **more).choices[0].message.content)


def streamed(client: Any, **more: Any) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in ask(client, stream=True, **more) if chunk.choices)


class Wire:
    """A server without a network: `answer` makes the response to each request; the requests that it got."""

    def __init__(self, answer: Callable[[httpx2.Request], httpx2.Response]) -> None:
        self.requests: list[httpx2.Request] = []
        self._answer = answer
        self.transport = httpx2.MockTransport(self._reply)

    def _reply(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return self._answer(request)

    def openai(self, **settings: Any) -> Any:
        http = httpx2.Client(transport=self.transport)
        return nbcache.wrap(openai.OpenAI(**{"api_key": "sk-test", "http_client": http, "max_retries": 0, **settings}))

    def anthropic(self, **settings: Any) -> Any:
        http = httpx2.Client(transport=self.transport)
        return nbcache.wrap(
            anthropic.Anthropic(**{"api_key": "sk-test", "http_client": http, "max_retries": 0, **settings})
        )


def completion(text: str | None = "hi", reason: str = "stop", **message: Any) -> dict[str, Any]:
    told = {"role": "assistant", "content": text, **message}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "message": told, "finish_reason": reason}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500},
    }


def answered(text: str = "hi", **more: Any) -> Callable[[httpx2.Request], httpx2.Response]:
    return lambda _: httpx2.Response(200, json=completion(text), **more)


def event(data: Any, name: str = "") -> bytes:
    told = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + f"data: {told}\n\n".encode()


def chunk(text: str, **choice: Any) -> bytes:
    return event(
        {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "delta": {"content": text}, **choice}],
        }
    )


EVENTS = [chunk("one "), chunk("two "), chunk("three", finish_reason="stop"), event("[DONE]")]


class Body(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body that notes what was asked of it."""

    def __init__(self, pieces: list[bytes], fails: bool = False) -> None:
        self.sent: list[bytes] = []
        self.closed = False
        self._pieces, self._fails = pieces, fails

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.sent.append(piece)
            yield piece
        if self._fails:
            raise httpx2.ReadError("the line is dead")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


class StreamWire(Wire):
    """Answers each request with these pieces of a stream."""

    def __init__(self, pieces: list[bytes], fails: bool = False, **headers: str) -> None:
        self.bodies: list[Body] = []

        def answer(_: httpx2.Request) -> httpx2.Response:
            self.bodies.append(Body(pieces, fails))
            told = {"content-type": "text/event-stream", **{n.replace("_", "-"): v for n, v in headers.items()}}
            return httpx2.Response(200, headers=told, stream=self.bodies[-1])

        super().__init__(answer)
