"""The headers of an answer, which LangChain hands on with `include_response_headers=True`.

What is the provider's own business is not kept: cookies, whose account it was, and what traces its network.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.outputs import ChatGeneration, Generation

from nbcache.keys.ignored.headers_and_query import is_ignored_header

_PRIVATE = re.compile(
    r"(set-)?cookie2?|.*-(organization|organisation|project|workspace|account|tenant)(-id)?|(x-)?(amz-)?cf-.*|via|nel|report-to"
    r"|www-authenticate|.*(token|secret|api-key)"
)
# A request's id is what one asks a provider about, and it is new in each answer.
_KEPT = frozenset({"content-type", "content-length", "request-id", "x-request-id"})


def without_private(answer: Sequence[Generation]) -> Sequence[Generation]:
    """An answer as it is stored, without private headers. It is a copy if there were any."""
    return [_without_private(each) for each in answer] if any(map(_has_headers, answer)) else answer


def has_headers(plain: Mapping[str, Any]) -> bool:
    """Whether the plain form of a generation or a chunk has headers. It was just parsed, so that it has dicts."""
    if "headers" in (plain.get("info") or ()):
        return True
    message = plain.get("message")
    return message is not None and "headers" in (message["fields"].get("response_metadata") or ())


def cleaned(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The same for the plain form of a generation or a chunk."""
    clean = dict(plain)
    if _headers_in(clean.get("info")):
        clean["info"] = _clean(clean["info"])
    message = clean.get("message")
    fields = message.get("fields") if isinstance(message, Mapping) else None
    if isinstance(fields, Mapping) and _headers_in(fields.get("response_metadata")):
        metadata = _clean(fields["response_metadata"])
        clean["message"] = {**clean["message"], "fields": {**fields, "response_metadata": metadata}}
    return clean


def _without_private(generation: Generation) -> Generation:
    values: dict[str, Any] = {}
    if _headers_in(generation.generation_info):
        values["generation_info"] = _clean(generation.generation_info)
    if isinstance(generation, ChatGeneration) and _headers_in(generation.message.response_metadata):
        metadata = _clean(generation.message.response_metadata)
        values["message"] = generation.message.model_copy(update={"response_metadata": metadata})
    return generation.model_copy(update=values) if values else generation


def _has_headers(generation: Generation) -> bool:
    message = generation.message if isinstance(generation, ChatGeneration) else None
    return _headers_in(generation.generation_info) or (message is not None and _headers_in(message.response_metadata))


def _headers_in(metadata: Any) -> bool:
    return isinstance(metadata, Mapping) and isinstance(metadata.get("headers"), Mapping)


def _clean(metadata: Any) -> dict[str, Any]:
    headers = {name: value for name, value in metadata["headers"].items() if not _is_private(str(name).lower())}
    return {**metadata, "headers": headers}


def _is_private(name: str) -> bool:
    return name not in _KEPT and (is_ignored_header(name) or _PRIVATE.fullmatch(name) is not None)
