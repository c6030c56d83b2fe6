"""The call that a request makes, to be looked up: asked once for each request that may be one to a model's API."""

from collections.abc import Callable
from typing import Any

from nbcache.cache.call import Call, call_around
from nbcache.cache.modes import OFF
from nbcache.cache.notebook_cache import NotebookCache
from nbcache.costs.events import NOT_CACHED
from nbcache.entry.filter import FUNCTIONS
from nbcache.errors import UnstableIdentityError, warn_once
from nbcache.integrations.http.exchange import Exchange
from nbcache.integrations.http.http_request import HTTPRequest
from nbcache.integrations.http.model_call import ModelCall, model_call
from nbcache.integrations.http.uncached_requests import uncached_request
from nbcache.integrations.http.unread_calls import is_doubtful
from nbcache.keys.request import Identity

HIT = {"x-nbcache": "hit"}  # the header by which a raw response says that it comes from the cache
_DOUBT = (
    "may be a call of a model, by its path, and its body can't be read before it is sent. If this is another service, pass the "
    "body whole, such as `json=…`, in place of a generator, a file or compressed bytes: then its calls are sent"
)
CacheNow = Callable[[], NotebookCache | None]


def exchange_of(
    cache_now: CacheNow, request: HTTPRequest, route: Callable[[], Any], *, is_hooked: bool
) -> Exchange | None:
    """The exchange of a request. None if it is sent without the cache.

    `route` returns what counts of the way that it goes. `is_hooked` says that nobody wrapped its client: then it is looked up
    only if the setting `clients` has its API, and what is no request to a model's API is none of ours. Raises ReplayMiss.
    """
    cache = cache_now()
    if cache is None:
        return None
    outer = call_around()
    if (
        outer is not None and outer.kind not in FUNCTIONS
    ):  # a call of LangChain's, which is looked up and counted itself
        cache.forbid_in_replay(outer, "sends a request of its own, which isn't recorded")
        return None
    try:
        call = model_call(request)
        if call is None:
            _count_uncached(cache, request, is_hooked=is_hooked)
            return None
        return _exchange(cache, call, route, is_hooked=is_hooked)
    except Exception as error:  # noqa: BLE001 - the user's call goes on without the cache
        cache.forbid_in_replay(Call(is_chat=False), f"can't be looked up: {error!r}")
        cache.failed("work out the key of a call", error)
    return None


def _exchange(cache: NotebookCache, call: ModelCall, route: Callable[[], Any], *, is_hooked: bool) -> Exchange | None:
    """The exchange of a call of a model. None if the setting `clients` leaves its API out."""
    what = f"({call.request.method} {call.request.parts.path})"
    if is_hooked and not cache.caches_client(call.endpoint.api):
        why = f"{what} isn't looked up, by the setting `clients`: `%config NBCache.clients = 'all'` plays such calls"
        cache.forbid_in_replay(Call(is_chat=False), why)
        if cache.settings_now.mode != OFF and call.request.header("x-stainless-retry-count") in {"", "0"}:
            cache.ledger.leave_out(call.endpoint.api)
        return None
    if call.effect is not None:
        cache.forbid_in_replay(Call(is_chat=False), f"{what} is of a kind that isn't recorded: {call.effect}")
        return Exchange.past(cache, call, NOT_CACHED + call.effect)
    try:
        return Exchange.of(cache, call, route())
    except UnstableIdentityError as error:
        cache.forbid_in_replay(Call(is_chat=False), f"has no key: {error}")
        if cache.settings_now.mode != OFF:
            warn_once(error.cause, str(error))
        return Exchange.past(cache, call, "not cacheable", str(error).removeprefix("nbcache: "))


def _count_uncached(cache: NotebookCache, request: HTTPRequest, *, is_hooked: bool) -> None:
    """Count a request to a model's API that is no call of a model."""
    uncached = uncached_request(request, is_wrapped=not is_hooked)
    what = f"({request.method} {request.parts.path})"
    if uncached is None:
        if is_doubtful(request):
            cache.forbid_in_replay(Call(is_chat=False), f"{what} {_DOUBT}")
        return
    identity = Identity(b"{}", "", uncached.api, limits_tokens=False)
    call = Call(identity=identity, is_chat=False)
    cache.forbid_in_replay(call, f"{what} is of a kind that isn't recorded: {uncached.kind}")
    if not uncached.counts or cache.settings_now.mode == OFF:
        return
    if not is_hooked or cache.caches_client(uncached.api):
        cache.count_uncached(call, NOT_CACHED + uncached.kind, is_free=uncached.is_free)
