"""Where a model's calls are sent: part of the key, since another server gives other answers."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from langchain_core.language_models.base import BaseLanguageModel

from nbcache.canonical import digest, is_users_code
from nbcache.ignored import counted_headers

_FIELDS = (
    *("base_url", "openai_api_base", "anthropic_api_url", "groq_api_base", "api_base", "azure_endpoint"),
    *("endpoint", "endpoint_url", "inference_server_url"),
)
_CLIENTS = (
    *("client", "root_client", "_client", "async_client", "root_async_client", "_async_client"),
    *("http_client", "http_async_client"),
)
_ROUTING = ("_custom_headers", "_custom_query", "headers", "params")  # no cookies: servers set them


def endpoint_in(params: dict[str, Any]) -> str:
    """Take the endpoint out of `params`: the URLs that are given there, in canonical form."""
    urls = [params.pop(name) for name in _FIELDS if params.get(name)]
    return " ".join(sorted({_canonical_url(str(url)) for url in urls}))


def endpoint_of(model: BaseLanguageModel[Any], fields: dict[str, Any]) -> str:
    """Take the endpoint out of `fields`; the clients' own count too, wherever they were set.

    `OPENAI_BASE_URL` and `OLLAMA_HOST` are in no field of LangChain's, only in the clients that were made
    from them. Headers and parameters of a client that was handed in may route calls, so they count as well.
    """
    given = endpoint_in(fields)
    clients = {_canonical_url(str(url)) for _, _, url in client_urls(model) if str(url)}
    routing: dict[str, list[dict[str, str]]] = {}
    for client in _clients(model):
        for part in _ROUTING:
            told = counted_headers(_mapping(getattr(client, part, None)))
            if told and told not in routing.setdefault(part, []):
                routing[part].append(told)
    fields.update({f"client's {part}": told for part, told in routing.items() if told})
    if clients and not is_users_code(type(model)):
        given = ""  # providers make their clients from these fields; with OPENAI_BASE_URL the field is wrong
    return " ".join(sorted({*clients, *given.split()}))


def client_urls(model: BaseLanguageModel[Any]) -> list[tuple[Any, str, object]]:
    """Who holds the base URLs that `model` calls, under which name, and the URLs: text or URL objects."""
    found = []
    for owner in _clients(model):
        for name in ("base_url", "endpoint_url"):
            url = getattr(owner, name, None)
            if isinstance(url, str) or type(url).__name__ == "URL":
                found.append((owner, name, url))
    return found


def handed_in(model: BaseLanguageModel[Any]) -> list[object]:
    """What may change of the HTTP clients that the user has handed in, to be compared: nothing for most models."""
    found: list[object] = []
    for name in ("http_client", "http_async_client"):
        client = model.__dict__.get(name)
        if client is not None:
            headers = getattr(client, "headers", None)
            found += [getattr(headers, "raw", object()), getattr(client, "params", None)]
    return found


def _clients(model: BaseLanguageModel[Any]) -> list[Any]:
    """The clients that know where they lead, each once: a resource of OpenAI's names its client, Ollama's an HTTP client.

    Not those that are made at the first call (ChatAnthropic's): they are made from the fields.
    """
    fields, private = model.__dict__, model.__pydantic_private__ or {}
    found: list[Any] = []
    for name in _CLIENTS:
        client = private.get(name) or (fields.get(name) if name in type(model).model_fields else None)
        if client is not None and getattr(client, "base_url", None) is None:
            client = getattr(client, "_client", None) or getattr(client, "meta", None) or client
        if client is not None and not any(client is known for known in found):
            found.append(client)
    return found


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


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
    query = f"?{digest(parts.query.encode())}" if parts.query else ""  # it may hold a key
    result = f"{parts.scheme}://{host}{parts.path.rstrip('/')}{query}" if host else url.rstrip("/")
    if len(_canonical_urls) < 1000:
        _canonical_urls[url] = result
    return result
