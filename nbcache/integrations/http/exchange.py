"""One call of an SDK: its key, its answer from the cache, and the storing of a new answer."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.outputs import Generation

from nbcache.cache.call import Call, call_around
from nbcache.cache.memory import CachedAnswer
from nbcache.cache.modes import OFF, REPLAY
from nbcache.cache.notebook_cache import NotebookCache
from nbcache.codec.payload import key_of
from nbcache.codec.sdk_response import HEADERS, HTTPResponse
from nbcache.concurrency.executor import in_thread
from nbcache.entry.durations_and_sizes import bytes_text
from nbcache.entry.filter import EMBEDDING
from nbcache.entry.usage.reported_charges import LITELLM_HEADER
from nbcache.errors import UnstableIdentityError, warn_once
from nbcache.integrations.http.apis.endpoint import Endpoint
from nbcache.integrations.http.apis.framing import Body
from nbcache.integrations.http.apis.registered import with_prompt
from nbcache.integrations.http.apis.response import answer_in
from nbcache.integrations.http.model_call import ModelCall
from nbcache.keys.answer_limits import request_limits_tokens
from nbcache.keys.canonical import canonical
from nbcache.keys.clients.target import endpoint_in
from nbcache.keys.credentials import hidden
from nbcache.keys.ignored.headers_and_query import counted_headers, without_credentials
from nbcache.keys.ignored.request_fields import counted_body
from nbcache.keys.ignored.user_setting import exempt_names
from nbcache.keys.request import Identity

LARGEST_BODY = 64_000_000  # bytes: a picture or a sound of usual size has a fraction of it
_VECTORS = "embed"  # in the name of an endpoint, or of a model behind an endpoint for models of all kinds
_DEPLOYMENT = re.compile(r"/deployments/([^/]+)")


@dataclass(slots=True, eq=False)
class Exchange:
    """One call of an SDK, looked up and stored in `cache`. A failure here is a miss."""

    cache: NotebookCache
    endpoint: Endpoint
    prompt: str
    call: Call
    is_stream: bool

    @classmethod
    def of(cls, cache: NotebookCache, model_call: ModelCall, route: Any = None) -> "Exchange":
        """The exchange of a call. `route` is what counts of its transport."""
        prompt, identity = _identified(model_call, route)
        request, endpoint = model_call.request, model_call.endpoint
        call = Call(identity=identity, is_chat=False, shares=not model_call.is_stream, timeout=request.timeout)
        if _VECTORS in f"{endpoint.name} {identity.model}".lower():
            call.kind = EMBEDDING
        call.outer = call_around()
        call.attempt = _attempt(request.header("x-stainless-retry-count"))
        call.labels = (endpoint.api,)  # by which the setting `exclude` finds it, too
        return cls(cache, endpoint, prompt, call, model_call.is_stream)

    @classmethod
    def past(cls, cache: NotebookCache, model_call: ModelCall, why: str, detail: str = "") -> "Exchange":
        """The exchange of a call that goes past the cache, and counts: neither looked up nor stored."""
        try:
            exchange = cls.of(cache, model_call)
        except UnstableIdentityError:  # of a registered API, whose own `identity` has failed
            exchange = cls.of(cache, replace(model_call, endpoint=replace(model_call.endpoint, identity=None)))
        exchange.call.mode, exchange.call.bypass, exchange.call.shares = OFF, (why, detail), False
        return exchange

    def find(self) -> HTTPResponse | None:
        """The cached answer, if there is one."""
        return self._recorded(self.cache.find(self.prompt, "", self.call))

    async def afind(self) -> HTTPResponse | None:
        """As `find`. Another event loop than asyncio's, such as trio's, can't wait for an identical call."""
        if asyncio._get_running_loop() is None:  # noqa: SLF001 - the public function raises
            self.call.shares = False
            return self.find()
        return self._recorded(await self.cache.afind(self.prompt, "", self.call))

    def _recorded(self, answer: CachedAnswer | None) -> HTTPResponse | None:
        if answer is None:
            return None
        try:
            recorded = answer.response()
        except (LookupError, ValueError, TypeError):
            self.cache.forbid_in_replay(self.call, "was recorded without the answer that the SDK reads")
            warn_once("no http", "nbcache: an entry of an SDK's call holds no answer for it. The call is made")
            return None
        settings = self.call.settings
        self.call.origin = (True, key_of(answer.payload), answer.created)
        self.cache.origins.note_response(answer, is_stored=settings is None or settings.mode != REPLAY)
        return recorded

    def fail(self) -> None:
        """The call got an error."""
        self.cache.attempt_failed(self.call)

    def save(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Store the provider's answer, unless it is an error, not understood, or very large."""
        if len(body) > LARGEST_BODY:
            warn_once(
                f"large {self.endpoint.name}",
                f"nbcache: an answer from {self.endpoint.name} is not cached, because it is larger than "
                f"{bytes_text(LARGEST_BODY)}: {bytes_text(len(body))}",
            )
            return
        try:
            answer = self._answer(status, headers, body)
        except Exception as error:  # noqa: BLE001 - the user gets the answer, whatever it is
            warn_once(
                f"answer {self.endpoint.name} {type(error).__name__}",
                f"nbcache: an answer from {self.endpoint.name} is not cached, because it isn't understood: {error!r}",
            )
            return
        if answer is not None:
            self.cache.save(self.prompt, "", answer, self.call)

    async def asave(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """As `save`, in a thread: a write never runs on asyncio's event loop."""
        if asyncio._get_running_loop() is None:  # noqa: SLF001 - as above
            self.save(status, headers, body)
            return
        await in_thread(lambda: self.save(status, headers, body), writes=True)

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> list[Generation] | None:
        answer = answer_in(headers, body, self.endpoint, is_stream=self.is_stream)
        if answer is not None:
            stored = {name: headers[name] for name in HEADERS if name in headers}
            http = HTTPResponse(status, stored, body).plain()
            answer[0].generation_info = {**(answer[0].generation_info or {}), "http": http}
            if LITELLM_HEADER in headers:
                answer[0].generation_info["headers"] = {LITELLM_HEADER: headers[LITELLM_HEADER]}
        return answer


def _attempt(count: str) -> int | None:
    """The number of an attempt, by the header in which the SDKs that Stainless makes count their retries."""
    return int(count) if count.isdecimal() else None


def _identified(call: ModelCall, route: Any) -> tuple[str, Identity]:
    """The prompt and the identity of a call, worked out once for the same call and route."""
    conditions = (route, exempt_names())
    if call.identified is None or call.identified[0] != conditions:
        call.identified = conditions, _prompt_and_identity(call, route)
    return call.identified[1]


def _prompt_and_identity(call: ModelCall, route: Any) -> tuple[str, Identity]:
    """The prompt, as people read it, and the identity. Each field of the body is in exactly one of them."""
    endpoint, request, body = call.endpoint, call.request, call.body
    if endpoint.identity is not None:
        body = endpoint.identity(body)
        endpoint = with_prompt(endpoint, body)
    rest = {**call.path_fields, **body}  # an API may name the model in its path
    if rest.get("stream") in (None, call.is_stream):  # which counts by itself
        rest.pop("stream", None)
    if "model" not in rest and (deployment := _DEPLOYMENT.search(request.parts.path)):  # at Azure
        rest["azure_deployment"] = deployment[1]
    prompt = {name: rest.pop(name) for name in (endpoint.system, endpoint.prompt) if name in rest}
    url = request.parts
    base_url = url._replace(path=url.path[: call.path.start()], query=without_credentials(url.query)).geturl()
    document = {
        "class": [endpoint.api, endpoint.name],
        "path": {name: value for name, value in call.path_fields.items() if name in body},
        # A text differs from a list that prints alike, and a system prompt from a system message.
        "prompt": {name: type(value).__name__ for name, value in prompt.items()},
        "options": counted_body(rest, endpoint.api),
        "headers": counted_headers(_headers(request.headers, url.netloc)),
        "accept": accept if endpoint.reads_accept and (accept := request.header("accept")) != "*/*" else "",
        "transport": route,
        "stream": call.is_stream,
    }
    identity = Identity(
        hidden(canonical({name: part for name, part in document.items() if part})),
        endpoint_in({"base_url": base_url}),
        _model({**call.body, **rest}, url.path),
        limits_tokens=request_limits_tokens(call.body),
    )
    return _prompt(prompt.get(endpoint.system), prompt.get(endpoint.prompt)), identity


def _headers(headers: Mapping[str, str], host: str) -> dict[str, str]:
    """The headers of a request, with the host only if it differs from the URL's, as behind a gateway."""
    others = dict(headers)
    if next((others[name] for name in others if name.lower() == "host"), None) == host.rpartition("@")[2]:
        others = {name: value for name, value in others.items() if name.lower() != "host"}
    return others


def _prompt(system: Any, messages_sent: Any) -> str:
    if system is None and isinstance(messages_sent, str):
        return messages_sent
    messages = [] if system is None else [{"role": "system", "content": system}]
    if isinstance(messages_sent, str):
        messages.append({"role": "user", "content": messages_sent})
    elif isinstance(messages_sent, list):
        messages += messages_sent
    elif messages_sent is not None:
        messages.append(messages_sent)
    return json.dumps(messages, ensure_ascii=False) if messages else ""


def _model(body: Body, path: str) -> str:
    deployment = _DEPLOYMENT.search(path)
    name = body.get("model") or body.get("modelId") or (deployment[1] if deployment else "")
    return name if isinstance(name, str) else ""
