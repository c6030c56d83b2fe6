"""The plain store: values that any code puts and gets, in the terms in which answers of models are kept."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.outputs import Generation
from pydantic import BaseModel

from nbcache.codec.json_values import from_plain, to_plain
from nbcache.errors import NotStorableError
from nbcache.keys.canonical import NotCanonicalError, canonical
from nbcache.keys.credentials import hidden
from nbcache.keys.identity import DOCUMENT
from nbcache.keys.ignored.langchain_parameters import counted

Messages = str | Sequence[Mapping[str, Any]]
KeyFn = Callable[[Any], Any]
_EXAMPLE = '"What is a monad?" or [{"role": "user", "content": "What is a monad?"}]'


def prompt_and_identity(
    messages: Messages, model: str, key_fn: KeyFn | None, params: Mapping[str, Any]
) -> tuple[str, str]:
    """The prompt, and in place of an `llm_string` what else counts.

    What can't change an answer doesn't count among `params`, as with models; and what `key_fn` makes of the messages is
    never taken for messages. Raises TypeError or ValueError, saying what to pass.
    """
    if not isinstance(model, str) or not model.strip():
        raise ValueError(f"model={model!r}: pass the model's name")
    if isinstance(messages, str):
        kind, prompt = "text", messages
    elif isinstance(messages, list) and all(isinstance(message, dict) for message in messages):
        kind, prompt = "messages", _json("messages", list(map(_sorted, messages)))
    else:
        raise TypeError(f"messages: {_kinds(messages)} is neither a text nor a list of dicts; pass {_EXAMPLE}")
    part = ""
    if key_fn is not None and not callable(key_fn):
        raise TypeError(f"key_fn={key_fn!r}: pass a function from the messages to what counts of them")
    if key_fn is not None:
        kind, counts = _part(key_fn(messages))
        part = "\n" + counts
    return prompt, DOCUMENT + _document(model, kind, params) + part


def answer(value: Any) -> list[Generation]:
    """`value` as the answer of a call. Raises TypeError or ValueError where it would not come back as it is."""
    if value is None:
        raise ValueError("value=None: `get` says None where it finds nothing; put something else for an empty result")
    try:
        from_plain(to_plain(value))
    except NotStorableError as error:
        raise TypeError(
            f"value: {error} would not come back as it is. Put JSON values, or objects of a pydantic class of your own that "
            "is defined at the top of a module or of the notebook"
        ) from None
    except RecursionError:
        raise ValueError("value: it holds itself, or too many others") from None
    return [Generation(text=_text(value), generation_info={"value": value})]


def value_in(generations: Sequence[Generation]) -> Any:
    """The value that these generations store, as a new object. None if they store none."""
    info = generations[0].generation_info if generations else None
    return (info or {}).get("value")


def _sorted(message: dict[Any, Any]) -> dict[Any, Any]:
    """A message with its names in one order, since theirs tells nothing; what is within may be a schema, where it does."""
    return dict(sorted(message.items(), key=lambda item: str(item[0])))


def _part(part: Any) -> tuple[str, str]:
    """What `key_fn` returned, and what kind it is of."""
    if part is None:
        raise ValueError("key_fn returned None: return the part of the messages that counts, in JSON's terms")
    if isinstance(part, str):
        return "part", part
    return "part in JSON", _json("key_fn", part)


def _json(name: str, value: Any) -> str:
    """`value` as JSON. Raises TypeError where it is no JSON value: a tuple would be taken for a list, 1 for "1"."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        is_same = json.loads(text) == value
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"{name}: {error}; pass dicts, lists, texts, numbers, True, False and None only") from None
    if not is_same:
        raise TypeError(f"{name}: tuples, and names that are no texts, are not JSON; pass lists, and names in quotes")
    return text


def _document(model: str, kind: str, params: Mapping[str, Any]) -> str:
    try:
        document = {"class": ["values"], "model": model, "of": kind, "params": counted(params)}
        return hidden(canonical(document)).decode()
    except (NotCanonicalError, RecursionError) as error:
        names = ", ".join(params)
        raise TypeError(f"one of {names} can't be told from another by its value: {error}; pass JSON values") from None


def _kinds(messages: Any) -> str:
    """What was passed for messages, by its type."""
    if not isinstance(messages, list):
        return f"a {type(messages).__qualname__}"
    other = next(message for message in messages if not isinstance(message, dict))
    return f"a list with a {type(other).__qualname__}"


def _text(value: Any) -> str:
    """A value as people read it, and never nothing."""
    if isinstance(value, str) and value.strip():
        return value
    try:
        return json.dumps(value, ensure_ascii=False, default=_shown)
    except (TypeError, ValueError):
        return repr(value)


def _shown(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
