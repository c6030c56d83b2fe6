"""Clients of providers and HTTP clients that the user's code refers to: they count by where they send their requests."""

from collections.abc import Mapping
from typing import Any

# Headers that HTTP libraries add by themselves, some with their version.
_AUTOMATIC = {"accept", "accept-encoding", "connection", "user-agent"}


def client_text(value: Any) -> str | None:
    """Where a client sends its requests, and the headers and parameters that it adds. None for other values.

    The text may contain credentials, so it must only be used for digests.
    """
    package = type(value).__module__.partition(".")[0]
    if package in {"httpx", "httpx2"} and hasattr(value, "base_url"):
        parts = [str(value.base_url), _headers(value.headers), str(value.params), str(value.timeout and "")]
    elif hasattr(type(value), "base_url") and isinstance(getattr(value, "_custom_headers", None), Mapping):
        names = (
            getattr(value, name, None) for name in ("organization", "project", "_api_version", "_azure_deployment")
        )
        parts = [str(value.base_url), _headers(value._custom_headers), str(value._custom_query), *map(str, names)]  # noqa: SLF001
    elif package == "botocore" and (meta := getattr(value, "meta", None)) is not None and hasattr(meta, "endpoint_url"):
        parts = [str(meta.endpoint_url), str(meta.region_name)]
    else:
        return _resource_text(value)
    return "\n".join(parts)


def _resource_text(value: Any) -> str | None:
    """The text of the client to which a part of it belongs, such as `client.chat.completions`."""
    package = type(value).__module__.partition(".")
    client = getattr(value, "__dict__", {}).get("_client")
    if package[2].startswith("resources") and client is not None and client is not value:
        return client_text(client)
    return None


def _headers(headers: Mapping[Any, Any]) -> str:
    return repr(
        sorted(
            (str(name).lower(), str(value)) for name, value in headers.items() if str(name).lower() not in _AUTOMATIC
        )
    )
