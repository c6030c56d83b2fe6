"""Where a model's calls are sent, and what its clients add to them: part of the key.

The clients themselves are read, not the fields that they were made from. An endpoint may come from the environment, and
both may be changed afterwards.
"""

import copy
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter, is_
from typing import Any

from langchain_core.language_models.base import BaseLanguageModel

from nbcache.keys.canonical import NotCanonicalError, is_users_code
from nbcache.keys.canonical_urls import endpoint_url
from nbcache.keys.clients.client_hooks import ClientCode, Look, is_mock
from nbcache.keys.ignored.headers_and_query import counted_client_query, counted_headers

_FIELDS = (
    *("base_url", "openai_api_base", "anthropic_api_url", "groq_api_base", "api_base", "azure_endpoint"),
    *("endpoint", "endpoint_url", "inference_server_url"),
)
# The attributes of a model that hold its clients: for sync calls, and for async calls.
_CLIENTS = ("client", "root_client", "_client", "http_client")
_ASYNC_CLIENTS = ("async_client", "root_async_client", "_async_client", "http_async_client")
# The attributes that say where a client sends its requests: OpenAI's kind of client, HTTP clients, AWS and Google.
_URLS = ("base_url", "endpoint_url")
_PLACES = (*_URLS, "api_version", "region_name", "organization", "project", "location", "vertexai")
_HEADERS = ("_custom_headers", "headers")
_QUERIES = ("_custom_query", "params")  # cookies don't count: servers set them


@dataclass(slots=True)
class Target:
    """Where a model sends its calls: `endpoint` are the URLs, `extras` what its clients add to each call.

    It also notes what was read, so that `is_unchanged` can compare it.
    """

    endpoint: str = ""
    extras: dict[str, Any] = field(default_factory=dict)
    _attributes: dict[int, tuple[Any, list[str], list[object]]] = field(default_factory=dict)  # by owner
    _contents: tuple[list[Any], list[Any]] = field(default_factory=lambda: ([], []))  # containers, and copies of them
    _watched: list[tuple[Any, Callable[[Any], tuple[object, ...]], tuple[object, ...]]] = field(default_factory=list)
    _namespaces: list[dict[str, Any]] = field(default_factory=list)
    _sizes: list[int] = field(default_factory=list)
    _looks: list[Look] = field(default_factory=list)

    def watch(self, owner: Any, name: str, value: object, content: object = None) -> None:
        """Note an attribute that must stay this object, and a copy of the content that it must keep.

        If a property reads it from an attribute with an underscore, that one is compared: it costs no call.
        """
        inner = f"_{name}"
        is_property = getattr(owner, "__dict__", {}).get(inner) is value
        _, names, values = self._attributes.setdefault(id(owner), (owner, [], []))
        names.append(inner if is_property else name)
        values.append(value)
        if content is not None:
            container = getattr(value, "_list", value)  # of httpx's headers: it is compared as bytes
            self._contents[0].append(container)
            self._contents[1].append(content)

    def watch_code(self, code: ClientCode) -> None:
        """Note what must not change so that a client runs the same code of the user's."""
        for attribute in code.attributes:
            self.watch(*attribute)
        self._namespaces += code.namespaces
        self._looks += code.looks

    def close(self) -> None:
        """Nothing more will be noted."""
        self._sizes = [*map(len, self._namespaces)]
        for owner, names, values in self._attributes.values():
            self._watched.append(
                (owner, attrgetter(*names, names[0]), (*values, values[0]))
            )  # for two names at least, it returns a tuple

    def is_unchanged(self) -> bool:
        """Whether the clients still send their calls in the same way, as far as can be seen from outside."""
        try:
            for owner, values_of, values in self._watched:
                if not all(map(is_, values_of(owner), values)):
                    return False
            if self._looks and not all(look(value) == result for look, value, result in self._looks):
                return False
        except (AttributeError, NotCanonicalError):
            return False
        now, then = self._contents
        return now == then and [*map(len, self._namespaces)] == self._sizes


def endpoint_in(params: dict[str, Any]) -> str:
    """Remove the endpoint from `params`: the URLs in it, in canonical form."""
    urls = [params.pop(name) for name in _FIELDS if params.get(name)]
    return " ".join(sorted({_canonical_url(str(url)) for url in urls}))


def target_of(model: BaseLanguageModel[Any], *, is_async: bool = False) -> Target:
    """Where `model` sends its calls, by its clients. A client that the model makes at its first call is made now.

    `is_async` is for `ainvoke` and similar calls, for which most models have clients of their own.
    """
    target = Target()
    urls: set[str] = set()
    for label, clients in _clients(model, is_async=is_async):
        extras, own = _read_clients(clients, target)
        if label:  # a further client, which may lead elsewhere
            extras = {f"{label}'s {name}": value for name, value in extras.items()}
            if own and own != urls:
                extras[f"{label}'s URL"] = sorted(own)
        target.extras |= extras
        urls |= own
    target.endpoint = " ".join(sorted(urls))
    target.close()
    return target


def _read_clients(clients: list[tuple[Any, bool]], target: Target) -> tuple[dict[str, Any], set[str]]:
    """What a client, and those within it, add to each call, and their URLs. Notes in `target` what was read."""
    extras: dict[str, Any] = {}
    urls: set[str] = set()
    for client, is_inner in clients:
        for name, value in _places(client, target):
            if name not in _URLS:
                _add(extras, name, value)
            elif not is_inner:
                urls.add(_canonical_url(str(value)))
        for kind, names in (("headers", _HEADERS), ("query", _QUERIES)):
            for name in names:
                if counted := _mapping(client, name, target):
                    _add(extras, kind, counted)
        if body := _extra_body(client, target):
            _add(extras, "body", body)
        code = ClientCode(client)
        target.watch_code(code)
        for counted in code.counted:
            _add(extras, "hooks", counted)
    return extras, urls


def endpoint_of(model: BaseLanguageModel[Any], fields: dict[str, Any], target: Target) -> str:
    """Where calls of `model` go. Removes the endpoint from `fields`: it counts only if no client has one, or the class is the user's."""
    endpoint = endpoint_in(fields)
    if target.endpoint and not is_users_code(type(model)):
        endpoint = ""
    return " ".join(sorted({*target.endpoint.split(), *endpoint.split()}))


def _add(extras: dict[str, Any], name: str, value: Any) -> None:
    values = extras.setdefault(name, [])
    if value not in values:
        values.append(value)


def _places(client: Any, target: Target) -> Iterator[tuple[str, Any]]:
    for name in _PLACES:
        value = getattr(client, name, None)
        if isinstance(value, str | bool) or type(value).__name__ == "URL":
            target.watch(client, name, value)
            if value is not False and (str(value) or name not in _URLS):  # an empty organization is sent
                yield name, value


def _extra_body(client: Any, target: Target) -> Any:
    """The fields that Google's client adds to the body of each request."""
    if is_mock(client) or not hasattr(client, "extra_body"):
        return None
    target.watch(client, "extra_body", client.extra_body, copy.deepcopy(client.extra_body))
    return client.extra_body


def _mapping(client: Any, name: str, target: Target) -> dict[str, str]:
    """The headers or query parameters that a client adds to each request, as digests."""
    value = getattr(client, name, None)
    if not isinstance(value, Mapping):
        return {}
    inner = getattr(value, "_list", None)
    copy = list(inner) if isinstance(inner, list) else dict(value) if isinstance(value, dict) else None
    target.watch(client, name, value, copy)
    return counted_client_query(value) if name in _QUERIES else counted_headers(value)


def _clients(model: BaseLanguageModel[Any], *, is_async: bool) -> Iterator[tuple[str, list[tuple[Any, bool]]]]:
    """The clients of a model, each once: a label, which is empty for the first, and the client with those within it.

    Each client comes with whether it is an inner one: the HTTP client of a client that has a URL itself.
    """
    attributes = _attributes(model)
    names = _CLIENTS
    if is_async and (hasattr(type(model), "_async_client") or any(attributes.get(name) for name in _ASYNC_CLIENTS)):
        names = _ASYNC_CLIENTS
    lazy = names[2]
    if lazy not in attributes and hasattr(type(model), "_client_params"):
        _make_client(model, lazy)
        attributes = _attributes(model)
    visited: list[Any] = []
    for name in names:
        new = [
            (client, is_inner)
            for client, is_inner in _with_inner(attributes.get(name), is_async=is_async)
            if not any(client is other for other in visited)
        ]
        if new:
            yield name if visited else "", new
            visited += [client for client, _ in new]


def _attributes(model: Any) -> dict[str, Any]:
    private = model.__pydantic_private__ or {}
    return {**model.__dict__, **{name: value for name, value in private.items() if value is not None}}


def _make_client(model: Any, name: str) -> None:
    """Make the client of ChatAnthropic, as its first call does."""
    try:
        getattr(model, name)
    except Exception:  # noqa: BLE001 - the call itself will raise it
        return


def _with_inner(client: Any, depth: int = 2, *, is_async: bool = False) -> Iterator[tuple[Any, bool]]:
    """A client and those within it: a resource of OpenAI's has a client, Ollama's client has an HTTP client.

    Google's and AWS's clients are replaced by the objects in them that hold the endpoint.
    """
    if client is None or isinstance(client, str | int | float | dict | list):
        return
    if is_mock(client):
        yield client, False
        return
    if (google := getattr(client, "_api_client", None)) is not None:
        yield google, False
        yield getattr(google, "_http_options", None), False
        yield getattr(google, "_async_httpx_client" if is_async else "_httpx_client", None), True
        return
    meta = getattr(client, "meta", None)
    if isinstance(getattr(meta, "endpoint_url", None), str):
        yield meta, False
        return
    yield client, False
    if depth:
        has_url = getattr(client, "base_url", None) is not None
        for inner, is_inner in _with_inner(getattr(client, "_client", None), depth - 1):
            yield inner, is_inner or has_url


@functools.lru_cache(maxsize=1_000)
def _canonical_url(url: str) -> str:
    return endpoint_url(url)
