"""The canonical form of an argument as its reader writes it: `Judge(scale=5)`. Digests are left out."""

import json
from typing import Any

_UNREADABLE = "a longer value"


def shown_form(form: Any) -> str:
    """A form in a few words, in the signs of JSON and the names of Python's classes."""
    if isinstance(form, list):
        return f"[{', '.join(map(shown_form, form))}]"
    if not isinstance(form, dict):
        return json.dumps(form, ensure_ascii=False)
    match form:
        case {"!digest": _}:
            return _UNREADABLE
        case {"!object": [kind, held, dict() as attributes, dict() as slots]}:
            return _object(kind, held, {**attributes, **slots})
        case {"!pydantic": [kind, dict() as fields, extra, *_]}:
            return _object(kind, extra, fields)
        case {"!tuple": list() as items}:
            return f"({', '.join(map(shown_form, items))}{',' if len(items) == 1 else ''})"
        case {"!set": list() as items}:
            return f"{{{', '.join(map(str, items))}}}"
        case {"!function": named} | {"!class": named} | {"!model": named}:
            return _name(named)
        case {"!date": str() as text}:
            return text
    return f"{{{', '.join(f'{json.dumps(name)}: {shown_form(item)}' for name, item in form.items())}}}"


def _object(kind: Any, held: Any, fields: dict[str, Any]) -> str:
    inner = [] if held is None else [shown_form(held)]
    inner += [f"{name}={shown_form(field)}" for name, field in fields.items()]
    return f"{_name(kind)}({', '.join(inner)})"


def _name(named: Any) -> str:
    """Of a class, a function or a model, which its digests may follow."""
    name = named[0] if isinstance(named, list) and named else named
    return name.removeprefix("__main__.") if isinstance(name, str) else shown_form(name)
