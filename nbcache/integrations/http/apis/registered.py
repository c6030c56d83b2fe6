"""APIs that a user has registered: which requests are their calls, what counts of them, and how their answers are read."""

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.outputs import Generation

from nbcache import public_in
from nbcache.entry.usage.reported_metadata import UNPRICED, count
from nbcache.errors import UnstableIdentityError, warn_once
from nbcache.integrations.http.apis.endpoint import Endpoint
from nbcache.integrations.http.apis.framing import OVER, PARTS, Body
from nbcache.integrations.http.apis.generations import text_generation
from nbcache.integrations.http.http_request import HTTPRequest
from nbcache.keys.api_names import register_name, unregister_name

Match = Callable[[str, str, str], bool]
Response = Any  # the parsed JSON of a response

METHODS = ("POST", "PUT")  # of requests that have a body
_COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_USAGE = ("model", *_COUNTS, "cost_usd")
# The field of a request that is shown as its prompt, and the field of an answer that is shown: the first of these.
_PROMPTS = ("messages", "prompt", "input", "inputs", "contents", "message", "text", "query", "question")
_TEXTS = ("text", "content", "output", "answer", "response", "generated_text", "completion")


@dataclass(frozen=True, slots=True)
class _RegisteredAPI:
    match: Match
    endpoint: Endpoint


_apis: dict[str, _RegisteredAPI] = {}  # by name, the newest last


@public_in("nbcache")
def register_api(
    name: str,
    *,
    match: Match | None,
    identity: Callable[[dict[str, Any]], Any] | None = None,
    usage: Callable[[Response], Mapping[str, Any] | None] | None = None,
    finished: Callable[[Response], bool | str | None] | None = None,
) -> None:
    """Let nbcache cache the calls of another API of models, whatever library makes them.

    A call is a POST or PUT request whose body is a JSON object, and for which `match` is true. Its answer is JSON. The same
    name again replaces what was registered, so a cell can be run again; `match=None` removes it. The setting `clients` takes
    the name. Everything is of this process: a worker process registers its own.

    Arguments:
        name: a name of letters, digits, `-` and `_`, which no other API has.
        match: whether a request is a call of this API, by its method, its host (without a port) and its path (without a
            query). It is asked for every request of every client, so it should be quick. If it raises, the request passes by.
        identity: what counts of a request's body, as a JSON value. Calls for which it is equal get the same answer. The
            whole body counts without it. The URL and the headers count in any case, except authentication and the like.
        usage: what an answer used: a mapping with any of `model`, `input_tokens`, `output_tokens`, `cache_read_tokens`,
            `cache_write_tokens`, `reasoning_tokens`, and `cost_usd`, if the provider says what it charged in US dollars.
            Prompts that were read from or written to the provider's cache are part of `input_tokens`, and reasoning of
            `output_tokens`. Prices of your own (`%config NBCache.prices`) hold for the model.
        finished: whether an answer is whole. A text is taken for a finish reason, such as `stop` or `length`, and judged as
            other APIs' are. Only a whole answer is handed out again. Without it every answer with a status of 200 to 299 is
            whole, except that streams (`"stream": true` in the request) are not kept.

    `usage` and `finished` get the parsed JSON of the response, for a stream the list of its parsed parts (server-sent events, or
    lines of JSON). Raises TypeError or ValueError for arguments that are none of these.
    """
    _check_name(name)
    if match is None:
        _apis.pop(name, None)
        unregister_name(name)
        return
    _check(match, "match", ("POST", "api.example.com", "/v1/generate"), "method, host and path")
    for each, argument in (("identity", identity), ("usage", usage), ("finished", finished)):
        if argument is not None:
            _check(argument, each, ({},), f"the parsed {'request' if each == 'identity' else 'response'}")
    register_name(name)  # raises ValueError for the name of a known API
    _apis.pop(name, None)
    _apis[name] = _RegisteredAPI(match, _endpoint(name, identity, usage, finished))


def may_be_registered(raw_path: bytes, raw_host: bytes) -> bool:
    """Whether a request may be a call of a registered API. True if that can't be said, so that it is looked at."""
    if not _apis:
        return False
    host = raw_host.decode("ascii", "replace").lower()
    path = raw_path.partition(b"?")[0].partition(b"#")[0].decode("ascii", "replace")
    path = path if path.startswith("/") else f"/{path}"
    try:
        return any(api.match(method, host, path) for api in _apis.values() for method in METHODS)
    except Exception:  # noqa: BLE001 - the user's own code, whose error is told when the request is looked at
        return True


def registered_endpoint(request: HTTPRequest) -> Endpoint | None:
    """The endpoint of the registered API that a request calls. Raises what a predicate raises."""
    if request.method not in METHODS:
        return None
    place = (request.method, request.parts.hostname or "", request.parts.path or "/")
    return next((api.endpoint for api in reversed(_apis.values()) if api.match(*place)), None)


def with_prompt(endpoint: Endpoint, counted: Body) -> Endpoint:
    """A registered endpoint with the field that is the prompt of a call."""
    return replace(endpoint, prompt=next((name for name in _PROMPTS if counted.get(name)), ""))


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(f"register_api({name!r}): write a name of letters, digits, - and _")


def _check(argument: Any, name: str, given: Sequence[Any], what: str) -> None:
    """Raise TypeError if `argument` can't be called with these values."""
    if not callable(argument):
        raise TypeError(f"{name}={argument!r}: write a function of {what}")
    try:
        signature = inspect.signature(argument)
    except (TypeError, ValueError):  # a builtin says nothing of its parameters
        return
    try:
        signature.bind(*given)
    except TypeError as error:
        raise TypeError(f"{name}={argument!r}: write a function of {what}: {error}") from None


def _endpoint(name: str, identity: Any, usage: Any, finished: Any) -> Endpoint:
    def read(answer: Body) -> list[Generation] | None:
        return _generation(name, answer.get(PARTS, answer), usage, finished, is_stream=answer.get(_STREAMED) is True)

    return Endpoint(
        api=name,
        name=name,
        path=re.compile("$"),  # all of the URL is where the API is
        fits=lambda _: True,
        prompt="",
        read=read,
        join=lambda parts: {PARTS: parts, _STREAMED: True},
        end=OVER,
        identity=lambda body: _counted(name, body, identity),
        reads_accept=True,
    )


_STREAMED = "streamed"


def _counted(name: str, body: Body, identity: Any) -> Body:
    """What counts of a body. Raises UnstableIdentityError if `identity` fails, or returns nothing: all calls would be the same."""
    try:
        counted = body if identity is None else identity(body)
    except Exception as error:
        raise _no_identity(name, identity, f"raised {error!r}") from error
    if counted is None or counted in ("", [], {}):
        raise _no_identity(name, identity, f"returned {counted!r}, so all calls would be the same")
    return counted if isinstance(counted, dict) else {"identity": counted}


def _no_identity(name: str, identity: Any, what: str) -> UnstableIdentityError:
    text = (
        f"nbcache could not work out the key of a call of {name}: `identity` {what}. The call goes on without the cache"
    )
    return UnstableIdentityError(f"identity {name} {id(identity)}", text)


def _generation(name: str, answer: Any, usage: Any, finished: Any, *, is_stream: bool) -> list[Generation] | None:
    if is_stream and finished is None:
        warn_once(
            f"unfinished stream {name}",
            f"nbcache: a stream of {name} is not cached, because nothing says whether it is whole. Register the API with "
            "`finished`, a function of the list of the stream's parts",
        )
        return None
    reason = True if finished is None else finished(answer)
    metadata: Body = {"finish_reason": reason if isinstance(reason, str) else "stop" if reason else "not_finished"}
    return [text_generation(_text(answer), {**metadata, **_metadata(name, answer, usage)})]


def _metadata(name: str, answer: Any, usage: Any) -> Body:
    """What an answer used, as other APIs say it. The price is unknown if `usage` fails."""
    if usage is None:
        return {}
    try:
        return _usage(usage(answer) or {})
    except Exception as error:  # noqa: BLE001 - the user's own code: the answer is whole all the same
        warn_once(f"usage {name} {id(usage)}", f"nbcache: the usage of an answer of {name} is unknown: {error!r}")
        return {UNPRICED: True}


def _usage(used: Mapping[str, Any]) -> Body:
    if unknown := used.keys() - set(_USAGE):
        raise ValueError(f"usage returned {', '.join(sorted(map(repr, unknown)))}; write {', '.join(_USAGE)}")
    for each in _COUNTS:
        if used.get(each) is not None and count(used[each]) is None:
            raise ValueError(f"usage returned {each}={used[each]!r}: write a number of tokens")
    return {
        "model_name": used.get("model"),
        "usage": {
            "prompt_tokens": used.get("input_tokens"),
            "completion_tokens": used.get("output_tokens"),
            "prompt_tokens_details": {
                "cached_tokens": used.get("cache_read_tokens"),
                "cache_write_tokens": used.get("cache_write_tokens"),
            },
            "completion_tokens_details": {"reasoning_tokens": used.get("reasoning_tokens")},
            "cost": used.get("cost_usd"),
        },
    }


def _text(answer: Any) -> str:
    """An answer as people read it: a text in it, or its JSON."""
    found = answer if isinstance(answer, dict) else {}
    text = next((found[name] for name in _TEXTS if isinstance(found.get(name), str)), None)
    return text if text is not None else json.dumps(answer, ensure_ascii=False)
