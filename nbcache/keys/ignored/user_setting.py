"""What the user says can't change an answer: `%config NBCache.ignore`, names and paths.

A name means a setting, a header or a field of the request's body. A path goes on into a field: `metadata.trace_id`, or
`metadata.*` for all that is in it. A header may be named as such, `headers.x-run`. Where a field stands doesn't matter:
what LangChain's `extra_body` or `model_kwargs` holds is in the body, so that `extra_body.metadata.trace_id` is the same path.
"""

from collections.abc import Iterable

Path = tuple[str, ...]
# In which the clients take what goes into the body, the headers or the query.
_CONTAINERS = {
    **dict.fromkeys(("extra_body", "model_kwargs", "body"), ()),
    **dict.fromkeys(("default_headers", "extra_headers", "additional_headers", "headers"), ("headers",)),
    **dict.fromkeys(("default_query", "extra_query", "query"), ("query",)),
}

_names: frozenset[str] = frozenset()
_paths: frozenset[Path] = frozenset()


def exempt(names: Iterable[str]) -> None:
    """Let these names and paths not count. Replaces earlier ones."""
    global _names, _paths  # noqa: PLW0603 - one setting of the process, as the classes that it speaks of are
    _names = frozenset(names)
    _paths = frozenset(path for name in _names for path in _read(name))


def exempt_names() -> frozenset[str]:
    """What `exempt` was given last."""
    return _names


def is_exempt(path: Path) -> bool:
    """Whether the user has named this path, in lower case, from the request's body, or a name alone."""
    return bool(_paths) and path in _paths


def _read(name: str) -> Iterable[Path]:
    """The paths that a name means: as it is written, and as it stands in a request."""
    parts = tuple(part for part in name.lower().removesuffix(".*").split(".") if part)
    if not parts:
        return
    yield (name.lower(),)  # a name may have a dot
    yield parts
    if len(parts) > 1 and parts[0] in _CONTAINERS:
        yield _CONTAINERS[parts[0]] + parts[1:]
