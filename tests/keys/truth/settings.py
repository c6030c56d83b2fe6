"""Every field of a client and every option of its calls: typed values, in every place where one can be set."""

import random
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

from tests.keys.truth.clients import Client
from tests.keys.truth.pairs import Group, Variant, sent

# Fields that are LangChain's own, and objects that no generated value is.
_SKIPPED = frozenset(
    {
        *("cache", "callbacks", "callback_manager", "custom_get_token_ids", "rate_limiter", "name", "tags", "profile"),
        *("client", "async_client", "root_client", "root_async_client", "http_client", "http_async_client"),
        "output_version",  # what an answer is made into, and not what is asked
        *("bedrock_client", "async_client_kwargs", "sync_client_kwargs", "tokenizer", "model_config"),
    }
)
NUMBERS: tuple[Any, ...] = (None, 0, 1, 0.0, -0.0, 1.0, 0.5, "1", "0.5", True, False, 7)
FLAGS: tuple[Any, ...] = (None, True, False, 1, 0, "true", "True")
TEXTS: tuple[Any, ...] = (None, "", "low", "high", "1", 1, True, "none")
LISTS: tuple[Any, ...] = (None, [], ["a"], ["a", "b"], ["b", "a"], "a", [1], ["1"], [True], ["True"], [None])
MAPPINGS: tuple[Any, ...] = (
    *(None, {}, {"a": 1}, {"a": "1"}, {"a": True}, {"a": 1.0}, {"a": None}, {"a": [1]}, {"a": ["1"]}),
    *({"params": {"a": 1}}, {"params": {"a": "1"}}, {"query": {"a": True}}, {"query": {"a": "True"}}),
    *({"headers": {"X-A": 1}}, {"headers": {"X-A": "1"}}, {"headers": {"Authorization": "a"}}),
    *({"headers": {"Authorization": "b"}}, {"timeout": 1}, {"timeout": 2}, {"api_key": "a"}, {"api_key": "b"}),
    *({"verbose": True}, {"verbose": False}, {"user": "a"}, {"user": "b"}, {"metadata": {"a": "1"}}),
    *({"metadata": {"a": "2"}}, {"metadata": {"tags": ["a"]}}, {"metadata": {"tags": ["b"]}}, {"a": 0.0}, {"a": -0.0}),
    *({"b": {"params": {"c": 1}}}, {"b": {"params": {"c": "1"}}}, {"token": "a"}, {"token": 1}, {"token": "b"}),
)
_WORDS: Mapping[str, tuple[Any, ...]] = {
    "stop": LISTS,
    "stop_sequences": LISTS,
    "model": ("gpt-4o", "other", "1", None),
    "tool_choice": (None, "auto", "any", "none", "required", {"type": "auto"}, {"type": "tool", "name": "weather"}),
    "response_format": (None, {"type": "json_object"}, {"type": "text"}),
    "service_tier": (None, "auto", "default", "flex", "priority"),
    "reasoning_effort": (None, "low", "medium", "high", "minimal"),
    "thinking": (
        None,
        {"type": "enabled", "budget_tokens": 1024},
        {"type": "enabled", "budget_tokens": 2048},
        {"type": "disabled"},
    ),
    "logit_bias": (None, {}, {"50256": -100}, {"50256": -99}, {50256: -100}, {"50256": "-100"}),
    "response_mime_type": (None, "text/plain", "application/json"),
    "format": (None, "", "json", {"type": "object"}, {"type": "object", "properties": {"a": {"type": "string"}}}),
    "options": (None, {}, {"temperature": 0.5}, {"temperature": 1}, {"seed": 1}, {"seed": "1"}, {"stop": ["a"]}),
    "reasoning": (None, True, False, "low", "high", {"effort": "low"}, {"effort": "high"}, {"effort": None}),
}
_NAMED: Mapping[str, tuple[Any, ...]] = {
    **dict.fromkeys(
        ("n", "seed", "max_tokens", "max_completion_tokens", "max_output_tokens", "top_p", "top_k"), NUMBERS
    ),
    **dict.fromkeys(("temperature", "presence_penalty", "frequency_penalty", "top_logprobs", "num_ctx"), NUMBERS),
    **dict.fromkeys(("logprobs", "store", "parallel_tool_calls", "echo", "safe_mode", "include_reasoning"), FLAGS),
    **dict.fromkeys(
        ("extra_body", "metadata", "model_kwargs", "options", "extra_query", "generation_config"), MAPPINGS
    ),
    **dict.fromkeys(("additional_model_request_fields", "additionalModelRequestFields", "prediction"), MAPPINGS),
    **dict.fromkeys(("requestMetadata", "request_metadata", "promptVariables", "labels", "audio"), MAPPINGS),
}


@dataclass(frozen=True)
class Call:
    """A call of a model: what it is made with, what is set on it later, bound to it, and given to the call.

    Where it is `used`, a call is made before the attributes are set.
    """

    made: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    bound: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    used: bool = False

    def __str__(self) -> str:
        parts = {"made with": self.made, "set": self.attributes, "bound": self.bound, "called with": self.options}
        told = [f"{place} {dict(values)!r}" for place, values in parts.items() if values]
        return ("used, then " if self.used else "") + (", ".join(told) or "as it is")

    def prepared(self, client: Client, prompt: Any = "What is a monad?") -> Callable[[], object]:
        """The call, ready to be made. Raises what the client raises."""
        model = client.make(**self.made)
        if self.used:
            sent(Variant("", lambda: lambda: client.ask(model, prompt)))
        for name, value in self.attributes.items():
            setattr(model, name, value)
        if self.bound:
            model = model.bind(**self.bound)
        return lambda: client.ask(model, prompt, **self.options)


def groups(client: Client, rng: random.Random, *, share: float = 1.0) -> Iterator[Group]:
    """A group for each name. `share` is how much of the calls is made, from 0 to 1."""
    share *= client.share
    base = {} if share < 1 or rng.random() < 0.3 else _some_settings(client, rng)
    names = _names(client)
    for name, (alias, values) in names.items():
        calls = [Call(), *_places(client, name, alias, values)]
        calls += [_layered(name, values, rng) for _ in range(12)]
        if share < 1:
            calls = [call for call in calls if rng.random() < share]
        around = {other: value for other, value in base.items() if other not in (name, alias)}
        yield Group(client.name, "settings", name, [_variant(client, call, around) for call in calls])


def _variant(client: Client, call: Call, around: Mapping[str, Any]) -> Variant:
    whole = Call({**around, **call.made}, call.attributes, call.bound, call.options, call.used)
    return Variant(str(call), lambda: whole.prepared(client))


def _names(client: Client) -> dict[str, tuple[str | None, tuple[Any, ...]]]:
    """The names that are tried: each with its alias, if it has one, and its values."""
    found: dict[str, tuple[str | None, tuple[Any, ...]]] = {}
    for name, info in client.cls.model_fields.items():
        if name in _SKIPPED or name in client.skips:
            continue
        values = _values(name, info.annotation)
        default = info.get_default(call_default_factory=True, validated_data={}) if not info.is_required() else None
        found[name] = (info.alias, tuple(_distinct([*values, default])))
    aliases = {alias for alias, _ in found.values()}
    for name in client.options:
        if name not in found and name not in aliases:
            found[name] = (None, _values(name, None))
    return found


def _values(name: str, annotation: Any) -> tuple[Any, ...]:
    if name in _WORDS:
        return _WORDS[name]
    if name in _NAMED:
        return _NAMED[name]
    kinds = set(_kinds(annotation))
    literals = [value for kind in kinds if get_origin(kind) is Literal for value in get_args(kind)]
    found: list[Any] = [None, *sorted(literals, key=str)]
    for kind, values in (
        ((bool,), FLAGS),
        ((int, float), NUMBERS),
        ((list, tuple), LISTS),
        ((dict, Mapping), MAPPINGS),
    ):
        if kinds & set(kind):
            found += values
    if str in kinds or not found[1:]:
        found += TEXTS
    return tuple(_distinct(found))


def _kinds(annotation: Any) -> Iterator[Any]:
    """What a field may hold, without what holds it."""
    origin = get_origin(annotation)
    if origin in {typing.Union, types.UnionType, typing.Annotated}:
        for argument in get_args(annotation):
            yield from _kinds(argument)
    elif origin is Literal:
        yield annotation
    elif isinstance(origin, type):
        yield Mapping if issubclass(origin, Mapping) else origin
    elif annotation is not None:
        yield annotation


def _distinct(values: list[Any]) -> list[Any]:
    """Each value once, and True beside 1."""
    return list({repr(value): value for value in values}.values())


def _places(client: Client, name: str, alias: str | None, values: tuple[Any, ...]) -> Iterator[Call]:
    is_field = name in client.cls.model_fields
    for value in values:
        one = {name: value}
        yield from (Call(made=one), Call(bound=one), Call(options=one))
        if is_field:
            yield from (Call(attributes=one), Call(attributes=one, used=True))
        if alias is not None:
            other = {alias: value}
            yield from (Call(made=other), Call(bound=other), Call(options=other))
        if "model_kwargs" in client.cls.model_fields and name != "model_kwargs":
            yield Call(made={"model_kwargs": one})
        if "extra_body" in client.cls.model_fields and name != "extra_body":
            yield Call(made={"extra_body": one})


def _layered(name: str, values: tuple[Any, ...], rng: random.Random) -> Call:
    """Two or three places, each with a value of its own: the last one counts, or doesn't."""
    made, attributes, bound, options = ({name: rng.choice(values)} if rng.random() < 0.6 else {} for _ in range(4))
    return Call(made, attributes, bound, options, used=rng.random() < 0.5)


def _some_settings(client: Client, rng: random.Random) -> dict[str, Any]:
    """A few settings that the client takes."""
    found: dict[str, Any] = {}
    names = _names(client)
    for name in rng.sample([name for name in names if name in client.cls.model_fields], 3):
        value = rng.choice(names[name][1])
        variant = Variant("", lambda made={**found, name: value}: Call(made=made).prepared(client))  # type: ignore[misc]
        if value is not None and sent(variant) is not None:
            found[name] = value
    return found
