"""Tools and schemas: pydantic classes, typed dicts, functions and JSON schemas, each edited in one thing."""

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from langchain_core.tools import tool

from tests.keys.truth.clients import Client
from tests.keys.truth.pairs import Group, Variant

_QUESTION = "What is the weather in Rome?"
_CLASS = '''
class Weather(BaseModel):
    """{docstring}"""
    {city}: {type} = Field({default}description="{description}")
    days: int = 1
'''
_TYPED = '''
class Weather(TypedDict):
    """{docstring}"""
    {city}: Annotated[{type}, ..., "{description}"]
'''
_FUNCTION = '''
def Weather({city}: {type}) -> str:
    """{docstring}

    Args:
        {city}: {description}
    """
    return ""
'''
_USUAL = {"docstring": "The weather.", "city": "city", "type": "str", "default": "", "description": "A city."}
_EDITS: tuple[dict[str, str], ...] = (
    *(
        {},
        {"docstring": "The weather of a city."},
        {"docstring": ""},
        {"city": "town"},
        {"type": "int"},
        {"type": "list[str]"},
    ),
    *({"description": "A town."}, {"description": ""}, {"default": '"Rome", '}, {"default": '"Oslo", '}),
    {"type": 'Literal["Rome", "Oslo"]'},
)


def groups(client: Client, rng: random.Random, *, share: float = 1.0) -> Iterator[Group]:
    """A group for each way to write a tool. `share` is how much of the calls is made, from 0 to 1."""
    if client.kind != "chat":
        return
    share *= client.share
    sources = {"class": _CLASS, "typed dict": _TYPED, "function": _FUNCTION}
    for topic, source in sources.items():
        variants = [
            each for edit in _EDITS for each in _variants(client, topic, f"{topic} with {edit}", _defined(source, edit))
        ]
        yield Group(client.name, "tools", topic, [each for each in variants if rng.random() < share])
    schemas = [variant for schema in _schemas() for variant in _variants(client, "schema", str(schema), schema)]
    yield Group(client.name, "tools", "schema", [each for each in schemas if rng.random() < share])


def _defined(source: str, edit: dict[str, str]) -> Any:
    """What a module of the user's defines that was edited so."""
    lines = source.format(**{**_USUAL, **edit})
    names: dict[str, Any] = {"__name__": "__main__"}
    exec("from typing import Annotated, Literal, TypedDict\nfrom pydantic import BaseModel, Field\n" + lines, names)
    return names["Weather"]


def _schemas() -> Iterator[dict[str, Any]]:
    """JSON schemas of a tool, as OpenAI's API has them."""
    for values in (
        {"default": 1},
        {"default": "1"},
        {"default": True},
        {"default": 1.0},
        {"enum": [1]},
        {"enum": ["1"]},
        {},
    ):
        for inner in ("params", "query", "headers", "city"):
            properties = {inner: {"type": "string", **values}, "days": {"type": "integer"}}
            parameters = {"type": "object", "properties": properties, "required": [inner]}
            yield {
                "type": "function",
                "function": {"name": "Weather", "description": "The weather.", "parameters": parameters},
            }
    turned = {"days": {"type": "integer"}, "city": {"type": "string"}}
    parameters = {"type": "object", "properties": turned, "required": ["city"]}
    yield {"type": "function", "function": {"name": "Weather", "description": "The weather.", "parameters": parameters}}
    for who in ("alice", "bob"):
        yield {"type": "mcp", "server_label": "a", "server_url": "https://a.example", "headers": {"Authorization": who}}
        yield {"type": "mcp", "server_label": "a", "server_url": "https://a.example", "authorization": who}


def _variants(client: Client, topic: str, label: str, schema: Any) -> Iterator[Variant]:
    ways: dict[str, Callable[[Any], Any]] = {
        "bound": lambda llm: llm.bind_tools([schema]),
        "bound, must be called": lambda llm: llm.bind_tools([schema], tool_choice="any"),
        "bound, strict": lambda llm: llm.bind_tools([schema], strict=True),
        "structured output": lambda llm: llm.with_structured_output(schema),
    }
    for method in ("function_calling", "json_schema", "json_mode"):
        ways[f"structured output, {method}"] = partial(_structured, schema=schema, method=method)
    if topic == "function":
        ways = {"bound": ways["bound"], "bound as a tool": lambda llm: llm.bind_tools([tool(schema)])}
    for way, made in ways.items():
        yield _variant(client, f"{way}: {label}", made)


def _structured(model: Any, schema: Any, method: str) -> Any:
    return model.with_structured_output(schema, method=method)


def _variant(client: Client, label: str, made: Callable[[Any], Any]) -> Variant:
    def prepare() -> Callable[[], object]:
        model = made(client.make())
        return lambda: model.invoke(_QUESTION)

    return Variant(label[:240], prepare)
