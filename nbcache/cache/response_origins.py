"""Where the responses of SDKs came from, for `nbcache.info`.

A response of httpx, and a stream of an SDK that reads one, has the call among the extensions of the response. No object of an SDK is
changed or kept. Any other is recognized by the ids that the provider wrote into the response and its headers, since the entry
holds both. They are read when somebody asks. An id that two entries have tells nothing.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

from nbcache import codec
from nbcache.cache.call import Call
from nbcache.codec.sdk_response import response_in
from nbcache.stores.base import Store

_CAPACITY = 1_000  # entries whose responses are recognized
# The attributes and fields that hold an id of a response, or a time to the nanosecond (Ollama's).
_NAMES = ("id", "response_id", "responseId", "generation_id", "created_at", "_request_id")
_IDS = re.compile(rb'"(?:id|response_id|responseId|generation_id|created_at)"\s*:\s*"([^"\\]+)"')
_REQUEST_IDS = ("x-request-id", "request-id", "apim-request-id")
_HIT = "x-nbcache"
CALL = "nbcache_call"  # the extension of httpx's response
_RESPONSES = ("response", "http_response", "_response")  # attributes of streams and raw responses


class ResponseOrigins:
    """The last entries that gave a response to an SDK: by key whether the last call was a hit, and when it was recorded."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, tuple[bool, float]] = OrderedDict()
        self._ids: dict[str, frozenset[str]] = {}  # in the entries that were read

    def note(self, key: str, *, hit: bool, created: float, payload: bytes | None = None) -> None:
        """A call got the response in the entry `key`. `payload` is the entry, if the store doesn't have it."""
        self._calls.pop(key, None)  # `move_to_end` would raise where another thread has just removed it
        self._calls[key] = (hit, created)
        if payload is not None:
            self._ids[key] = _ids_in(payload, key)
        elif not hit:
            self._ids.pop(key, None)
        if len(self._calls) > _CAPACITY:
            self._ids.pop(self._calls.popitem(last=False)[0], None)

    def find(self, answer: Any, store: Store) -> tuple[bool, str, float] | None:
        """Whether `answer` was a hit, its key, and when it was recorded. None if it isn't recognized, or not stored yet."""
        if (call := _call_of(answer)) is not None:
            return call.origin
        ids = set(_ids_of(answer))
        if not ids:
            return None
        keys = [key for key in list(self._calls) if ids & self._ids_of_entry(key, store)]
        if len(keys) != 1 or (call_of_key := self._calls.get(keys[0])) is None:
            return None
        hit, created = call_of_key
        headers = _headers(answer)
        return hit if headers is None else _HIT in headers, keys[0], created

    def _ids_of_entry(self, key: str, store: Store) -> frozenset[str]:
        if key not in self._ids:
            payload = store.get(key)
            if payload is None:  # evicted
                return frozenset()
            self._ids[key] = _ids_in(payload, key)
        return self._ids[key]


def _ids_in(payload: bytes, key: str) -> frozenset[str]:
    """The ids in the response that an entry holds."""
    try:
        response = response_in(codec.read(payload, key).generations())
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it tells nothing
        return frozenset()
    sent = {value for name, value in response.headers.items() if name in _REQUEST_IDS}
    return frozenset(sent | _ids_in_body(response.body))


def _ids_in_body(body: bytes) -> set[str]:
    return {each.decode(errors="replace") for each in _IDS.findall(body)}


def _ids_of(answer: Any) -> Iterator[str]:
    """The ids of a response: a parsed object, a dict, or a raw response of an SDK or of an HTTP library."""
    for name in _NAMES:
        value = answer.get(name) if isinstance(answer, Mapping) else getattr(answer, name, None)
        if isinstance(value, str):
            yield value
    headers = _headers(answer)
    if headers is not None:
        yield from (headers[name] for name in _REQUEST_IDS if name in headers)
    try:
        body = getattr(getattr(answer, "http_response", answer), "content", None)
    except Exception:  # noqa: BLE001 - a stream that nobody has read
        return
    if isinstance(body, bytes):
        yield from _ids_in_body(body)


def _call_of(answer: Any) -> Call | None:
    """The call that got a response of httpx, or that of a stream."""
    for owner in (answer, *(getattr(answer, name, None) for name in _RESPONSES)):
        extensions = getattr(owner, "extensions", None)
        if isinstance(extensions, dict) and isinstance(call := extensions.get(CALL), Call):
            return call
    return None


def _headers(answer: Any) -> dict[str, str] | None:
    """The headers of a raw response, or of an object that has kept them, as Google's. None if there are none."""
    for owner in (answer, getattr(answer, "http_response", None), getattr(answer, "sdk_http_response", None)):
        headers = getattr(owner, "headers", None)
        if isinstance(headers, Mapping):
            return {str(name).lower(): str(value) for name, value in headers.items()}
    return None
