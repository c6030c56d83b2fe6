"""A request's body: what of it can change an answer.

JSON's types count here, at any depth and whatever a mapping is called. So do credentials: what stands in a body is passed on
to somebody else, a tool's server say, and chooses what is read there. They count as digests.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from nbcache.keys.canonical import canonical, digest
from nbcache.keys.ignored.user_setting import Path, is_exempt

# Names of what may be a secret. Its digest counts: `eos_token` is none, and changes the answer.
_SECRET = re.compile(r"(key|token|secret|password|authorization|credentials?)$", re.IGNORECASE)
_SECRETS = re.compile(r"(headers|cookies)$", re.IGNORECASE)  # mappings whose values may be

# Fields that no answer depends on, by whose API it is.
_OPENAI: frozenset[str] = frozenset(
    {
        # who asks, and what the provider keeps of it: https://platform.openai.com/docs/api-reference/responses/create.
        # `store` counts: of an answer that wasn't stored the next call can't refer to the id.
        *("user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"),
        "continuation_id",
        # LiteLLM's proxy: https://docs.litellm.ai/docs/proxy/user_keys, and its own cache
        *("litellm_trace_id", "litellm_session_id", "litellm_call_id", "cache", "num_retries"),
        # OpenRouter's broadcast to tracers: https://openrouter.ai/docs/features/broadcast
        "trace",
    }
)
IGNORED_BODY: Mapping[str, frozenset[str]] = {
    "openai": _OPENAI,
    "anthropic": frozenset(),
    "bedrock": frozenset({"requestMetadata"}),  # of AWS's logs
    "google": frozenset({"labels"}),  # of Google's bills
    "ollama": frozenset({"keep_alive"}),  # how long a model stays loaded
}
# What tracers are told of a call, and of it what gateways route by, or guard the answer with: LiteLLM's tags
# (https://docs.litellm.ai/docs/proxy/tag_routing) and guardrails.
_METADATA = {"openai": ("metadata", "litellm_metadata"), "anthropic": ("litellm_metadata",)}
_ROUTING = frozenset({"tags", "guardrails"})
# Anthropic reads no more of its metadata than the id of a user (https://platform.claude.com/docs/en/api/messages).
_IGNORED_PATHS: Mapping[str, frozenset[Path]] = {"anthropic": frozenset({("metadata", "user_id")})}


def counted_body(body: Mapping[str, Any], dialect: str = "openai") -> dict[str, Any]:
    """The fields of a request's body that count, by name, without credentials.

    `dialect` tells whose API the body is for: `openai`, `anthropic`, `bedrock`, `google` or `ollama`.
    """
    ignored, paths = IGNORED_BODY[dialect], _IGNORED_PATHS.get(dialect, frozenset())
    kept: dict[str, Any] = {}
    for name, item in sorted(body.items(), key=lambda field: str(field[0])):
        if name in ignored or is_exempt((str(name).lower(),)):
            continue
        value = _routing(item) if name in _METADATA.get(dialect, ()) else item
        if value is None and item is not None:
            continue
        counts = _counted(value, (str(name).lower(),), paths)
        if counts is not _NOTHING:
            kept[name] = counts
    return kept


def _routing(metadata: Any) -> Any:
    """What of it a gateway may go by; None where there is nothing."""
    if not isinstance(metadata, Mapping):
        return None
    return {name: value for name, value in metadata.items() if name in _ROUTING} or None


def counted_value(name: str, value: Any) -> Any:
    """What counts of the value of a setting or field `name`: JSON's types as they are, and no credentials."""
    counts = _counted(value, (name.lower(),), frozenset())
    return {} if counts is _NOTHING else counts


_NOTHING = object()
_SETTINGS = frozenset(
    {"options", "config", "inferenceconfig"}
)  # in which Ollama, Google and AWS take a model's settings


def _counted(value: Any, path: Path, ignored: frozenset[Path]) -> Any:
    """What counts of a value; `_NOTHING` where all that was in it doesn't."""
    cls = type(value)
    if cls is str:
        return digested(value) if is_secret(path[-1]) else value
    if cls is float:
        return value if math.isfinite(value) else {"!float": repr(value)}  # JSON writes null for them all
    if isinstance(value, Mapping):
        return _counted_mapping(value, path, ignored)
    if cls is list or cls is tuple:
        items = [_counted(item, path, ignored) for item in value]
        return [{} if item is _NOTHING else item for item in items]
    if cls.__module__.startswith("google.genai."):  # their unset fields, new ones too, are not sent
        return _counted_mapping({name: item for name, item in vars(value).items() if item is not None}, path, ignored)
    return value


def _counted_mapping(value: Mapping[Any, Any], path: Path, ignored: frozenset[Path]) -> Any:
    kept = {}
    hides = _SECRETS.search(path[-1])
    for name, item in value.items():
        inner = (*path, str(name).lower())
        if inner in ignored or is_exempt(inner) or (path[-1] in _SETTINGS and is_exempt(inner[-1:])):
            continue
        counts = digested(item) if hides else _counted(item, inner, ignored)
        if counts is not _NOTHING:
            kept[name] = counts
    return kept if kept or not value else _NOTHING


def is_secret(name: str) -> bool:
    """Whether what is called so may be a secret, of which a digest counts."""
    return _SECRET.search(name) is not None


def digested(value: Any) -> str:
    """A digest in place of a value that may be secret: of a text, or of a value with its type."""
    text = value.encode(errors="surrogatepass") if isinstance(value, str) else b"\0" + canonical(value)
    return "!digest:" + digest(text)
