"""The fields of a request's body that can't change an answer, and the form in which the others count.

Values count with their JSON types, at any depth. Credentials count as digests: those in a body are for a third party, such
as the server of a tool, and decide what can be read there.
"""

from collections.abc import Mapping
from typing import Any

from nbcache.keys.credential_names import counted_digest, holds_secrets, may_be_secret
from nbcache.keys.ignored.user_setting import Path, is_exempt

# Fields that no answer depends on, by API.
_OPENAI: frozenset[str] = frozenset(
    {
        # who makes the call, and what the provider stores: https://platform.openai.com/docs/api-reference/responses/create.
        # `store` counts: the next call can't refer to an answer that wasn't stored.
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
# Metadata for tracers. It doesn't count, but for what a gateway uses to route a call or to guard its answer: LiteLLM's tags
# (https://docs.litellm.ai/docs/proxy/tag_routing) and guardrails.
_METADATA = {"openai": ("metadata", "litellm_metadata"), "anthropic": ("litellm_metadata",)}
_ROUTING = frozenset({"tags", "guardrails"})
# Anthropic's metadata contains only the id of a user (https://platform.claude.com/docs/en/api/messages).
_IGNORED_PATHS: Mapping[str, frozenset[Path]] = {"anthropic": frozenset({("metadata", "user_id")})}


def counted_body(body: Mapping[str, Any], dialect: str = "openai") -> dict[str, Any]:
    """The fields of a request's body that count, by name, without credentials.

    `dialect` is the API that the body is for: `openai`, `anthropic`, `bedrock`, `google` or `ollama`.
    """
    ignored, paths = IGNORED_BODY.get(dialect, frozenset()), _IGNORED_PATHS.get(dialect, frozenset())
    counted: dict[str, Any] = {}
    for name, item in sorted(body.items(), key=lambda field: str(field[0])):
        if name in ignored or is_exempt((str(name).lower(),)):
            continue
        value = _routing(item) if name in _METADATA.get(dialect, ()) else item
        if value is None and item is not None:
            continue
        counts = _counted(value, (str(name).lower(),), paths)
        if counts is not _NOTHING:
            counted[name] = counts
    return counted


def _routing(metadata: Any) -> Any:
    """The part of the metadata that a gateway may use. None if there is none."""
    if not isinstance(metadata, Mapping):
        return None
    return {name: value for name, value in metadata.items() if name in _ROUTING} or None


def counted_value(name: str, value: Any) -> Any:
    """What counts of the value of a setting or field `name`, with its JSON types and without credentials."""
    counts = _counted(value, (name.lower(),), frozenset())
    return {} if counts is _NOTHING else counts


_NOTHING = object()
_SETTINGS = frozenset(
    {"options", "config", "inferenceconfig"}
)  # in which Ollama, Google and AWS take a model's settings


def _counted(value: Any, path: Path, ignored: frozenset[Path]) -> Any:
    """What counts of a value; `_NOTHING` if no part of it does."""
    cls = type(value)
    if cls is str:
        return counted_digest(value) if may_be_secret(path[-1]) else value
    if isinstance(value, Mapping):
        return _counted_mapping(value, path, ignored)
    if cls is list or cls is tuple:
        items = [_counted(item, path, ignored) for item in value]
        return [{} if item is _NOTHING else item for item in items]
    if cls.__module__.startswith("google.genai."):  # fields that are not set are not sent
        return _counted_mapping({name: item for name, item in vars(value).items() if item is not None}, path, ignored)
    return value


def _counted_mapping(value: Mapping[Any, Any], path: Path, ignored: frozenset[Path]) -> Any:
    counted = {}
    has_secrets = holds_secrets(path[-1])
    for name, item in value.items():
        inner = (*path, str(name).lower())
        if inner in ignored or is_exempt(inner) or (path[-1] in _SETTINGS and is_exempt(inner[-1:])):
            continue
        counts = counted_digest(item) if has_secrets else _counted(item, inner, ignored)
        if counts is not _NOTHING:
            counted[name] = counts
    return counted if counted or not value else _NOTHING
