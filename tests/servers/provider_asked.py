"""A request to a model in any provider's words, what it asks for, and the answer that nobody scripted.

That answer depends on the whole request, so that a wrong hit shows. It is what was asked for: a call of the tool
that is forced, or JSON that fits the schema.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

_FREE_FORM = {"type": "object", "properties": {"answer": {"type": "string"}}}


@dataclass(frozen=True)
class Request:
    """A request as it came in; the names of `headers` are in lower case. `number` counts from 1."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    number: int = 0

    @property
    def model(self) -> str:
        """Google's and AWS's clients name the model in the path, all others in the body."""
        if self.path.startswith("/model/"):
            return unquote(self.path.split("/")[2])
        return str(self.body.get("model") or self.path.rpartition("/")[2].partition(":")[0])

    @property
    def echo(self) -> str:
        """The answer to this request and no other: the model's name and a digest of the whole body."""
        return f"{self.model} {_digest(json.dumps(self.body, sort_keys=True))}"

    def call_id(self, i: int) -> str:
        """Of nine letters and digits, which is what Mistral takes."""
        return f"call{self.number % 1000:03}{i:02}"


@dataclass(frozen=True)
class Answer:
    """What the model says. Several `choices` of a request say the same, each with its number after the first.

    `tool_calls` are names and arguments; `finish_reason` is `stop`, `length`, `tool_calls` or `content_filter`. Where it
    `breaks`, the connection ends in the middle.
    """

    text: str = ""
    tool_calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    finish_reason: str = "stop"
    thinking: str = ""
    breaks: bool = False

    @property
    def reason(self) -> str:
        """Why the model stopped: it calls tools, or what was scripted."""
        return "tool_calls" if self.tool_calls and self.finish_reason == "stop" else self.finish_reason


def unscripted(request: Request) -> Answer:
    """The answer to a request that nobody wrote one for."""
    body, echo = request.body, request.echo
    tool = _forced_tool(request)
    if tool is not None:
        return Answer(tool_calls=((tool[0], instance(tool[1], echo)),))
    schema = _schema(body)
    text = echo if schema is None else json.dumps(instance(schema, echo))
    return Answer(text, thinking=f"Thinking about {echo}" if _thinks(body) else "")


def tokens(request: Request, answer: Answer) -> tuple[int, int]:
    """As many tokens as a real model would about count, in and out."""
    asked = next(
        (request.body[name] for name in ("messages", "input", "prompt", "contents") if name in request.body), ""
    )
    return len(json.dumps(asked)) // 4 + 1, len(answer.text) // 4 + 8 * len(answer.tool_calls) + 1


def pieces(text: str) -> list[str]:
    """A text as it would be streamed: word by word."""
    return text.replace(" ", " \0").split("\0") if text else []


def halves(text: str) -> tuple[str, str]:
    """A text cut where no word ends: as the arguments of a call would be streamed."""
    return text[: len(text) // 2], text[len(text) // 2 :]


def instance(schema: Mapping[str, Any], seed: str, root: Mapping[str, Any] | None = None) -> Any:
    """A value that fits a JSON schema: the same for the same seed, another for another."""
    root = schema if root is None else root
    if "$ref" in schema:
        return instance(_resolved(schema["$ref"], root), seed, root)
    if options := schema.get("anyOf") or schema.get("allOf"):
        return instance(options[0], seed, root)
    number = int(_digest(seed), 16)
    if options := [schema["const"]] if "const" in schema else schema.get("enum"):
        return options[number % len(options)]
    match str(schema.get("type")).lower():  # Google writes the types in capitals
        case "object":
            fields = schema.get("properties") or {}
            return {name: instance(field, f"{seed}.{name}", root) for name, field in fields.items()}
        case "array":
            return [instance(schema.get("items") or {}, f"{seed}.{i}", root) for i in range(2)]
        case "integer":
            return number % 1_000_000
        case "number":
            return number % 1_000_000 / 8
        case "boolean":
            return number % 2 == 1
        case "null":
            return None
        case _:
            return f"text {_digest(seed)}"


def _resolved(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found = root
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def _forced_tool(request: Request) -> tuple[str, dict[str, Any]] | None:
    """The tool that has to be called, with its schema. Ollama knows no forcing, so there an offer is enough."""
    tools = dict(_tools(request.body))
    named, is_any = _choice(request.body)
    if named in tools:
        return named, tools[named]
    if tools and (is_any or (request.path.startswith("/api/") and not _has_result(request.body))):
        return next(iter(tools.items()))
    return None


def _tools(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for tool in body.get("tools") or ():
        for told in tool.get("functionDeclarations") or [tool.get("function") or tool]:
            names = ("parameters", "parametersJsonSchema", "input_schema")
            yield told.get("name", ""), next((told[name] for name in names if told.get(name)), {"type": "object"})


def _choice(body: dict[str, Any]) -> tuple[str, bool]:
    """The name of the tool that is forced, and whether any tool is."""
    google = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    choice = body.get("tool_choice") or google.get("mode") or ""
    if isinstance(choice, dict):
        return str((choice.get("function") or choice).get("name", "")), choice.get("type") == "any"
    allowed = google.get("allowedFunctionNames") or [""]
    return allowed[0], choice.lower() in {"any", "required"}


def _has_result(body: dict[str, Any]) -> bool:
    return bool(body.get("messages")) and body["messages"][-1].get("role") == "tool"


def _schema(body: dict[str, Any]) -> dict[str, Any] | None:
    """The schema that the answer has to fit; None where it is free text.

    Where only JSON is asked for, the schema is in the prompt, in words: as for a real model.
    """
    google = body.get("generationConfig") or {}
    formats = [
        body.get("response_format"),  # OpenAI's chat completions, Mistral, Groq
        (body.get("text") or {}).get("format"),  # OpenAI's responses
        (body.get("output_config") or {}).get("format"),  # Anthropic
        body.get("format"),  # Ollama
        google.get("responseJsonSchema") or google.get("responseSchema") or google.get("responseMimeType"),
    ]
    wanted = next((told for told in formats if told), None)
    if isinstance(wanted, dict) and (wanted.get("type") not in {"json_object", "text"} or "json_schema" in wanted):
        within = wanted.get("json_schema") or wanted  # Cohere's type is `json_object` even with a schema
        return dict(within.get("schema") or within)
    is_json = wanted in ("json", "application/json", {"type": "json_object"})
    return (_described(body) or _FREE_FORM) if is_json else None


def _described(body: dict[str, Any]) -> dict[str, Any] | None:
    for text in _texts(body):
        _, brace, rest = text.partition("{")
        try:
            found, _ = json.JSONDecoder().raw_decode(brace + rest)
        except ValueError:
            continue
        return dict(found)
    return None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _thinks(body: dict[str, Any]) -> bool:
    google = (body.get("generationConfig") or {}).get("thinkingConfig") or {}
    wanted = google.get("include_thoughts") or google.get("includeThoughts")  # the client writes both
    return (body.get("thinking") or {}).get("type") == "enabled" or wanted is True


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
