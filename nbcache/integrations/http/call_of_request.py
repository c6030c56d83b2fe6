"""The call that a request makes, to be looked up: asked once for each request that may be a call of a model."""

from collections.abc import Callable
from typing import Any

from nbcache.cache.call import Call, call_around
from nbcache.cache.modes import OFF
from nbcache.cache.notebook_cache import NotebookCache
from nbcache.errors import UnstableIdentityError, warn_once
from nbcache.integrations.http.exchange import Exchange
from nbcache.integrations.http.http_request import HTTPRequest
from nbcache.integrations.http.model_call import model_call

HIT = {"x-nbcache": "hit"}  # the header by which a raw response says that it comes from the cache
CacheNow = Callable[[], NotebookCache | None]


def exchange_of(
    cache_now: CacheNow, request: HTTPRequest, route: Callable[[], Any], *, is_hooked: bool
) -> Exchange | None:
    """The exchange of a request. None if it is sent without the cache.

    `route` returns what counts of the way that it goes. `is_hooked` says that nobody wrapped its client: then it is looked up
    only if the setting `clients` has its API, and what is no call of a model is none of ours. Raises ReplayMiss.
    """
    cache = cache_now()
    if cache is None:
        return None
    if (outer := call_around()) is not None:  # a call of LangChain's, which is looked up and counted itself
        cache.forbid_in_replay(outer, "sends a request of its own, which isn't recorded")
        return None
    try:
        return _known_exchange(cache, request, route, is_hooked=is_hooked)
    except UnstableIdentityError as error:
        cache.forbid_in_replay(Call(is_chat=False), f"has no key: {error}")
        if cache.settings_now.mode != OFF:
            warn_once(error.cause, str(error))
    except Exception as error:  # noqa: BLE001 - the user's call goes on without the cache
        cache.forbid_in_replay(Call(is_chat=False), f"can't be looked up: {error!r}")
        cache.failed("work out the key of a call", error)
    return None


def _known_exchange(
    cache: NotebookCache, request: HTTPRequest, route: Callable[[], Any], *, is_hooked: bool
) -> Exchange | None:
    what = f"({request.method} {request.parts.path})"
    call = model_call(request)
    if (call is None and not is_hooked) or (call is not None and call.is_stateful):
        cache.forbid_in_replay(Call(is_chat=False), f"{what} is of a kind that isn't recorded")
        return None
    if call is None:
        return None
    if is_hooked and not cache.caches_client(call.endpoint.api):
        cache.forbid_in_replay(Call(is_chat=False), f"{what} isn't looked up, by the setting `clients`")
        return None
    return Exchange.of(cache, call, route())
