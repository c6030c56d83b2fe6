"""Whether a call limits the tokens of its answer: then the provider's "cut off" is what the caller wanted."""

import functools
import json
from collections.abc import Mapping
from typing import Any

TOKEN_LIMITS = {
    *("max_tokens", "max_completion_tokens", "max_output_tokens", "max_tokens_to_sample"),
    *("max_new_tokens", "num_predict", "maxTokens", "maxOutputTokens"),
}


def limits_tokens(*params: Mapping[str, Any]) -> bool:
    """Whether any of these parameters is a limit."""
    return any(part.get(name) is not None for part in params for name in TOKEN_LIMITS & part.keys())


def request_limits_tokens(request: Mapping[str, Any]) -> bool:
    """Whether a request sets a limit, at its top or one level below."""
    return limits_tokens(request, *(part for part in request.values() if isinstance(part, dict)))


@functools.lru_cache(maxsize=256)  # most calls of a notebook share theirs
def limits_tokens_in(document: str) -> bool:
    """Whether a call set a limit, by its identity's document. Raises ValueError if that is not a JSON object."""
    identity = json.loads(document)
    if not isinstance(identity, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - as for what is no JSON
    if isinstance(identity.get("request"), dict):
        return request_limits_tokens(identity["request"])
    names = ("fields", "options") if "fields" in identity else ("told", "options")
    return any(request_limits_tokens(part) for name in names if isinstance(part := identity.get(name), dict))
