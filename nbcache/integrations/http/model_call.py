"""Whether a request is a call of a model: told by its method, its path and the shape of its body, on any host."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from nbcache.integrations.http.apis.endpoint import Endpoint
from nbcache.integrations.http.apis.endpoints import ENDPOINTS
from nbcache.integrations.http.apis.framing import Body
from nbcache.integrations.http.apis.registered import may_be_registered, registered_endpoint
from nbcache.integrations.http.http_request import HTTPRequest
from nbcache.integrations.http.uncached_requests import LAST_WORDS, is_api_host
from nbcache.keys.request import Identity

# Fields of a request that does more than get an answer: it goes on in the background, or changes a conversation.
_STATEFUL = ("background", "conversation", "conversation_id", "thread", "prewarm")
# JSON, or no type at all: libraries send none with a body that the user wrote as JSON.
_JSON = re.compile(r"(application/([\w.-]+\+)?json *(; *charset=\"?utf-?8\"? *)?)?", re.IGNORECASE)
Match = tuple[Endpoint, re.Match[str]]
_LAST_WORDS = frozenset(word.encode() for endpoint in ENDPOINTS for word in endpoint.last_words) | LAST_WORDS
_MOST_CACHED = 512  # calls
_LONGEST_CACHED = 10_000  # bytes of a body


@dataclass(slots=True, eq=False)
class ModelCall:
    """A request that is a call of a model, with the JSON object in it. Do not change it: the next such request shares it.

    `identified` has its prompt and its identity, once they are worked out, and the conditions under which they hold.
    """

    endpoint: Endpoint
    request: HTTPRequest
    body: Body
    path: re.Match[str]  # the end of the path, by which it was told
    is_ambiguous: bool  # whether the body has a field twice: servers differ in which of the two they read
    identified: tuple[object, tuple[str, Identity]] | None = field(default=None, init=False, repr=False)

    @property
    def path_fields(self) -> dict[str, str]:
        """What the path says, by the names that a body would have for it."""
        return {name: unquote(value) for name, value in self.path.groupdict().items()}

    @property
    def is_stream(self) -> bool:
        """Whether its answer is streamed."""
        return self.endpoint.is_stream(self.body, self.path)

    @property
    def effect(self) -> str | None:
        """What keeps an answer from the cache from doing: most often a field by which it does more than get an answer."""
        if self.is_ambiguous:
            return "bodies with a field twice"
        body = {} if self.endpoint.identity is not None else self.body
        return next((name for name in _STATEFUL if body.get(name) is not None and body[name] is not False), None)


def may_be_model_call(raw_path: bytes) -> bool:
    """Whether the last segment of a path, which may have a query, is that of a model's API. Slashes at its end don't count."""
    return raw_path.partition(b"?")[0].rstrip(b"/").rpartition(b"/")[2].rpartition(b":")[2] in _LAST_WORDS


def concerns_model_api(raw_path: bytes, raw_host: bytes) -> bool:
    """Whether a request may be one to a model's API, by its path or its host. All other requests pass by."""
    return may_be_model_call(raw_path) or is_api_host(raw_host) or may_be_registered(raw_path, raw_host)


def model_call(request: HTTPRequest) -> ModelCall | None:
    """The call of a model that a request makes. None if it makes none, or if it isn't understood.

    Raises what the predicate of a registered API raises.
    """
    if (own := registered_endpoint(request)) is not None:
        match = own.path.search(request.parts.path)
        return None if match is None or _content(request) is None else _read(request, [(own, match)])
    if request.method != "POST":
        return None
    matches = _matches(request.parts.path, request.parts.hostname)
    if not matches or (content := _content(request)) is None:
        return None
    if len(content) > _LONGEST_CACHED:
        return _read(request, matches)
    # All that is read of a request: equal ones make the same call.
    parts = (request.method, request.url, request.timeout, content, *request.headers, *request.headers.values())
    call = _calls.get(parts)
    if call is None and (call := _read(_detached(request, content), matches)) is not None:
        if len(_calls) >= _MOST_CACHED:
            _calls.clear()
        _calls[parts] = call
    return call


# The last calls, by their requests: a cell that is run again makes the same ones.
_calls: dict[tuple[Any, ...], ModelCall] = {}


@lru_cache(maxsize=256)
def _matches(path: str, host: str | None) -> Sequence[Match]:
    """The endpoints that may have a path, and for each the end of the path by which it is told."""
    endpoints = (each for each in ENDPOINTS if not each.hosts or host in each.hosts)
    return [(each, match) for each in endpoints if (match := each.path.search(path)) is not None]


def _content(request: HTTPRequest) -> bytes | str | None:
    """The body of a request that may be JSON. None if it is something else, or is generated while it is sent."""
    if not _JSON.fullmatch(request.header("content-type")) or request.header("content-encoding"):
        return None
    try:
        content = request.content()
    except Exception:  # noqa: BLE001 - HTTP libraries raise exceptions of their own
        return None
    return content if isinstance(content, bytes | str) else None


def _detached(request: HTTPRequest, content: bytes | str) -> HTTPRequest:
    """`request` with its body alone, so that the library's own object isn't kept."""
    return replace(request, content=lambda: content)


def _read(request: HTTPRequest, matches: Sequence[Match]) -> ModelCall | None:
    """The call in a JSON object, of the first endpoint that it fits.

    None as well if its `stream` is neither yes nor no: then nobody knows what comes back.
    """
    try:
        body, is_ambiguous = request.parsed_body()
    except (ValueError, TypeError, RecursionError):  # no JSON
        return None
    if not isinstance(body, dict) or not isinstance(body.get("stream"), bool | None):
        return None
    return next(
        (ModelCall(each, request, body, match, is_ambiguous) for each, match in matches if each.fits(body)), None
    )
