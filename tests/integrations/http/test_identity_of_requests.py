"""Which requests are the same call, for every known API: those that differ in what can change the answer never are."""

import json
from typing import Any

import httpx
import pytest

import nbcache
from nbcache.integrations.http.exchange import Exchange
from nbcache.integrations.http.httpx_transport import http_request
from nbcache.integrations.http.model_call import model_call
from nbcache.keys.key import call_key
from nbcache.stores import MemoryStore
from tests.integrations.http.documented_requests import REQUESTS, Documented

APIS = pytest.mark.parametrize("documented", REQUESTS.values(), ids=REQUESTS)


def key(request: httpx.Request) -> str | None:
    """The key of the call that a request makes. None if it passes by."""
    call = model_call(http_request(request))
    if call is None or call.effect:
        return None
    exchange = Exchange.of(nbcache.NotebookCache(MemoryStore()), call)
    return call_key(exchange.prompt, "", exchange.call).key


def key_of(documented: Documented, body: Any = None, url: str = "", **headers: str) -> str | None:
    """The key of a request with another body, another URL or further headers."""
    return key(
        httpx.Request(
            "POST",
            url or documented.url,
            headers={**documented.headers, **headers},
            json=documented.body if body is None else body,
        )
    )


@APIS
def test_requests_that_differ_in_one_field_are_different_calls(documented: Documented) -> None:
    bodies = [documented.body, *documented.bodies()]
    keys: dict[str, Any] = {}
    for body in bodies:
        if (made := key_of(documented, body)) is not None:
            assert made not in keys, f"{json.dumps(keys[made])} and {json.dumps(body)} have one key"
            keys[made] = body
    assert len(keys) > 200
    assert keys[key_of(documented) or ""] == documented.body


@APIS
def test_requests_to_different_places_are_different_calls(documented: Documented) -> None:
    url = httpx.URL(documented.url)
    elsewhere = [
        url,
        url.copy_with(host="elsewhere.example"),
        url.copy_with(port=8080),
        url.copy_with(scheme="ftp"),
        url.copy_with(path=f"/proxy{url.path}"),
        *(
            url.copy_merge_params(more)
            for more in ({"api-version": "1"}, {"api-version": "2"}, {"x": "eu", "key": "k"})
        ),
        *(url.copy_with(path=url.path.replace(*each)) for each in _OTHER_PATHS if each[0] in url.path),
    ]
    if "router." in url.host:  # its paths are a model's only there
        elsewhere = [place for place in elsewhere if place.host == url.host or "pipeline" in url.path]
    keys = [key_of(documented, url=str(place)) for place in elsewhere]
    keys += [key_of(documented, **{name: value}) for name in _COUNTED_HEADERS for value in "bc"]
    assert None not in keys
    assert len(set(keys)) == len(keys)


_OTHER_PATHS = [
    ("google/models/", "google/endpoints/"),
    ("v1beta/models/", "v1beta/tunedModels/"),
    ("mine", "yours"),
    ("bge-", "bgf-"),
    ("flux-", "fluy-"),
    ("gemini-", "geminus-"),
    ("claude-", "claudia-"),
]
_COUNTED_HEADERS = [
    *("openai-organization", "openai-project", "anthropic-version", "anthropic-beta", "x-portkey-provider"),
    *("helicone-target-url", "x-amzn-bedrock-guardrailidentifier", "x-of-tomorrow", "host"),
]
_NO_DIFFERENCE: list[dict[str, str]] = [
    *({name: "other"} for name in ("authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "user-agent")),
    *({name: "other"} for name in ("idempotency-key", "x-stainless-retry-count", "x-stainless-lang", "traceparent")),
    *({name: "other"} for name in ("x-request-id", "x-client-request-id", "x-goog-api-client", "x-b3-traceid")),
    *({name: "other"} for name in ("x-fern-sdk-version", "x-client-name", "accept", "accept-encoding")),
    {"content-type": "application/json; charset=utf-8"},
]
# By `accept`, a client asks for one kind of picture, or for events in place of lines of JSON.
_READ_ACCEPT = ("/models/black-forest/", "api.cohere.com/v1/chat", "api.cohere.com/v2/chat")
_CREDENTIALS = [
    *("key", "api_key", "api-key", "access_token", "sig", "X-Amz-Signature", "X-Amz-Date", "X-Amz-Credential"),
    *("X-Amz-Security-Token", "X-Goog-Signature", "subscription-key"),
]


@APIS
def test_a_request_that_differs_in_what_no_answer_depends_on_is_the_same_call(documented: Documented) -> None:
    usual = key_of(documented)
    assert usual is not None
    reads_accept = any(path in documented.url for path in _READ_ACCEPT)
    others = [more for more in _NO_DIFFERENCE if not (reads_accept and "accept" in more)]
    assert [key_of(documented, **more) for more in others] == [usual] * len(others)
    body = dict(reversed(documented.body.items()))
    assert key_of(documented, body) == usual
    content = json.dumps(documented.body, indent=2, ensure_ascii=True).encode()
    assert key(httpx.Request("POST", documented.url, headers=documented.headers, content=content)) == usual


@APIS
@pytest.mark.parametrize("name", _CREDENTIALS)
def test_a_credential_in_the_query_neither_counts_nor_is_stored(documented: Documented, name: str) -> None:
    urls = [str(httpx.URL(documented.url).copy_merge_params({name: value})) for value in ("hunter-1", "hunter-2")]
    assert {key_of(documented, url=url) for url in urls} == {key_of(documented)}


@APIS
def test_a_body_of_another_type_passes_by(documented: Documented) -> None:
    def passes(**given: Any) -> bool:
        return key(httpx.Request("POST", documented.url, **given)) is None

    content = json.dumps(documented.body).encode()
    for kind in ("text/plain", "application/octet-stream", "application/json; charset=latin-1", "multipart/form-data"):
        assert passes(content=content, headers={"content-type": kind})
    assert passes(files={"file": content})
    assert passes(data={"model": "m"})
    assert passes(content=iter([content]), headers={"content-type": "application/json"})
    assert passes(content=content[:-1])
    assert passes(content=b"[" + content + b"]")
    assert passes(content=content, headers={"content-encoding": "gzip"})
    assert not passes(content=content)


@pytest.mark.parametrize(
    "content",
    [
        b'{"model": "m", "messages": [{"role": "user", "content": "a"}], "messages": []}',
        b'{"model":"m","messages":[{"role":"user","content":"a","content":"b"}]}',
    ],
)
def test_a_body_with_a_field_twice_passes_by_since_servers_differ_in_which_they_read(content: bytes) -> None:
    request = httpx.Request("POST", "https://models.example/v1/chat/completions", content=content)
    assert key(request) is None
    call = model_call(http_request(request))
    assert call is not None  # so that it is counted, and not sent in replay


def test_a_message_to_a_conversation_that_the_provider_keeps_passes_by() -> None:
    body = {"message": "Go on.", "conversation_id": "c"}
    assert key(httpx.Request("POST", "https://api.cohere.com/v1/chat", json=body)) is None


VALUES = (
    *("null", "1e999", "-1e999", "NaN", '"Infinity"', '"NaN"', '{"!float": "inf"}', '{"!float": "nan"}'),
    *('{"!!float": "inf"}', '{"!set": ["1"]}', '"!secret"', "0", "0.0", "-0.0", "1", "1.0", '"1"', "true", "[1]"),
    *(str(10**30), "1e30", f'"{10**30}"', str(2**64), str(2**64 + 1), "1.8446744073709552e19"),
    *(r'"\ud800"', r'"\\ud800"', r'"\udc00"', r'"\ufffd"', r'"\u0000"', '""', "{}", "[]", "[null]", "[{}]"),
)


@pytest.mark.parametrize("place", ['"temperature": V', '"extra": {"a": V}', '"extra": [V]', '"messages": [V]'])
def test_what_json_tells_apart_is_told_apart(place: str) -> None:
    keys: dict[str | None, str] = {}
    for value in VALUES:
        fields = place.replace("V", value)
        body = '{"model": "m", ' + (fields if "messages" in fields else f'"messages": [], {fields}') + "}"
        made = key(httpx.Request("POST", "https://a.example/v1/chat/completions", content=body.encode()))
        assert made is not None
        assert made not in keys, f"{keys.get(made)} and {value} have one key"
        keys[made] = value


@pytest.mark.parametrize(
    ("one", "two"), [(r'"\u00e9"', '"é"'), (r'"\ud83d\ude00"', '"😀"'), ('{"a": 1 }', '{"a":1}'), ('"a\\/b"', '"a/b"')]
)
def test_two_ways_to_write_one_value_are_one_call(one: str, two: str) -> None:
    bodies = ['{"model": "m", "messages": [], "extra": ' + value + "}" for value in (one, two)]
    urls = ("POST", "https://a.example/v1/chat/completions")
    first, second = (key(httpx.Request(*urls, content=body.encode())) for body in bodies)
    assert first == second is not None
