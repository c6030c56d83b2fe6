"""Digests in place of credentials, in all that is stored of a call besides its prompt.

The digest counts, since a credential may decide what can be read: another user's token reads another user's mail. A value is
taken for a credential by its name (`credential_names`), its place in a URL (`endpoint_urls`), or its form (`Bearer …`).
"""

import functools
import json
import re
from typing import Any

from nbcache.keys.canonical import digest
from nbcache.keys.canonical_urls import hidden_url
from nbcache.keys.credential_names import DIGEST, FORM, SECRET, digested, is_credential
from nbcache.keys.json_text import written_json

_SIGNS = (
    "=",
    "://",
    '"',
    "'",
    "earer ",
    "EARER ",
    "asic ",
    "ASIC ",
)  # a text without one of these contains no credential
# In these, names are those of parameters and values are their schemas.
_SCHEMAS = frozenset({"properties", "$defs", "definitions", "patternproperties", "dependentschemas"})
_NAMING = frozenset({"name", "key", "header"})  # in a list of headers: {"name": …, "value": …}
_PAIR = 2
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s\"'<>`\\]+")
_SCHEME = re.compile(r"\b(bearer|basic)(\s{1,4})(?=\S{0,200}?\d|\S{24})([\w.~+/=-]{8,})", re.IGNORECASE)
# In JSON within a JSON text, backslashes are part of the quotes.
_ASSIGNED = re.compile(
    r"""((?:\\{0,7}["'])?)\s{0,4}([:=,])\s{0,4}"""
    r"""(?:(\\{0,7}["'])((?:(?!\3)[^\n]){1,2000})\3|([^\s;&,"'(){}\[\]<>\\]{4,}))"""
)
_NAME_BEFORE = re.compile(r"""((?:\\{0,7}["'])?)([\w.-]{1,60})\Z""")
_LOOKED_BACK = 70  # characters: room for a name and the quote before it


@functools.lru_cache(maxsize=256)  # most calls of a notebook share theirs
def hidden(document: bytes) -> bytes:
    """A canonical document with digests in place of credentials. A document that has them already stays the same."""
    value = json.loads(document)
    without_credentials = _hidden(value, "")
    return document if without_credentials == value else written_json(without_credentials)


@functools.lru_cache(maxsize=256)
def marked(document: bytes) -> bytes:
    """A document in which each digest of a credential has the prefix SECRET, also one that was made by another module.

    A short credential can be guessed from its digest, so these digests are not written into files for others.
    """
    value = json.loads(document)
    marked_value = _marked(value, hides=False)
    return document if marked_value == value else written_json(marked_value)


def _marked(value: Any, *, hides: bool) -> Any:
    if isinstance(value, dict):
        return {name: _marked(item, hides=hides or is_credential(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [_marked(item, hides=hides) for item in value]
    if hides and isinstance(value, str) and FORM.fullmatch(value.removeprefix(DIGEST)):
        return SECRET + value.removeprefix(DIGEST)
    return value


def _hidden(value: Any, name: str, *, hides: bool = False) -> Any:
    if isinstance(value, str):
        return digested(SECRET, value) if hides else _hidden_text(value)
    if isinstance(value, dict):
        return _hidden_object(value, name, hides=hides)
    if isinstance(value, list):
        if not hides and len(value) == _PAIR and all(isinstance(each, str) for each in value):
            return [value[0], _hidden(value[1], name, hides=is_credential(value[0]))]
        return [_hidden(item, name, hides=hides) for item in value]
    if hides and value is not None and not isinstance(value, bool):
        return SECRET + digest(b"\0" + written_json(value))
    return value


def _hidden_object(value: dict[str, Any], name: str, *, hides: bool) -> dict[str, Any]:
    names_parameters = name.lower() in _SCHEMAS
    is_header = any(isinstance(value.get(each), str) and is_credential(value[each]) for each in _NAMING)
    hidden_items = {}
    for key, item in value.items():
        if names_parameters and isinstance(item, dict):
            hidden_items[key] = _hidden(item, "")
        elif is_header and key in _NAMING:
            hidden_items[key] = item
        else:
            hides_item = hides or is_credential(key) or (is_header and key == "value")
            hidden_items[key] = _hidden(item, key, hides=hides_item)
    return hidden_items


# Within texts


def _hidden_text(text: str) -> str:
    if not any(map(text.__contains__, _SIGNS)) or text.startswith((SECRET, DIGEST)):
        return text
    if "://" in text:
        is_url = _URL.fullmatch(text) is not None
        text = _URL.sub(lambda url: hidden_url(url[0], whole=is_url), text)
        if is_url:
            return text
    text = _without_assigned(text)
    return _SCHEME.sub(lambda match: match[1] + match[2] + digested(SECRET, match[3]), text)


def _without_assigned(text: str) -> str:
    """Replace the values of credentials in `key=…`, `"key": "…"`, and a pair as Python prints it."""
    parts, end = [], 0
    for match in _ASSIGNED.finditer(text):
        name = _NAME_BEFORE.search(text[max(0, match.start() - _LOOKED_BACK) : match.start()])
        value = 4 if match[4] is not None else 5
        is_quoted = bool(match[1])
        if name is None or not is_credential(name[2]) or name[1] != match[1]:
            continue
        if match[2] == "=" or (is_quoted and value == 4):
            parts += [text[end : match.start(value)], digested(SECRET, match[value])]
            end = match.end(value)
    return "".join([*parts, text[end:]])
