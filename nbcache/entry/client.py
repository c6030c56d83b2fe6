"""Which client made the call of an entry, and whether its answer came in chunks."""

from collections.abc import Mapping
from typing import Any

from nbcache.keys.api_names import LANGCHAIN

_Info = Mapping[str, Any] | None


def client_of(identity: Mapping[str, Any], info: _Info) -> str | None:
    """`langchain`, or the name of the API that another client called. None for a value of `put`: no model was called.

    `identity` is the document of the call's identity, and `info` the `generation_info` of the answer.
    """
    kind = identity.get("class")
    if _is_response(info):
        api = kind[0] if isinstance(kind, list) and kind else None
        return api if isinstance(api, str) else None
    return None if kind == ["values"] else LANGCHAIN


def is_streamed(identity: Mapping[str, Any], info: _Info, *, has_chunks: bool) -> bool:
    """Whether the answer came in chunks: LangChain's, which `has_chunks` says, or those of an SDK's stream."""
    return has_chunks or (_is_response(info) and identity.get("stream") is True)


def _is_response(info: _Info) -> bool:
    """Whether an answer is the HTTP response that an SDK got."""
    return info is not None and "http" in info
