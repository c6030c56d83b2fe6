"""Server-sent events: a stream is split into them, recorded, and joined to a whole answer."""

import re
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from nbcache.codec.sdk_response import HTTPResponse
from nbcache.keys.json_text import parsed

_BOUNDARY = re.compile(rb"\r\n\r\n?|\n\n|\r\r")  # an empty line; its first character is enough for a reader
_OVERLAP = 3  # bytes of a boundary that may be in the previous chunk
_LINE = re.compile(r"\r\n|\n|\r")
_DONE = "[DONE]"
# Fields that are sent in pieces. Others are sent whole, and the last value holds.
_PIECEWISE = {"content", "refusal", "reasoning", "reasoning_content", "transcript", "arguments", "input", "text"}
_DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}

Body = dict[str, Any]
Join = Callable[[list[Body]], Body]
OPENAI_ENDS = frozenset({_DONE})
RESPONSES_ENDS = frozenset({"response.completed", "response.incomplete"})
MESSAGES_ENDS = frozenset({"message_stop"})


def split_events(body: bytes) -> list[bytes]:
    """The bytes of a stream, split after each event."""
    ends = [match.end() for match in _BOUNDARY.finditer(body)]
    parts = [body[start:end] for start, end in zip([0, *ends], [*ends, len(body)], strict=True)]
    return [part for part in parts if part]


def pieces(recorded: HTTPResponse) -> list[bytes]:
    """The body of an answer, split after each event if it is a stream."""
    body = recorded.body.encode()
    return split_events(body) if recorded.headers.get("content-type", "").startswith("text/event-stream") else [body]


def events_of(body: bytes) -> list[Body]:
    """The JSON objects in the events of a stream. Raises ValueError if one is not JSON."""
    texts = [data for data in map(_data, split_events(body)) if data and data != _DONE]
    return [event for event in map(parsed, texts) if isinstance(event, dict)]


def _data(event: bytes | bytearray) -> str:
    lines = _LINE.split(event.decode())
    return "\n".join(line[5:].removeprefix(" ") for line in lines if line.startswith("data:"))


class Recorder:
    """Records a stream while its reader takes it, up to an event of `ends`.

    Nothing is delayed: the part of an event that has come is passed on at once.
    """

    def __init__(self, ends: frozenset[str]) -> None:
        self.recorded = bytearray()
        self.ended = False
        self._ends = ends
        self._marks = [end.encode() for end in ends]
        self._incomplete = bytearray()  # the event of which only a part has come
        self._waiting: deque[tuple[bytes, bool]] = deque()

    def feed(self, chunk: bytes) -> None:
        """Add a chunk that has come."""
        passed = len(self._incomplete)
        begin, start = 0, max(0, passed - _OVERLAP)
        self._incomplete += chunk
        while (boundary := _BOUNDARY.search(self._incomplete, start)) is not None:
            end = boundary.end()
            self._waiting.append((bytes(self._incomplete[passed:end]), self._is_end(self._incomplete[begin:end])))
            begin = passed = start = end
        if passed < len(self._incomplete):
            self._waiting.append((bytes(self._incomplete[passed:]), False))
        del self._incomplete[:begin]

    def take(self) -> bytes | None:
        """The next piece. None if nothing more has come. `ended` is set with the last event of the answer."""
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


def join_chat(events: Iterable[Body]) -> Body:
    """The body of a chat completion from its chunks."""
    return _join_choices(events, lambda choice: {"message": choice.get("delta") or {}})


def join_completion(events: Iterable[Body]) -> Body:
    """The body of a completion from its chunks."""
    return _join_choices(events, lambda choice: {"text": choice.get("text") or ""})


def join_response(events: list[Body]) -> Body:
    """The body of a response, which is in the last event of its stream."""
    whole = events[-1].get("response") if events else None
    return whole if isinstance(whole, dict) else {}


def join_message(events: Iterable[Body]) -> Body:
    """The body of Anthropic's message from its events."""
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
                usage = {**(whole.get("usage") or {}), **_without_nulls(event.get("usage") or {})}
                whole |= {**event["delta"], "usage": usage}
            case "error":
                whole |= {"error": event.get("error") or True}
    for block in blocks.values():
        if arguments := block.pop("partial_json", ""):
            block["input"] = parsed(arguments)
    return {**whole, "content": [block for _, block in sorted(blocks.items())]}


def _add_delta(block: Body, delta: Body) -> None:
    if (name := _DELTAS.get(delta["type"])) is not None:
        block[name] = block.get(name, "") + delta[name]


def _join_choices(events: Iterable[Body], content: Callable[[Body], Body]) -> Body:
    whole: Body = {}
    choices: dict[int, Body] = {}
    for event in events:
        whole |= {name: value for name, value in _without_nulls(event).items() if name != "choices"}
        for choice in event.get("choices") or ():
            rest = {name: value for name, value in choice.items() if name in {"finish_reason", "error"}}
            _add(choices.setdefault(choice.get("index") or 0, {}), {**content(choice), **rest})
    return {**whole, "choices": [choice for _, choice in sorted(choices.items())]}


def _add(whole: Body, part: Body) -> None:
    """Add a part to `whole`: texts are appended, tool calls are merged by their index."""
    for name, value in _without_nulls(part).items():
        if isinstance(value, str) and name in _PIECEWISE:
            whole[name] = (whole.get(name) or "") + value
        elif isinstance(value, dict):
            _add(whole.setdefault(name, {}), value)
        elif name == "tool_calls":
            calls = whole.setdefault(name, [])
            for i, call in enumerate(value):
                index = call.get("index", i)
                calls.extend({} for _ in range(index + 1 - len(calls)))
                _add(calls[index], call)
        else:
            whole[name] = value


def _without_nulls(event: Body) -> Body:
    return {name: value for name, value in event.items() if value is not None}
