"""What authenticates is nowhere in the store, and still tells one call from another."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.language_models import FakeListChatModel
from langchain_openai import ChatOpenAI

import nbcache
from nbcache.codec import payload as codec
from nbcache.keys.canonical import canonical, digest
from nbcache.keys.canonical_urls import endpoint_url
from nbcache.keys.credential_names import is_credential, may_be_secret
from nbcache.keys.credentials import hidden
from nbcache.keys.earlier_keys import call_now
from nbcache.keys.key import call_key, rebuilt_call_key, with_sample
from nbcache.replay.replay_key import replay_key
from nbcache.replay.secrets.scrubber import Scrubber
from nbcache.session import installation
from tests.servers.provider import Provider

KEY, OTHER = "KEYinthere", "anotherKEY"  # by its form it is none: only the place tells


def chat(provider: Provider, **given: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": "gpt-4o-mini", "max_retries": 0, **provider.openai, **given})


def tool(**fields: Any) -> dict[str, Any]:
    return {"tools": [{"type": "mcp", "server_label": "m", "server_url": "https://mcp.example/sse", **fields}]}


# What is put into the body, with a credential in it.
PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "a tool server's user": lambda key: tool(server_url=f"https://user:{key}@mcp.example/sse"),
    "a tool server's token alone": lambda key: tool(server_url=f"https://{key}@mcp.example/sse"),
    "a tool server's query": lambda key: tool(server_url=f"https://mcp.example/sse?api_key={key}"),
    "a tool server's query of any name": lambda key: tool(server_url=f"https://mcp.example/sse?k={key}"),
    "a tool server's path": lambda key: tool(server_url=f"https://mcp.example/{key}/sse"),
    "a tool server's header": lambda key: tool(headers={"Authorization": f"Bearer {key}"}),
    "a tool server's headers as a list": lambda key: tool(headers=[{"name": "Authorization", "value": key}]),
    "a tool server's headers as pairs": lambda key: tool(headers=[["X-Api-Key", key]]),
    "a dict of credentials": lambda key: {"credentials": {"x": {"y": [key]}}},
    "an option of an option": lambda key: {"guard": {"x": {"clientSecret": key}}},
    "a text of JSON": lambda key: {"config": json.dumps({"password": key})},
    "a text of JSON in a text of JSON": lambda key: {"config": json.dumps([json.dumps({"password": key})])},
    "a printed object": lambda key: {"config": f"Settings(password='{key}', x=1)"},
    "a connection string": lambda key: {"at": f"Server=tcp:x.example;Uid=me;Pwd={key};"},
    "a storage account": lambda key: {"at": f"AccountName=a;AccountKey={key};EndpointSuffix=x.example"},
    "a database's URL": lambda key: {"at": f"postgresql+psycopg://me:{key}@db.example:5432/x"},
    "a signed URL": lambda key: {"at": f"https://a.blob.example/c/f?sv=2024&sig={key}"},
    "a bearer in a text": lambda key: {"at": f"Bearer {key}123456"},
    **{
        f"an option named {name}": lambda key, name=name: {name: key}  # type: ignore[misc]
        for name in (
            *("pass", "pwd", "passwd", "password", "passphrase", "auth", "bearer", "sas", "session", "cookie", "sig"),
            *("signature", "private_key", "client_secret", "access_key", "accessKey", "SharedAccessKey", "jwt", "dsn"),
            *("connection_string", "connectionString", "x-functions-key", "AWS_SECRET_ACCESS_KEY", "creds"),
        )
    },
}


@pytest.mark.parametrize("place", PLACES)
def test_a_credential_in_the_body_is_not_in_the_store_but_counts(
    provider: Provider, tmp_path: Path, place: str
) -> None:
    nbcache.install(tmp_path / "store")
    for key in (KEY, OTHER, KEY):
        chat(provider).invoke("q", extra_body=PLACES[place](key))
    assert len(provider.requests) == 2
    assert KEY not in everything()


def everything() -> str:
    """All that the store says of its entries."""
    store = installation.installed().store
    keys = [*nbcache.entries().key]
    shown = "".join(map(repr, map(nbcache.show, keys)))
    return shown + "".join(repr(codec.read(store.get(key) or b"", key).header()) for key in keys)


ENDPOINTS = {
    "path": "/{}/openai/v1",
    "query": "/openai/v1?token={}",
}


@pytest.mark.parametrize("place", ENDPOINTS)
def test_a_credential_in_an_endpoint_is_not_in_the_store_but_counts(tmp_path: Path, place: str) -> None:
    nbcache.install(tmp_path / "store")
    calls = []

    class Model(FakeListChatModel):
        base_url: str

        def _call(self, *args: Any, **kwargs: Any) -> str:
            calls.append(self.base_url)
            return super()._call(*args, **kwargs)

    for key in (KEY, OTHER, KEY):
        Model(responses=["a"], base_url="https://user:word@gateway.example" + ENDPOINTS[place].format(key)).invoke("q")
    assert len(calls) == 2
    assert KEY not in everything()
    assert "word" not in everything()
    assert "https://gateway.example/" in everything()


def test_a_credential_in_an_sdks_body_is_not_in_the_store_but_counts(provider: Provider, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store")
    client = nbcache.wrap(openai.OpenAI(**provider.openai, max_retries=0))
    for key in (KEY, OTHER, KEY):
        client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "q"}], extra_body={"pass": key, "at": f"ftp://{key}@x"}
        )
    assert len(provider.requests) == 2
    assert KEY not in everything()


def test_a_credential_among_the_params_of_a_plain_value_is_not_in_the_store(tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store")
    cache = nbcache.install(tmp_path / "store")
    cache.put("q", "answer", model="m", credentials={"x": KEY})
    assert cache.get("q", model="m", credentials={"x": KEY}) == "answer"
    assert cache.get("q", model="m", credentials={"x": OTHER}) is None
    assert KEY not in everything()


def test_what_the_user_wrote_into_a_prompt_is_stored_as_written(provider: Provider, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store")
    chat(provider).invoke(f"password={KEY}")
    (key,) = nbcache.entries().key
    assert KEY in nbcache.show(key).prompt


def test_replay_needs_no_credential(provider: Provider, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store")
    asked = {"pass": KEY, **tool(server_url="https://mcp.example/3f2a9c1e-77d1-4a0e-9a51-0d2f/sse")}
    chat(provider).invoke("q", extra_body=asked)
    file = tmp_path / "file.jsonl"
    nbcache.export_cassette(file)
    assert "[secret]" in file.read_text()
    nbcache.install(tmp_path / "empty", mode="replay", cassette=file)
    without = {"pass": "none", **tool(server_url="https://mcp.example/00000000-0000-0000-0000-0001/sse")}
    chat(provider).invoke("q", extra_body=without)
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    "asked",
    [{"key": "1234"}, {"pin": 1234}, tool(headers={"X-Pin": "1234"}), {"guard": {"password": "1234", "otp": ["1234"]}}],
)
def test_a_cassette_has_no_digest_of_a_credential_that_could_be_guessed(
    provider: Provider, tmp_path: Path, asked: dict[str, Any]
) -> None:
    nbcache.install(tmp_path / "store")
    chat(provider).invoke("q", extra_body=asked)
    chat(provider, default_headers={"X-User-Pin": "1234"}).invoke("r")
    nbcache.export_cassette(tmp_path / "file.jsonl")
    written = (tmp_path / "file.jsonl").read_text()
    assert digest(b"1234") not in written
    assert digest(b"\0" + canonical(1234)) not in written
    assert written.count("[secret]") >= 2
    nbcache.install(tmp_path / "empty", mode="replay", cassette=tmp_path / "file.jsonl")
    chat(provider).invoke("q", extra_body=asked)
    chat(provider, default_headers={"X-User-Pin": "1235"}).invoke("r")
    assert len(provider.requests) == 2


def test_another_servers_address_is_another_call_in_replay() -> None:
    keys = {
        replay_key(
            call_key("q", "!document:" + hidden(canonical({"model": "m", **tool(server_url=url)})).decode()), Scrubber()
        )
        for url in ("https://mcp.example/team-A/sse", "https://mcp.example/team-B/sse", "https://other.example/sse")
    }
    assert len(keys) == 3


def test_an_entry_of_version_1_tells_no_credential_when_it_has_its_new_key() -> None:
    written = '{"class":["x"],"fields":{"model":"m","pass":"KEYinthere"},"draw":2}'
    where = "https://gateway.example/KEYinthere/v1"
    then = rebuilt_call_key(b"q", "q", identity=written, endpoint=where, model="m", rewritten=False)
    now = call_now(then)
    assert now is not None
    assert KEY not in now.identity.decode() + now.endpoint
    assert now.sample == 2
    document = hidden(b'{"class":["x"],"fields":{"model":"m","pass":"KEYinthere"}}').decode()
    asked = rebuilt_call_key(b"q", "q", identity=document, endpoint=endpoint_url(where), model="m", rewritten=False)
    assert now.key == with_sample(asked, 2).key


# What a document is without them


@pytest.mark.parametrize(
    "value",
    [
        {"max_tokens": 5, "compass": "north", "design": "x", "monkeys": ["a"], "passage": "a b", "author": "me"},
        {"tools": [{"parameters": {"properties": {"password": {"type": "string"}, "key": {"type": "string"}}}}]},
        {"text": "See https://docs.example.com/Guide/Intro_2#Top, or say: a = b, c: d"},
        {"text": "His secret: he sings. The key, as ever, is patience"},
        {"model": "m", "base": "https://api.example.com/v1beta/openai/models/gpt-4o-mini"},
        {"seed": 12345678901234567890123, "penalty": 1.0},
    ],
)
def test_what_is_no_credential_stays(value: dict[str, Any]) -> None:
    assert json.loads(hidden(canonical(value))) == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["key", "url", "properties", "name", "a"]), inner),
)


@given(JSON)
def test_what_is_hidden_stays_as_it_is(value: Any) -> None:
    once = hidden(canonical({"class": "x", "key": value, "at": [value]}))
    assert hidden(once) == once


@given(st.text() | st.builds("{}://{}".format, st.sampled_from(["http", "https", "HTTP"]), st.text()))
def test_an_endpoint_is_canonical_at_once(url: str) -> None:
    once = endpoint_url(url)
    assert endpoint_url(once) == once


@pytest.mark.parametrize(
    ("url", "canonical_url"),
    [
        ("HTTPS://API.OpenAI.com:443/v1/", "https://api.openai.com/v1"),
        ("http://me:word@127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("http://me:wo@rd@127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("me:word@host:11434", "host:11434"),
        ("localhost:11434", "localhost:11434"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
        ("https://x.example/openai/deployments/My-4o", "https://x.example/openai/deployments/My-4o"),
    ],
)
def test_an_endpoint_without_credentials_is_readable(url: str, canonical_url: str) -> None:
    assert endpoint_url(url) == canonical_url


@pytest.mark.parametrize("url", ["http://me:word/word2@host", "https://host:word", "http://me:word@[", "word2@"])
def test_what_is_no_right_url_tells_nothing(url: str) -> None:
    assert "word" not in endpoint_url(url)


@pytest.mark.parametrize("name", ["pass", "dbPass", "PASSWORD", "api-key", "apikey", "clientSecret", "x.auth", "SAS"])
def test_names_of_credentials(name: str) -> None:
    assert is_credential(name)


@pytest.mark.parametrize("name", ["bypass", "compass", "tokens", "max_tokens", "signal", "author", "sessions", ""])
def test_names_of_other_things(name: str) -> None:
    assert not is_credential(name)


@pytest.mark.parametrize(
    "name",
    ["apiKey", "eos_token", "clientSecret", "PASSWORD", "proxy-authorization", "aws_credential", "credentials"],
)
def test_what_may_be_secret_has_the_name_of_a_credential_so_that_no_cassette_has_its_digest(name: str) -> None:
    assert may_be_secret(name)
    assert is_credential(name)
