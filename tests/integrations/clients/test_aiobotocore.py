"""Bedrock by aiobotocore, which sends by aiohttp past botocore's own endpoint: its calls are cached there."""

from pathlib import Path
from typing import Any

import pytest

import nbcache
from nbcache import ReplayMiss
from tests.servers.provider import Provider

pytest.importorskip("aiobotocore", reason="it needs another botocore than boto3's newest: `make clients` has it")

MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
ASKED: list[dict[str, Any]] = [{"role": "user", "content": [{"text": "What is a monad?"}]}]


@pytest.fixture
def client(provider: Provider) -> Any:
    """Makes a client."""
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    config = AioConfig(retries={"max_attempts": 0})
    return lambda: get_session().create_client(**provider.bedrock, config=config)


@pytest.mark.usefixtures("store")
async def test_calls_and_streams_are_paid_once(client: Any, provider: Provider) -> None:
    answers, streams, invoked = [], [], []
    body = (
        b'{"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}]}'
    )
    for _ in range(2):
        async with client() as bedrock:
            answers.append(await bedrock.converse(modelId=MODEL, messages=ASKED))
            stream = await bedrock.converse_stream(modelId=MODEL, messages=ASKED)
            streams.append([event async for event in stream["stream"]])
            invoked.append(await (await bedrock.invoke_model(modelId=MODEL, body=body))["body"].read())
    assert len(provider.requests) == 3
    assert answers[0]["output"] == answers[1]["output"]
    assert answers[1]["ResponseMetadata"]["HTTPHeaders"]["x-nbcache"] == "hit"
    assert streams[0] == streams[1]
    assert len(streams[0]) > 4
    assert invoked[0] == invoked[1]
    assert sorted(nbcache.entries().client) == ["bedrock"] * 3
    assert (nbcache.stats().hits, nbcache.stats().misses) == (3, 3)


async def test_replay_sends_nothing(client: Any, provider: Provider, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store", mode="replay")
    async with client() as bedrock:
        with pytest.raises(ReplayMiss):
            await bedrock.converse(modelId=MODEL, messages=ASKED)
    assert provider.requests == []


async def test_where_the_environment_says_replay_neither_credentials_nor_a_region_are_needed(
    client: Any, provider: Provider, store: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from aiobotocore.session import get_session
    from botocore.exceptions import NoCredentialsError

    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    async with client() as bedrock:
        live = await bedrock.converse(modelId=MODEL, messages=ASKED)
    monkeypatch.setenv("NBCACHE_MODE", "replay")
    nbcache.install(store)
    async with get_session().create_client("bedrock-runtime") as bedrock:
        assert (await bedrock.converse(modelId=MODEL, messages=ASKED))["output"] == live["output"]
    async with get_session().create_client("s3", region_name="eu-west-1", endpoint_url=provider.url) as bucket:
        with pytest.raises(NoCredentialsError):
            await bucket.list_buckets()
    assert len(provider.requests) == 1
