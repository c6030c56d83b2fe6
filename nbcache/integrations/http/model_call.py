"""Whether a request is a call of a model: told by its method, its path and the shape of its body, on any host."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from nbcache.integrations.http.apis.endpoint import Endpoint
from nbcache.integrations.http.apis.endpoints import ENDPOINTS
from nbcache.integrations.http.apis.framing import Body
from nbcache.integrations.http.apis.registered import may_be_registered, registered_endpoint
from nbcache.integrations.http.http_request import HTTPRequest
from nbcache.integrations.http.uncached_requests import LAST_WORDS, is_api_host

# Fields of a request that does more than get an answer: it goes on in the background, or changes a conversation.
_STATEFUL = ("background", "conversation", "conversation_id", "thread", "prewarm")
# JSON, or no type at all: libraries send none with a body that the user wrote as JSON.
_JSON = re.compile(r"(application/([\w.-]+\+)?json *(; *charset=\"?utf-?8\"? *)?)?", re.IGNORECASE)
_LAST_WORDS = frozenset(word.encode() for endpoint in ENDPOINTS for word in endpoint.last_words) | LAST_WORDS


@dataclass(frozen=True, slots=True)
class ModelCall:
    """A request that is a call of a model, with the JSON object in it."""

    endpoint: Endpoint
    request: HTTPRequest
    body: Body
    path: re.Match[str]  # the end of the path, by which it was told
    is_ambiguous: bool  # whether the body has a field twice: servers differ in which of the two they read

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
        return _registered_call(own, request)
    if request.method != "POST":
        return None
    path, host = request.parts.path, request.parts.hostname
    endpoints = (each for each in ENDPOINTS if not each.hosts or host in each.hosts)
    matches = [(each, match) for each in endpoints if (match := each.path.search(path)) is not None]
    if (read := _body(request) if matches else None) is None:
        return None
    body, is_ambiguous = read
    return next(
        (ModelCall(each, request, body, match, is_ambiguous) for each, match in matches if each.fits(body)), None
    )


def _registered_call(endpoint: Endpoint, request: HTTPRequest) -> ModelCall | None:
    path, read = endpoint.path.search(request.parts.path), _body(request)
    return None if path is None or read is None else ModelCall(endpoint, request, read[0], path, read[1])


def _body(request: HTTPRequest) -> tuple[Body, bool] | None:
    """The JSON object in a request, and whether an object in it has a field twice.

    None if the body is something else, or is generated while it is sent. None as well if its `stream` is neither yes nor no:
    then nobody knows what comes back.
    """
    if not _JSON.fullmatch(request.header("content-type")) or request.header("content-encoding"):
        return None
    try:
        body, is_ambiguous = request.parsed_body()
    except Exception:  # noqa: BLE001 - HTTP libraries raise exceptions of their own
        return None
    is_understood = isinstance(body, dict) and isinstance(body.get("stream"), bool | None)
    return (body, is_ambiguous) if is_understood else None
