"""Headers of an answer: what is the provider's own business is not kept, so that it can be exported."""

import json
from pathlib import Path
from typing import Any

import openai
import pytest
from langchain_openai import ChatOpenAI

import nbcache
from tests.servers.canned import OPENAI_USAGE, Canned, chat, chat_stream

PRIVATE = {
    "Set-Cookie": "__cf_bm=abcdef0123456789; path=/; HttpOnly",
    "OpenAI-Organization": "acme-research",
    "OpenAI-Project": "proj_abc",
    "CF-Ray": "8f0a-AMS",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
KEPT = {"x-request-id": "req_1", "x-ratelimit-remaining-requests": "99", "openai-processing-ms": "12"}


@pytest.fixture
def canned() -> Any:
    with Canned() as server:
        yield server


def answered(reply: Any) -> Any:
    return type(reply)(reply.kind, reply.body, {**reply.headers, **PRIVATE, **KEPT})


def asked(server: Canned, *, streamed: bool) -> Any:
    llm = ChatOpenAI(model="m", base_url=f"{server.url}/v1", api_key="sk-test", include_response_headers=True)
    if not streamed:
        return llm.invoke("What?")
    first, *rest = llm.stream("What?")
    return sum(rest, first)


@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_with_cookies_is_exported_without_them(canned: Canned, store: Path, streamed: bool) -> None:
    canned.reply(answered(chat_stream("m", OPENAI_USAGE) if streamed else chat("m", OPENAI_USAGE)))
    live = asked(canned, streamed=streamed)
    assert "set-cookie" in live.response_metadata["headers"]  # what the call itself is given is as it came
    hit = asked(canned, streamed=streamed)
    given = {name.lower(): value for name, value in hit.response_metadata["headers"].items()}
    assert KEPT.items() <= given.items()
    assert not {name.lower() for name in PRIVATE} & given.keys()
    nbcache.export_cassette("answers.jsonl")
    written = Path("answers.jsonl").read_text()
    assert json.loads(written.splitlines()[-1])["answer"]
    assert not any(value in written for value in PRIVATE.values())
    assert all(value in written for value in KEPT.values())


def test_an_sdks_answer_with_cookies_is_exported_without_them(canned: Canned, store: Path) -> None:
    canned.reply(answered(chat("m", OPENAI_USAGE)))
    client = nbcache.wrap(openai.OpenAI(base_url=f"{canned.url}/v1", api_key="sk-test"))
    for _ in range(2):
        raw = client.chat.completions.with_raw_response.create(
            model="m", messages=[{"role": "user", "content": "What?"}]
        )
    assert raw.headers.get("x-request-id") == "req_1"
    assert "set-cookie" not in raw.headers
    nbcache.export_cassette("answers.jsonl")
    assert not any(value in Path("answers.jsonl").read_text() for value in PRIVATE.values())
