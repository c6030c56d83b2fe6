"""The same request again in one process: what it asks is worked out once, and holds as long as nothing else has changed."""

import gc
import weakref
from typing import Any

import httpx
import httpx2
import pytest
import requests

import nbcache
from nbcache.keys.ignored.langchain_parameters import ignore_also
from tests.servers.provider import Provider
from tests.servers.wire import CHAT

pytestmark = pytest.mark.usefixtures("store")


def ask(provider: Provider, **headers: str) -> str:
    """The value of `x-nbcache` in a response."""
    response = httpx.post(f"{provider.url}/v1/chat/completions", json=CHAT, headers=headers)
    return str(response.headers.get("x-nbcache", ""))


def test_a_header_that_is_ignored_from_now_on_no_longer_counts(provider: Provider) -> None:
    assert [ask(provider), ask(provider, **{"x-run": "1"}), ask(provider, **{"x-run": "1"})] == ["", "", "hit"]
    ignore_also(["x-run"])
    try:
        assert [ask(provider, **{"x-run": each}) for each in "12"] == ["hit", "hit"]
    finally:
        ignore_also([])
    assert [ask(provider, **{"x-run": each}) for each in "12"] == ["hit", ""]


def test_an_api_that_is_registered_from_now_on_says_what_counts(provider: Provider) -> None:
    assert [ask(provider), ask(provider)] == ["", "hit"]
    nbcache.register_api("mine", match=lambda _method, _host, path: path.endswith("/chat/completions"))
    try:
        assert [ask(provider), ask(provider)] == ["", "hit"]
    finally:
        nbcache.register_api("mine", match=None)
    assert ask(provider) == "hit"
    assert len(provider.requests) == 2


@pytest.mark.parametrize("library", [httpx, httpx2, requests])
def test_what_a_user_does_to_a_hit_is_not_in_the_next_one(library: Any, provider: Provider) -> None:
    def post() -> Any:
        return library.post(f"{provider.url}/v1/chat/completions", json=CHAT)

    post()
    hits = [post() for _ in range(3)]
    for hit in hits:
        assert "x-mine" not in hit.headers
        hit.headers["x-mine"] = "1"
        hit.headers.pop("content-type")
    assert post().headers["content-type"] == "application/json"


def test_a_request_and_its_response_are_freed_as_soon_as_nobody_has_them(provider: Provider) -> None:
    requests_made: list[weakref.ref[Any]] = []
    hooks: Any = {"request": [lambda each: requests_made.append(weakref.ref(each))]}
    with httpx2.Client(event_hooks=hooks) as client:

        def post() -> weakref.ref[Any]:
            return weakref.ref(client.post(f"{provider.url}/v1/chat/completions", json=CHAT))

        post()
        gc.collect()
        gc.disable()
        try:
            responses = [post() for _ in range(3)]
            assert [each() for each in (*responses, *requests_made[1:])] == [None] * 6
        finally:
            gc.enable()
