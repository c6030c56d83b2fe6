"""Clients of providers and of HTTP, as they stand in variables and attributes of the user's code: by where they lead."""

from collections.abc import Mapping
from typing import Any

# What HTTP libraries send of their own accord, with their version in it.
_USUAL = {"accept", "accept-encoding", "connection", "user-agent"}


def client_text(value: Any) -> str | None:
    """Where a client leads, and the headers and parameters that it adds; None for what is no known kind of client.

    It holds what authenticates, so it is for digests alone.
    """
    package = type(value).__module__.partition(".")[0]
    if package in {"httpx", "httpx2"} and hasattr(value, "base_url"):
        parts = [str(value.base_url), _headers(value.headers), str(value.params), str(value.timeout and "")]
    elif hasattr(type(value), "base_url") and isinstance(getattr(value, "_custom_headers", None), Mapping):
        told = (getattr(value, name, None) for name in ("organization", "project", "_api_version", "_azure_deployment"))
        parts = [str(value.base_url), _headers(value._custom_headers), str(value._custom_query), *map(str, told)]  # noqa: SLF001
    elif package == "botocore" and (meta := getattr(value, "meta", None)) is not None and hasattr(meta, "endpoint_url"):
        parts = [str(meta.endpoint_url), str(meta.region_name)]
    else:
        return _resource_text(value)
    return "\n".join(parts)


def _resource_text(value: Any) -> str | None:
    """That of a part of an SDK's client, as `client.chat.completions`: of the client that it asks."""
    package = type(value).__module__.partition(".")
    client = getattr(value, "__dict__", {}).get("_client")
    if package[2].startswith("resources") and client is not None and client is not value:
        return client_text(client)
    return None


def _headers(headers: Mapping[Any, Any]) -> str:
    return repr(
        sorted((str(name).lower(), str(value)) for name, value in headers.items() if str(name).lower() not in _USUAL)
    )
