"""Where a model's calls are sent: part of the key, since another server gives other answers."""

from typing import Any
from urllib.parse import urlsplit

from langchain_core.language_models.base import BaseLanguageModel

from nbcache.ignored import counted_headers

_FIELDS = (
    *("base_url", "openai_api_base", "anthropic_api_url", "groq_api_base", "api_base", "azure_endpoint"),
    *("endpoint", "endpoint_url", "inference_server_url"),
)
_CLIENTS = ("root_client", "client", "_client", "root_async_client", "async_client", "_async_client")
_HTTP_CLIENTS = ("http_client", "http_async_client")


def endpoint_in(params: dict[str, Any]) -> str:
    """Take the endpoint out of `params`: the URLs that are given there, in canonical form."""
    urls = [params.pop(name) for name in _FIELDS if params.get(name)]
    return " ".join(sorted({_canonical_url(str(url)) for url in urls}))


def endpoint_of(model: BaseLanguageModel[Any], fields: dict[str, Any]) -> str:
    """Take the endpoint out of `fields`; the client's own counts, wherever it was set.

    `OPENAI_BASE_URL` and `OLLAMA_HOST` are in no field of LangChain's, only in the client that was made
    from them. Headers of an HTTP client that was handed in may route calls, so they count as well.
    """
    given = endpoint_in(fields)
    endpoint = _of_clients(model) or given
    for name in _HTTP_CLIENTS:
        headers = getattr(model.__dict__.get(name), "headers", None)
        if headers and (routing := counted_headers(headers)):
            fields[f"{name} headers"] = routing
    return endpoint


def _of_clients(model: BaseLanguageModel[Any]) -> str:
    url = client_url(model)
    return _canonical_url(str(url)) if url is not None else ""


def client_url(model: BaseLanguageModel[Any]) -> object:
    """The base URL of the client that `model` calls, as the client holds it: text or a URL object."""
    fields, private = model.__dict__, model.__pydantic_private__ or {}
    for name in _CLIENTS:
        client = fields.get(name) or private.get(name)
        if client is not None:
            for owner in (client, getattr(client, "_client", None), getattr(client, "meta", None)):
                url = getattr(owner, "base_url", None) or getattr(owner, "endpoint_url", None)
                if isinstance(url, str) or type(url).__name__ == "URL":
                    return url
    return None


_canonical_urls: dict[str, str] = {}


def _canonical_url(url: str) -> str:
    """`url` with scheme and host in lower case, no default port, no slash at the end, no user or password."""
    known = _canonical_urls.get(url)
    if known is not None:
        return known
    try:
        parts = urlsplit(url)
        port = parts.port if parts.port != {"http": 80, "https": 443}.get(parts.scheme) else None
    except ValueError:
        return url
    host = (parts.hostname or "") + (f":{port}" if port else "")
    query = f"?{parts.query}" if parts.query else ""
    result = f"{parts.scheme}://{host}{parts.path.rstrip('/')}{query}" if host else url.rstrip("/")
    if len(_canonical_urls) < 1000:
        _canonical_urls[url] = result
    return result
