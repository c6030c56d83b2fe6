"""Cohere's streams come as events or as lines of JSON, as their reader asks: nobody gets what another one asked for."""

import os
from typing import Any

import httpx
import pytest

import nbcache
from tests.integrations.clients.scripts.tasks import user
from tests.servers.provider import Provider

MODEL = "command-a-03-2025"


@pytest.fixture
def litellm() -> Any:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would fetch its price list from the network
    return pytest.importorskip("litellm", reason="`make clients` has it")


@pytest.mark.usefixtures("store")
@pytest.mark.filterwarnings("ignore")  # LiteLLM's own
def test_litellms_and_the_sdks_streams_are_paid_once_each(litellm: Any, provider: Provider) -> None:
    cohere: Any = pytest.importorskip("cohere")
    sdk = cohere.ClientV2(api_key="k", base_url=provider.url)

    def by_litellm() -> list[str | None]:
        chunks = litellm.completion(
            f"cohere_chat/{MODEL}", user("a"), stream=True, api_key="k", api_base=f"{provider.url}/v2/chat"
        )
        return [chunk.choices[0].delta.content for chunk in chunks]

    def by_sdk() -> list[Any]:
        return list(sdk.chat_stream(model=MODEL, messages=user("a")))

    assert by_litellm() == by_litellm()
    assert by_sdk() == by_sdk()
    assert len(by_sdk()) > 4
    assert "".join(filter(None, by_litellm()))
    assert len(provider.requests) == 2
    assert nbcache.entries()["client"].tolist() == ["cohere", "cohere"]
    assert nbcache.entries()["streamed"].all()
    assert nbcache.entries()["input_tokens"].notna().all()


@pytest.mark.usefixtures("store")
def test_events_and_lines_of_json_are_two_entries(provider: Provider) -> None:
    kinds: dict[str, str] = {}
    for accept in ("text/event-stream", "application/json", "*/*") * 2:
        body = {"model": MODEL, "messages": user("a"), "stream": True}
        response = httpx.post(f"{provider.url}/v2/chat", json=body, headers={"accept": accept})
        assert kinds.setdefault(accept, response.headers["content-type"]) == response.headers["content-type"]
    assert kinds["text/event-stream"] == kinds["*/*"] == "text/event-stream"
    assert kinds["application/json"] == "application/stream+json"
    assert len(provider.requests) == 3
