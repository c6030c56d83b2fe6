"""Server-sent events: the bytes of a stream cut after each of them, and the answer that they make."""

import re
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from nbcache.codec.http_response import HTTPResponse
from nbcache.keys.json_text import parsed

_BOUNDARY = re.compile(rb"\r\n\r\n?|\n\n|\r\r")  # a reader needs no more than the first sign of an empty line's end
_STRADDLES = 3  # bytes of a boundary that may have come with the chunk before
_LINE = re.compile(r"\r\n|\n|\r")
_DONE = "[DONE]"
# What is told piece by piece; all else is told at once, or once more.
_ADDED = {"content", "refusal", "reasoning", "reasoning_content", "transcript", "arguments", "input", "text"}
_DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}

Body = dict[str, Any]
Joined = Callable[[list[Body]], Body]
OPENAI_ENDS = frozenset({_DONE})
RESPONSES_ENDS = frozenset({"response.completed", "response.incomplete"})
MESSAGES_ENDS = frozenset({"message_stop"})


def cut(body: bytes) -> list[bytes]:
    """The bytes of a stream, cut after each event."""
    ends = [match.end() for match in _BOUNDARY.finditer(body)]
    parts = [body[start:end] for start, end in zip([0, *ends], [*ends, len(body)], strict=True)]
    return [part for part in parts if part]


def pieces(recorded: HTTPResponse) -> list[bytes]:
    """The body of an answer, cut after each event where it is a stream of them."""
    body = recorded.body.encode()
    return cut(body) if recorded.headers.get("content-type", "").startswith("text/event-stream") else [body]


def events_of(body: bytes) -> list[Body]:
    """What the events of a stream carry. Raises ValueError where that is no JSON."""
    told = [data for data in map(_data, cut(body)) if data and data != _DONE]
    return [event for event in map(parsed, told) if isinstance(event, dict)]


def _data(event: bytes | bytearray) -> str:
    lines = _LINE.split(event.decode())
    return "\n".join(line[5:].removeprefix(" ") for line in lines if line.startswith("data:"))


class Recorder:
    """The events of a stream on their way to who reads it: what has been taken is recorded, up to one of the `ends`.

    Nothing is held back: of an event that has not all come, what is there is passed on.
    """

    def __init__(self, ends: frozenset[str]) -> None:
        self.recorded = bytearray()
        self.ended = False
        self._ends = ends
        self._marks = [end.encode() for end in ends]
        self._begun = bytearray()  # the event that has not all come
        self._waiting: deque[tuple[bytes, bool]] = deque()

    def feed(self, chunk: bytes) -> None:
        """Some more has come."""
        passed = len(self._begun)
        begin, start = 0, max(0, passed - _STRADDLES)
        self._begun += chunk
        while (boundary := _BOUNDARY.search(self._begun, start)) is not None:
            end = boundary.end()
            self._waiting.append((bytes(self._begun[passed:end]), self._is_end(self._begun[begin:end])))
            begin = passed = start = end
        if passed < len(self._begun):
            self._waiting.append((bytes(self._begun[passed:]), False))
        del self._begun[:begin]

    def take(self) -> bytes | None:
        """The next piece; None where more has to come. With the last event of the answer it is `ended`."""
        if not self._waiting:
            return None
        piece, is_end = self._waiting.popleft()
        if not self.ended:
            self.recorded += piece
            self.ended = is_end
        return piece

    def _is_end(self, event: bytearray) -> bool:
        if not any(mark in event for mark in self._marks):
            return False
        try:
            data = _data(event).strip()
            return data in self._ends or _kind(parsed(data)) in self._ends
        except ValueError:
            return False


def _kind(event: Any) -> Any:
    return event.get("type") if isinstance(event, dict) else None


def chat(events: Iterable[Body]) -> Body:
    """The body of a chat completion, from its chunks."""
    return _of_choices(events, lambda choice: {"message": choice.get("delta") or {}})


def completion(events: Iterable[Body]) -> Body:
    """The same of a completion."""
    return _of_choices(events, lambda choice: {"text": choice.get("text") or ""})


def response(events: list[Body]) -> Body:
    """The response with which its stream ends."""
    whole = events[-1].get("response") if events else None
    return whole if isinstance(whole, dict) else {}


def message(events: Iterable[Body]) -> Body:
    """Anthropic's message, from its events."""
    whole: Body = {}
    blocks: dict[int, Body] = {}
    for event in events:
        match event.get("type"):
            case "message_start":
                whole = dict(event["message"])
            case "content_block_start":
                blocks[event["index"]] = dict(event["content_block"])
            case "content_block_delta":
                _add_delta(blocks[event["index"]], event["delta"])
            case "message_delta":
                usage = {**(whole.get("usage") or {}), **_told(event.get("usage") or {})}
                whole |= {**event["delta"], "usage": usage}
            case "error":
                whole |= {"error": event.get("error") or True}
    for block in blocks.values():
        if written := block.pop("partial_json", ""):
            block["input"] = parsed(written)
    return {**whole, "content": [block for _, block in sorted(blocks.items())]}


def _add_delta(block: Body, delta: Body) -> None:
    if (name := _DELTAS.get(delta["type"])) is not None:
        block[name] = block.get(name, "") + delta[name]


def _of_choices(events: Iterable[Body], told: Callable[[Body], Body]) -> Body:
    whole: Body = {}
    choices: dict[int, Body] = {}
    for event in events:
        whole |= {name: value for name, value in _told(event).items() if name != "choices"}
        for choice in event.get("choices") or ():
            rest = {name: value for name, value in choice.items() if name in {"finish_reason", "error"}}
            _add(choices.setdefault(choice.get("index") or 0, {}), {**told(choice), **rest})
    return {**whole, "choices": [choice for _, choice in sorted(choices.items())]}


def _add(whole: Body, part: Body) -> None:
    """Add to `whole` what `part` tells: texts go on, lists are by their items' index."""
    for name, value in _told(part).items():
        if isinstance(value, str) and name in _ADDED:
            whole[name] = (whole.get(name) or "") + value
        elif isinstance(value, dict):
            _add(whole.setdefault(name, {}), value)
        elif name == "tool_calls":
            calls = whole.setdefault(name, [])
            for i, call in enumerate(value):
                place = call.get("index", i)
                calls.extend({} for _ in range(place + 1 - len(calls)))
                _add(calls[place], call)
        else:
            whole[name] = value


def _told(event: Body) -> Body:
    return {name: value for name, value in event.items() if value is not None}
