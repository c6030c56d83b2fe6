"""The names and paths that the user has set to be ignored: `%config NBCache.ignore`.

A name is that of a setting, a header or a field of the request's body. A path leads into a field: `metadata.trace_id`, or
`metadata.*` for all of it. `headers.x-run` is a header. What LangChain's `extra_body` or `model_kwargs` contain becomes part
of the body, so `extra_body.metadata.trace_id` is the same path as `metadata.trace_id`.
"""

from collections.abc import Iterable

Path = tuple[str, ...]
# The arguments of models and clients that become part of the body, the headers or the query.
_CONTAINERS = {
    **dict.fromkeys(("extra_body", "model_kwargs", "body"), ()),
    **dict.fromkeys(("default_headers", "extra_headers", "additional_headers", "headers"), ("headers",)),
    **dict.fromkeys(("default_query", "extra_query", "query"), ("query",)),
}

_names: frozenset[str] = frozenset()
_paths: frozenset[Path] = frozenset()


def exempt(names: Iterable[str]) -> None:
    """Ignore these names and paths from now on, instead of earlier ones."""
    global _names, _paths  # noqa: PLW0603 - one setting for the whole process
    _names = frozenset(names)
    _paths = frozenset(path for name in _names for path in _read(name))


def exempt_names() -> frozenset[str]:
    """The names and paths that are ignored now."""
    return _names


def is_exempt(path: Path) -> bool:
    """Whether the user has named this path. It is in lower case, and begins at the request's body or is a name alone."""
    return bool(_paths) and path in _paths


def _read(name: str) -> Iterable[Path]:
    """The paths that a name stands for: as the user wrote it, and where a request has it."""
    parts = tuple(part for part in name.lower().removesuffix(".*").split(".") if part)
    if not parts:
        return
    yield (name.lower(),)  # a name may have a dot
    yield parts
    if len(parts) > 1 and parts[0] in _CONTAINERS:
        yield _CONTAINERS[parts[0]] + parts[1:]
