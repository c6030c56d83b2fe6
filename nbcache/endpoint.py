"""Where a model's calls are sent, and what of its clients changes them on the way: part of the key.

The clients are asked, not the fields that they were made of: an endpoint may come from the environment, and both
may be changed afterwards.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter, is_
from typing import Any

from langchain_core.language_models.base import BaseLanguageModel

from nbcache.canonical import is_users_code
from nbcache.credentials import endpoint_url
from nbcache.exempt import is_exempt
from nbcache.headers import counted_headers

_FIELDS = (
    *("base_url", "openai_api_base", "anthropic_api_url", "groq_api_base", "api_base", "azure_endpoint"),
    *("endpoint", "endpoint_url", "inference_server_url"),
)
_CLIENTS = (
    *("client", "root_client", "_client", "async_client", "root_async_client", "_async_client"),
    *("http_client", "http_async_client"),
)
# What says where a client leads, by the attributes of OpenAI's kind of client, HTTP clients, and those of AWS and Google.
_URLS = ("base_url", "endpoint_url")
_PLACES = (*_URLS, "api_version", "region_name", "organization", "project", "location", "vertexai")
_HEADERS = ("_custom_headers", "headers")
_QUERIES = ("_custom_query", "params")  # no cookies: servers set them
# Code of the user's that an HTTP client runs on each request.
_HOOKS = ("_event_hooks", "_auth", "_transport", "_mounts")
_HTTP_CLIENTS = {"httpx", "httpx2", "openai", "anthropic", "groq", "langchain_openai", "langchain_anthropic", "nbcache"}


@dataclass(slots=True)
class Target:
    """Where a model sends its calls: `endpoint` are its URLs, `extras` what else its clients add to each call."""

    endpoint: str = ""
    extras: dict[str, Any] = field(default_factory=dict)
    _attributes: dict[int, tuple[Any, list[str], list[object]]] = field(default_factory=dict)  # by owner
    _contents: tuple[list[Any], list[Any]] = field(
        default_factory=lambda: ([], [])
    )  # what may change, and copies of it
    _watched: list[tuple[Any, Callable[[Any], tuple[object, ...]], tuple[object, ...]]] = field(default_factory=list)

    def watch(self, owner: Any, name: str, value: object, content: object = None) -> None:
        """Note an attribute that has to stay this object, and a copy of what has to stay in it.

        It is looked at under the name of the attribute itself, which is read without a property's call.
        """
        inner = f"_{name}"
        is_kept_there = getattr(owner, "__dict__", {}).get(inner) is value
        _, names, values = self._attributes.setdefault(id(owner), (owner, [], []))
        names.append(inner if is_kept_there else name)
        values.append(value)
        if content is not None:
            held = getattr(value, "_list", value)  # of httpx's headers: to compare these is to compare their bytes
            self._contents[0].append(held)
            self._contents[1].append(content)

    def close(self) -> None:
        """All that is to be watched is noted."""
        for owner, names, values in self._attributes.values():
            self._watched.append((owner, attrgetter(*names, names[0]), (*values, values[0])))  # of two names, a tuple

    def is_unchanged(self) -> bool:
        """Whether the clients lead to where they did, as far as can be seen from outside."""
        try:
            for owner, values_of, values in self._watched:
                if not all(map(is_, values_of(owner), values)):
                    return False
        except AttributeError:
            return False
        now, then = self._contents
        return now == then


def endpoint_in(params: dict[str, Any]) -> str:
    """Take the endpoint out of `params`: the URLs that are given there, in canonical form."""
    urls = [params.pop(name) for name in _FIELDS if params.get(name)]
    return " ".join(sorted({_canonical_url(str(url)) for url in urls}))


def target_of(model: BaseLanguageModel[Any]) -> Target:
    """Where `model` sends its calls, by its clients. Of those that are made at the first call, one is made now."""
    target = Target()
    urls: set[str] = set()
    for client, is_inner in _clients(model):
        for name, value in _places(client, target):
            if name not in _URLS:
                _add(target.extras, name, value)
            elif not is_inner:
                urls.add(_canonical_url(str(value)))
        for kind, names in (("headers", _HEADERS), ("query", _QUERIES)):
            for name in names:
                if counted := _mapping(client, name, target):
                    _add(target.extras, kind, counted)
        for name in _HOOKS:
            if hook := _hook(client, name, target):
                _add(target.extras, "hooks", hook)
    target.endpoint = " ".join(sorted(urls))
    target.close()
    return target


def endpoint_of(model: BaseLanguageModel[Any], fields: dict[str, Any], target: Target) -> str:
    """Where calls of `model` go. The endpoint is taken out of `fields`: clients are made of these, and know better."""
    given = endpoint_in(fields)
    if target.endpoint and not is_users_code(type(model)):
        given = ""
    return " ".join(sorted({*target.endpoint.split(), *given.split()}))


def _add(extras: dict[str, Any], name: str, value: Any) -> None:
    values = extras.setdefault(name, [])
    if value not in values:
        values.append(value)


def _places(client: Any, target: Target) -> Iterator[tuple[str, Any]]:
    for name in _PLACES:
        value = getattr(client, name, None)
        if isinstance(value, str | bool) or type(value).__name__ == "URL":
            target.watch(client, name, value)
            if value is not False and (str(value) or name not in _URLS):  # an empty organization is sent as that
                yield name, value


def _mapping(client: Any, name: str, target: Target) -> dict[str, str]:
    """Headers or parameters that a client adds to each request, as they count."""
    value = getattr(client, name, None)
    if not isinstance(value, Mapping):
        return {}
    inner = getattr(value, "_list", None)
    copy = list(inner) if isinstance(inner, list) else dict(value) if isinstance(value, dict) else None
    target.watch(client, name, value, copy)
    if name in _QUERIES:
        value = {key: item for key, item in value.items() if not is_exempt(("query", str(key).lower()))}
    return counted_headers(value)


def _hook(client: Any, name: str, target: Target) -> Any:
    """What of the user's own an HTTP client runs on each request, in a canonical form's reach; None where there is nothing."""
    value = getattr(client, name, None)
    if value is None:
        return None
    content = None
    if isinstance(value, Mapping):
        items = [item for each in value.values() for item in (each if isinstance(each, list) else [each])]
        content = {key: list(each) if isinstance(each, list) else each for key, each in value.items()}
    else:
        items = [value]
    target.watch(client, name, value, content)
    counted = (socket_of(item) if _is_known(item) else item for item in items)
    return [item for item in counted if item is not None]


def socket_of(transport: Any) -> str | None:
    """The path of the Unix socket that a transport of httpx's sends by, whatever the URL says."""
    path = getattr(getattr(transport, "_pool", None), "_uds", None)
    return None if path is None else str(path)


def _is_known(hook: Any) -> bool:
    kind = hook if isinstance(hook, type) or hasattr(hook, "__qualname__") else type(hook)
    return (getattr(kind, "__module__", None) or "").partition(".")[0] in _HTTP_CLIENTS


def _clients(model: BaseLanguageModel[Any]) -> list[tuple[Any, bool]]:
    """The clients of a model, each once, and whether it is the HTTP client of one that says where to go."""
    fields, private = model.__dict__, model.__pydantic_private__ or {}
    if "_client" not in private and "_client" not in fields and hasattr(type(model), "_client_params"):
        _made(model)
    found: list[tuple[Any, bool]] = []
    for name in _CLIENTS:
        for each, is_inner in _with_inner(private.get(name) or fields.get(name)):
            if not any(each is known for known, _ in found):
                found.append((each, is_inner))
    return found


def _made(model: Any) -> None:
    """Have ChatAnthropic make its client, as it does at its first call."""
    try:
        model._client  # noqa: B018, SLF001 - made by being asked for
    except Exception:  # noqa: BLE001 - the call itself will say so
        return


def _with_inner(client: Any, depth: int = 2) -> Iterator[tuple[Any, bool]]:
    """A client and those that it holds: a resource of OpenAI's names its client, Ollama's an HTTP client.

    Of Google's and AWS's that is what they lead to.
    """
    if client is None or isinstance(client, str | int | float | dict | list):
        return
    if (google := getattr(client, "_api_client", None)) is not None:
        yield google, False
        yield getattr(google, "_http_options", None), False
        yield getattr(google, "_httpx_client", None), True
        return
    meta = getattr(client, "meta", None)
    if isinstance(getattr(meta, "endpoint_url", None), str):
        yield meta, False
        return
    yield client, False
    if depth:
        goes_somewhere = getattr(client, "base_url", None) is not None
        for inner, is_inner in _with_inner(getattr(client, "_client", None), depth - 1):
            yield inner, is_inner or goes_somewhere


@functools.lru_cache(maxsize=1_000)
def _canonical_url(url: str) -> str:
    return endpoint_url(url)
