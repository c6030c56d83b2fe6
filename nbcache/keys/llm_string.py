"""Reading `llm_string`, in the two forms in which LangChain writes it.

Chat models that LangChain can serialise: their JSON, `---`, and the call's options as a list of pairs.
All others: one list of pairs, which identify the model and, for chat models, contain the options.
"""

import ast
import functools
import json
import re
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class LLMString:
    """The parts of an `llm_string`.

    Attributes:
        name: the type or class of the model.
        params: the model's parameters; `options` are the call's.
        serialised: whether the model was serialised by LangChain.
        raw: the string itself, if it has neither form.
        unnamed: the parameters whose value was printed as an object without its content.
        text: the whole string.
    """

    name: str
    params: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    serialised: bool = False
    raw: str | None = None
    unnamed: tuple[str, ...] = ()
    text: str = ""


@functools.lru_cache(maxsize=512)
def parse(llm_string: str) -> LLMString:
    """The parts of `llm_string`. Nothing of it is dropped, whatever its form."""
    parts = None
    if llm_string.startswith("{"):
        parts = _serialised(llm_string)
    elif llm_string.startswith("[("):
        parts = _pairs(llm_string)
    return replace(parts or LLMString("", raw=llm_string), text=llm_string)


def _serialised(llm_string: str) -> LLMString | None:
    try:
        model, end = json.JSONDecoder().raw_decode(llm_string)
    except ValueError:
        return None
    if not isinstance(model, dict) or not isinstance(model.get("kwargs"), dict) or llm_string[end : end + 3] != "---":
        return None
    kwargs = {name: value for name, value in model["kwargs"].items() if _lc_type(value) != "secret"}
    options = _literal(llm_string[end + 3 :])
    if options is None:
        options = {"options": llm_string[end + 3 :]}
    return LLMString(
        ".".join(map(str, model.get("id") or ())),
        _without_nulls(kwargs),
        _without_nulls(options),
        serialised=True,
        unnamed=(
            *(name for name, value in kwargs.items() if _lc_type(value) == "not_implemented"),
            *_printed_objects(options),
        ),
    )


def _pairs(llm_string: str) -> LLMString | None:
    params = _literal(llm_string)
    if params is None or "_type" not in params:
        return None
    unnamed = _printed_objects(params)
    name = str(params.pop("_type"))
    options = {"stop": params.pop("stop", None)}
    return LLMString(name, _without_nulls(params), _without_nulls(options), unnamed=unnamed)


def _literal(text: str) -> dict[str, Any] | None:
    """A printed list of pairs, by name. Values that are not literals are left as text."""
    for source in (text, _quote_objects(text)):
        try:
            return dict(_value(ast.parse(source, mode="eval").body))
        except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
            continue
    return None


def _value(node: ast.AST) -> Any:
    match node:
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return [_value(item) for item in items]
        case ast.Dict(keys=keys, values=values):
            return {_value(k) if k else None: _value(v) for k, v in zip(keys, values, strict=True)}
    try:
        return ast.literal_eval(node)
    except ValueError:
        return "!text:" + ast.unparse(node)


# A string that isn't closed extends to the end of the text. Otherwise each of its quotes would start another search, and
# those would take quadratic time.
_STRING_OR_SIGN = re.compile(r"""'(?:[^'\\]|\\.)*+(?:'|\Z)|"(?:[^"\\]|\\.)*+(?:"|\Z)|[<>]""", re.DOTALL)


def _quote_objects(text: str) -> str:
    """Put objects as Python prints them, such as `<class 'City'>`, into quotes; not those within strings."""
    parts: list[str] = []
    end = start = depth = 0
    for sign in _STRING_OR_SIGN.finditer(text):
        if sign[0] == "<":
            start = start if depth else sign.start()
            depth += 1
        elif sign[0] == ">" and depth:
            depth -= 1
            if not depth:
                parts += [text[end:start], repr("!object:" + text[start : sign.end()])]
                end = sign.end()
    return "".join([*parts, text[end:]])


def _printed_objects(params: dict[str, Any]) -> tuple[str, ...]:
    """The parameters that hold an object which was printed by its name or address only."""
    return tuple(name for name, value in params.items() if "!object:<" in str(value))


def _lc_type(value: Any) -> str:
    return str(value.get("type")) if isinstance(value, dict) and value.get("lc") == 1 else ""


def _without_nulls(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}
