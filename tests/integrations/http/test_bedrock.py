"""Bedrock by boto3 and by Anthropic's client for it, as nobody wrapped them."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anthropic
import boto3
import botocore.credentials
import botocore.endpoint
import botocore.session
import botocore.signers
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError, NoCredentialsError, NoRegionError, ReadTimeoutError
from langchain_aws import ChatBedrock, ChatBedrockConverse

import nbcache
from nbcache import ReplayMiss
from nbcache.session import installation
from tests.servers.bedrock_wire import AWS, BedrockWire
from tests.servers.provider import Provider
from tests.servers.provider_bedrock import event
from tests.servers.scripted import Reply, Scripted
from tests.support.paths import ROOT

MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
ASKED: Any = [{"role": "user", "content": [{"text": "What is a monad?"}]}]
CONVERSE: Any = {"modelId": MODEL, "messages": ASKED, "system": [{"text": "Be terse."}]}
CITY = {"json": {"type": "object", "properties": {"city": {"type": "string"}}}}
TOOLS: Any = {"tools": [{"toolSpec": {"name": "weather", "inputSchema": CITY}}], "toolChoice": {"any": {}}}
CLAUDE: Any = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 99,
    "messages": [{"role": "user", "content": "What is a monad?"}],
}
MESSAGE: Any = {"model": MODEL, "max_tokens": 99, "messages": CLAUDE["messages"]}
ONCE: Any = {"config": Config(retries={"mode": "standard", "total_max_attempts": 1})}


@pytest.fixture
def client(provider: Provider, store: Path) -> Any:
    return boto3.client(**provider.bedrock)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch, store: Path) -> BedrockWire:
    return BedrockWire(monkeypatch)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore doesn't wait before it tries again."""
    monkeypatch.setattr(botocore.endpoint.time, "sleep", lambda _: None)


def converse(client: Any, **more: Any) -> dict[str, Any]:
    """What comes back, without what says when and over which line it came."""
    response = client.converse(**{**CONVERSE, **more})
    return {name: value for name, value in response.items() if name != "ResponseMetadata"}


def streamed(client: Any, **more: Any) -> list[Any]:
    return list(client.converse_stream(**{**CONVERSE, **more})["stream"])


def invoked(client: Any, **more: Any) -> dict[str, Any]:
    return dict(json.loads(client.invoke_model(modelId=MODEL, body=json.dumps({**CLAUDE, **more}))["body"].read()))


def invoked_stream(client: Any, **more: Any) -> list[Any]:
    response = client.invoke_model_with_response_stream(modelId=MODEL, body=json.dumps({**CLAUDE, **more}))
    return [json.loads(part["chunk"]["bytes"]) for part in response["body"]]


CALLS: dict[str, Callable[..., Any]] = {
    "converse": converse,
    "converse_stream": streamed,
    "invoke_model": invoked,
    "invoke_model_with_response_stream": invoked_stream,
}
calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


def bedrock(provider: Provider, **settings: Any) -> anthropic.AnthropicBedrock:
    return anthropic.AnthropicBedrock(**arguments(provider), **settings)


def arguments(provider: Provider) -> dict[str, Any]:
    return {"base_url": provider.url, "aws_region": "us-east-1", "aws_access_key": "k", "aws_secret_key": "s"}


# Paid once


@calls
def test_a_call_by_boto3_is_paid_once(call: Any, client: Any, provider: Provider) -> None:
    live = call(client)
    assert call(client) == call(boto3.client(**provider.bedrock)) == live
    assert provider.requests[0].echo.split()[1] in json.dumps(live)
    stats = nbcache.stats()
    assert (len(provider.requests), stats.misses, stats.hits, stats.entries) == (1, 1, 2, 1)


def test_a_hit_says_so_and_is_a_response_as_any_other(client: Any) -> None:
    one, two = client.converse(**CONVERSE), client.converse(**CONVERSE)
    assert "x-nbcache" not in one["ResponseMetadata"]["HTTPHeaders"]
    assert two["ResponseMetadata"]["HTTPHeaders"]["x-nbcache"] == "hit"
    assert two["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert two["ResponseMetadata"]["RetryAttempts"] == 0


def test_the_body_of_an_invoked_model_is_read_in_any_way(client: Any) -> None:
    def body() -> Any:
        return client.invoke_model(modelId=MODEL, body=json.dumps(CLAUDE))["body"]

    whole = body().read()
    for _ in range(2):
        assert b"".join(body().iter_chunks(7)) == whole
        assert b"".join(body().iter_lines()) == whole
        part = body()
        assert part.read(5) + part.read() == whole
        assert part.read() == b""
        into = bytearray(4)
        assert body().readinto(into) == 4
        assert bytes(into) == whole[:4]
        with body() as raw:
            assert raw.read() == whole


def test_tools_and_other_settings_are_other_calls(client: Any, provider: Provider) -> None:
    for _ in range(2):
        assert converse(client, toolConfig=TOOLS)
        assert converse(client, inferenceConfig={"maxTokens": 5})
        assert converse(client, additionalModelRequestFields={"top_k": 5})
        assert converse(client, modelId="amazon.nova-lite-v1:0")
    assert len(provider.requests) == 4


def test_a_tool_that_the_model_calls_is_kept_whole_and_streamed(wire: BedrockWire) -> None:
    use = {"toolUseId": "t1", "name": "weather", "input": {"city": "Bern"}}
    content = [{"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "s"}}}, {"toolUse": use}]
    usage = {"inputTokens": 21, "outputTokens": 12, "totalTokens": 33}
    message = {"role": "assistant", "content": content}
    wire.reply({"output": {"message": message}, "stopReason": "tool_use", "usage": usage, "metrics": {"latencyMs": 1}})
    wire.stream(
        event("messageStart", {"role": "assistant"}),
        event("contentBlockDelta", {"delta": {"reasoningContent": {"text": "Hm."}}, "contentBlockIndex": 0}),
        event("contentBlockDelta", {"delta": {"reasoningContent": {"signature": "s"}}, "contentBlockIndex": 0}),
        event(
            "contentBlockStart",
            {"start": {"toolUse": {"toolUseId": "t1", "name": "weather"}}, "contentBlockIndex": 1},
        ),
        event("contentBlockDelta", {"delta": {"toolUse": {"input": '{"city": '}}, "contentBlockIndex": 1}),
        event("contentBlockDelta", {"delta": {"toolUse": {"input": '"Bern"}'}}, "contentBlockIndex": 1}),
        event("messageStop", {"stopReason": "tool_use"}),
        event("metadata", {"usage": usage, "metrics": {"latencyMs": 1}}),
    )
    client = wire.client()
    assert converse(client, toolConfig=TOOLS) == converse(client, toolConfig=TOOLS)
    assert streamed(client, toolConfig=TOOLS) == streamed(client, toolConfig=TOOLS)
    table = nbcache.entries()
    assert table.answer.tolist() == ['weather({"city": "Bern"})'] * 2
    assert table.input_tokens.tolist() == [21, 21]
    assert table.status.tolist() == ["ok", "ok"]
    assert len(wire.requests) == 2


CODE = """
import sys, nbcache
nbcache.install(sys.argv[2])
assert not {"botocore", "boto3", "anthropic"} & set(sys.modules)
import boto3
keys = {"region_name": "us-east-1", "aws_access_key_id": "k", "aws_secret_access_key": "s"}
client = boto3.client("bedrock-runtime", endpoint_url=sys.argv[1], **keys)
asked = [{"role": "user", "content": [{"text": "What is a monad?"}]}]
print(client.converse(modelId="m", messages=asked)["output"])
print(list(client.converse_stream(modelId="m", messages=asked)["stream"]))
"""


@pytest.mark.slow
def test_a_new_process_that_imports_boto3_later_pays_nothing(provider: Provider, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", CODE, provider.url, str(tmp_path / "store")]
    runs = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False) for _ in range(2)]
    assert [run.stderr for run in runs] == ["", ""]
    assert runs[0].stdout == runs[1].stdout
    assert len(provider.requests) == 2


@pytest.mark.usefixtures("store")
def test_anthropics_client_for_bedrock_is_paid_once(provider: Provider) -> None:
    one, two = bedrock(provider), bedrock(provider)
    assert one.messages.create(**MESSAGE) == two.messages.create(**MESSAGE)
    live, hit = (list(each.messages.create(**MESSAGE, stream=True)) for each in (one, two))
    assert live == hit
    assert len(live) > 4
    with one.messages.stream(**MESSAGE) as stream:
        assert stream.get_final_text() == "".join(two.messages.stream(**MESSAGE).__enter__().text_stream)
    assert len(provider.requests) == 2
    raw = two.messages.with_raw_response.create(**MESSAGE)
    assert raw.headers["x-nbcache"] == "hit"


@pytest.mark.usefixtures("store")
async def test_anthropics_async_client_for_bedrock_is_paid_once(provider: Provider) -> None:
    client = anthropic.AsyncAnthropicBedrock(**arguments(provider))
    once, again = await client.messages.create(**MESSAGE), await client.messages.create(**MESSAGE)
    assert once == again == bedrock(provider).messages.create(**MESSAGE)
    streams = [[part async for part in await client.messages.create(**MESSAGE, stream=True)] for _ in range(2)]
    assert streams[0] == streams[1]
    assert len(provider.requests) == 2


@pytest.mark.usefixtures("store")
def test_anthropics_newer_client_for_bedrock_speaks_anthropics_api(provider: Provider) -> None:
    client = anthropic.AnthropicBedrockMantle(**{**arguments(provider), "base_url": provider.url})
    assert client.messages.create(**MESSAGE) == client.messages.create(**MESSAGE)
    assert len(provider.requests) == 1


# Which calls are the same


def test_signatures_user_agents_and_retries_neither_count_nor_are_stored(store: Path, provider: Provider) -> None:
    clients = [
        boto3.client(**{**provider.bedrock, **keys, "config": Config(user_agent_extra=name, retries={"mode": mode})})
        for keys, name, mode in (
            ({"aws_session_token": "token-1"}, "a", "standard"),
            ({"aws_access_key_id": "AKIAOTHER", "aws_secret_access_key": "other"}, "b", "legacy"),
        )
    ]
    assert converse(clients[0]) == converse(clients[1])
    assert len(provider.requests) == 1
    stored = b"".join(path.read_bytes() for path in store.rglob("*") if path.is_file())
    for secret in (b"token-1", b"AKIAOTHER", b"AWS4-HMAC", b"SignedHeaders"):
        assert secret not in stored
    assert b"monad" in stored


def test_metadata_for_awss_logs_does_not_count(client: Any, provider: Provider) -> None:
    assert converse(client, requestMetadata={"team": "a"}) == converse(client)
    for team in "ab":
        client.invoke_model(modelId=MODEL, body=json.dumps(CLAUDE), requestMetadata=json.dumps({"team": team}))
    assert len(provider.requests) == 2


def test_what_is_asked_for_in_headers_counts(client: Any, provider: Provider) -> None:
    for more in ({}, {"guardrailIdentifier": "g", "guardrailVersion": "1"}, {"performanceConfigLatency": "optimized"}):
        for _ in range(2):
            client.invoke_model(modelId=MODEL, body=json.dumps(CLAUDE), **more)
    assert len(provider.requests) == 3


def test_a_model_by_its_resource_is_found_however_its_name_is_written(wire: BedrockWire) -> None:
    arn = f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{MODEL}"
    usage = {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}
    for text in "abc":
        content = [{"text": text}]
        wire.reply(
            {
                "output": {"message": {"content": content}},
                "stopReason": "end_turn",
                "usage": usage,
                "metrics": {"latencyMs": 1},
            }
        )
    one, two = wire.client(), wire.client(region_name="eu-west-1")
    assert converse(one, modelId=arn) == converse(one, modelId=arn)
    assert converse(one) != converse(one, modelId=arn)
    assert converse(two) != converse(one)  # another region is another endpoint
    assert len(wire.requests) == 3
    assert {*nbcache.entries().model} == {MODEL, arn}


# Errors, streams that are cut, and what passes by


@pytest.mark.usefixtures("at_once")
def test_botocores_own_retries_are_its_own_and_only_the_answer_is_kept(client: Any, provider: Provider) -> None:
    provider.fail(429, times=2)
    live = client.converse(**CONVERSE)
    assert live["ResponseMetadata"]["RetryAttempts"] == 2
    assert client.converse(**CONVERSE)["output"] == live["output"]
    assert len(provider.requests) == 3
    stats = nbcache.stats()
    assert (stats.entries, stats.hits, stats.misses) == (1, 1, 1)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 503])
@calls
def test_an_error_is_the_callers_and_never_kept(status: int, call: Any, provider: Provider) -> None:
    client = boto3.client(**provider.bedrock, **ONCE)
    provider.fail(status, times=2)
    for _ in range(2):
        with pytest.raises(ClientError) as raised:
            call(client)
        assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert nbcache.stats().entries == 0
    assert call(client)


def test_an_exception_in_a_stream_is_the_callers_and_never_kept(wire: BedrockWire) -> None:
    wire.stream(
        event("messageStart", {"role": "assistant"}),
        event("throttlingException", {"message": "slow down"}, "exception"),
    )
    with pytest.raises(EventStreamError, match="slow down"):
        streamed(wire.client())
    assert nbcache.stats().entries == 0


def test_a_request_that_times_out_is_not_kept(provider: Provider, store: Path) -> None:
    short = Config(read_timeout=0.05, retries={"total_max_attempts": 1})
    with provider.hold(), pytest.raises(ReadTimeoutError):
        converse(boto3.client(**provider.bedrock, config=short))
    assert nbcache.stats().entries == 0
    assert converse(boto3.client(**provider.bedrock))


STREAM = [
    event("messageStart", {"role": "assistant"}),
    event("contentBlockDelta", {"delta": {"text": "Zürich 🌊"}, "contentBlockIndex": 0}),
    event("contentBlockStop", {"contentBlockIndex": 0}),
    event("messageStop", {"stopReason": "end_turn"}),
    event("metadata", {"usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}, "metrics": {"latencyMs": 1}}),
]


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_a_stream_passes_through_as_it_comes_however_it_is_cut(size: int, wire: BedrockWire) -> None:
    body = b"".join(STREAM)
    wire.stream(*(body[at : at + size] for at in range(0, len(body), size)))
    client = wire.client()
    live, hit = streamed(client), streamed(client)
    assert live == hit
    assert len(live) == 5
    assert len(wire.requests) == 1


def test_each_event_is_handed_on_before_the_next_has_come(wire: BedrockWire) -> None:
    wire.stream(*STREAM)
    stream = wire.client().converse_stream(**CONVERSE)["stream"]
    assert [wire.bodies[0].taken for _ in stream] == [1, 2, 3, 4, 5]
    assert nbcache.stats().entries == 1


def test_a_stream_that_is_closed_early_is_not_kept_and_its_connection_is_closed(wire: BedrockWire) -> None:
    wire.stream(*STREAM)
    stream = wire.client().converse_stream(**CONVERSE)["stream"]
    next(iter(stream))
    stream.close()
    assert wire.bodies[0].was_closed
    assert (wire.bodies[0].taken, nbcache.stats().entries) == (1, 0)


@pytest.mark.parametrize("kept", [1, 3, 4])
def test_a_stream_that_breaks_off_is_not_kept(kept: int, wire: BedrockWire) -> None:
    wire.stream(*STREAM[:kept])
    with pytest.warns(UserWarning, match="before it was complete"):
        streamed(wire.client())
    assert nbcache.stats().entries == 0


def test_a_stream_without_a_stop_is_not_kept(wire: BedrockWire) -> None:
    wire.stream(STREAM[0], STREAM[1], STREAM[4])
    streamed(wire.client())
    assert nbcache.stats().entries == 0


def test_other_services_and_other_paths_pass_untouched(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = BedrockWire(monkeypatch)
    wire.reply(b"<ListAllMyBucketsResult/>")
    wire.reply(b"content")
    with nbcache.mode("replay"):
        s3 = boto3.client("s3", **AWS)
        s3.list_buckets()
        assert s3.get_object(Bucket="b", Key="model/m/converse.txt")["Body"].read() == b"content"
    assert (len(wire.requests), nbcache.stats().misses) == (2, 0)


def test_other_requests_to_bedrock_pass_by_and_are_not_sent_in_replay(wire: BedrockWire) -> None:
    client = wire.client()

    def count() -> Any:
        return client.count_tokens(modelId="m", input={"invokeModel": {"body": b"{}"}})["inputTokens"]

    for _ in range(2):
        wire.reply({"inputTokens": 5})
        assert count() == 5
    with nbcache.mode("replay"), pytest.raises(ReplayMiss, match="token counts"):
        count()
    assert (len(wire.requests), nbcache.stats().entries) == (2, 0)


def test_a_body_that_is_a_file_passes_by(client: Any, provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text(json.dumps(CLAUDE))
    for _ in range(2):
        with (tmp_path / "body.json").open("rb") as body:
            assert client.invoke_model(modelId=MODEL, body=body)["body"].read()
    assert (len(provider.requests), nbcache.stats().entries) == (2, 0)


# Modes, and once, not twice


@calls
def test_in_replay_nothing_is_sent(call: Any, client: Any, provider: Provider) -> None:
    live = call(client)
    with nbcache.mode("replay"):
        assert call(client) == live
        with pytest.raises(ReplayMiss):
            call(client, system="Be long." if call in (invoked, invoked_stream) else [{"text": "Be long."}])
    assert len(provider.requests) == 1


@pytest.fixture
def no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine has no credentials of AWS."""
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.usefixtures("no_credentials")
def test_where_the_environment_says_replay_no_credentials_are_needed(
    client: Any, provider: Provider, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_credentials() -> Any:
        settings = {name: value for name, value in provider.bedrock.items() if not name.startswith("aws_")}
        return boto3.Session().client(**settings)

    live = converse(client)
    nbcache.uninstall()
    monkeypatch.setenv("NBCACHE_MODE", "replay")
    nbcache.install(store)
    assert converse(without_credentials()) == live
    with pytest.raises(ReplayMiss):
        converse(without_credentials(), system=[{"text": "Be long."}])
    anthropics = anthropic.AnthropicBedrock(aws_region="us-east-1", base_url=provider.url, max_retries=0)
    with pytest.raises(ReplayMiss):
        anthropics.messages.create(**MESSAGE)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert boto3.Session().get_credentials().access_key == "mine"
    assert len(provider.requests) == 1
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    installation.end()
    assert boto3.Session().get_credentials() is None


@pytest.mark.usefixtures("no_credentials")
def test_where_the_environment_says_replay_no_region_is_needed(
    client: Any, provider: Provider, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbcache.install(store)
    live = converse(boto3.client(**{**provider.bedrock, "region_name": "eu-central-1"}))
    monkeypatch.setenv("NBCACHE_MODE", "replay")
    nbcache.install(store)
    assert converse(boto3.Session().client("bedrock-runtime")) == live  # it goes to AWS's own host, in whatever region
    with pytest.raises(NoRegionError):
        boto3.Session().client("ec2")
    anthropics = anthropic.AnthropicBedrock(max_retries=0)
    with pytest.raises(ReplayMiss):
        anthropics.messages.create(**MESSAGE)
    config = Config(region_name="eu-west-3")
    assert boto3.Session().client("bedrock-runtime", config=config).meta.region_name == "eu-west-3"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert boto3.Session().client("bedrock-runtime").meta.region_name == "eu-west-1"
    nbcache.install(store)
    assert anthropic.AnthropicBedrock().aws_region == "eu-west-1"
    installation.end()
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(NoRegionError):
        boto3.Session().client("bedrock-runtime")
    with pytest.raises(ValueError, match="region"):
        anthropic.AnthropicBedrock()


@pytest.mark.usefixtures("no_credentials")
def test_other_services_of_aws_get_no_placeholders(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBCACHE_MODE", "replay")
    nbcache.install(store)
    with Scripted(lambda _: Reply([b"{}"])) as server:
        session = boto3.Session(region_name="us-east-1")
        with pytest.raises(NoCredentialsError):
            session.client("s3", endpoint_url=server.url).list_buckets()
        with pytest.raises(NoCredentialsError):
            session.client("dynamodb", endpoint_url=server.url).list_tables()
        assert server.requests == []
        boto3.Session(**AWS).client("dynamodb", endpoint_url=server.url).list_tables()  # with one's own, it is sent
        assert len(server.requests) == 1


@calls
def test_in_off_all_is_sent_and_nothing_kept(call: Any, client: Any, provider: Provider) -> None:
    with nbcache.mode("off"):
        for _ in range(2):
            call(client)
    assert (len(provider.requests), nbcache.stats().entries) == (2, 0)


def test_the_hook_is_gone_after_uninstall_and_clients_stay_as_they_are(provider: Provider, tmp_path: Path) -> None:
    hooked = (
        (botocore.endpoint.Endpoint, "_send"),
        (botocore.credentials.CredentialResolver, "load_credentials"),
        (botocore.signers.RequestSigner, "__init__"),
        (botocore.session.Session, "create_client"),
    )
    originals = [vars(owner)[name] for owner, name in hooked]
    client = boto3.client(**provider.bedrock)
    before = dict(vars(client._endpoint))
    nbcache.install(tmp_path / "store")
    assert converse(client) == converse(client)
    assert vars(client._endpoint) == before
    nbcache.uninstall()
    assert [vars(owner)[name] for owner, name in hooked] == originals
    assert converse(client)
    assert len(provider.requests) == 2


@pytest.mark.parametrize(("clients", "sent"), [("bedrock", 1), (["openai", "anthropic"], 2), ("langchain", 2)])
def test_the_setting_clients_names_bedrock(clients: Any, sent: int, provider: Provider, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store", clients=clients)
    client = boto3.client(**provider.bedrock)
    for _ in range(2):
        converse(client)
    assert len(provider.requests) == sent
    for _ in range(2):
        bedrock(provider).messages.create(**MESSAGE)
    assert len(provider.requests) == 2 * sent


def test_the_users_handlers_run_for_a_hit(client: Any) -> None:
    seen: list[str] = []
    for name in ("before-send", "response-received", "needs-retry", "after-call"):
        client.meta.events.register(f"{name}.bedrock-runtime", lambda name=name, **_: seen.append(name))
    converse(client)
    live = list(seen)
    converse(client)
    assert seen == live * 2
    assert {*live} == {"before-send", "response-received", "needs-retry", "after-call"}


def test_what_a_users_handler_answers_is_its_answer(client: Any, provider: Provider) -> None:
    def answer(request: Any, **_: Any) -> Any:
        body = json.dumps({"output": {"message": {"content": []}}, "stopReason": "end_turn"}).encode()
        response = botocore.awsrequest.AWSResponse(request.url, 200, {}, None)
        response._content = body
        return response

    client.meta.events.register("before-send.bedrock-runtime", answer)
    assert converse(client)["stopReason"] == "end_turn"
    assert (provider.requests, nbcache.stats().misses) == ([], 0)


LANGCHAINS: dict[str, Callable[[Provider], Any]] = {
    "ChatBedrockConverse": lambda provider: ChatBedrockConverse(model_id=MODEL, endpoint_url=provider.url, **AWS),
    "ChatBedrock": lambda provider: ChatBedrock(model_id=MODEL, endpoint_url=provider.url, **AWS),
}


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", LANGCHAINS)
def test_a_call_of_langchains_model_is_one_call(name: str, provider: Provider) -> None:
    for _ in range(2):
        model = LANGCHAINS[name](provider)
        assert model.invoke("q").content
        assert list(model.stream("r"))
    stats = nbcache.stats()
    assert (stats.misses, stats.hits, stats.entries, len(provider.requests)) == (2, 2, 2, 2)
    with nbcache.mode("replay"), pytest.raises(ReplayMiss):
        LANGCHAINS[name](provider).invoke("another")
    assert len(provider.requests) == 2


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", LANGCHAINS)
def test_what_langchain_is_told_not_to_cache_is_not_cached_below_it_either(name: str, provider: Provider) -> None:
    off: Any = {"metadata": {"nbcache": "off"}}
    for _ in range(2):
        LANGCHAINS[name](provider).invoke("q", config=off)
        assert list(LANGCHAINS[name](provider).stream("q", config=off))
    assert (len(provider.requests), nbcache.stats().entries) == (4, 0)


@pytest.mark.usefixtures("store")
async def test_async_calls_of_langchains_model_are_one_call_each(provider: Provider) -> None:
    model = LANGCHAINS["ChatBedrockConverse"](provider)
    await asyncio.gather(*(model.ainvoke(text) for text in "aab"))
    stats = nbcache.stats()
    assert (stats.misses, stats.hits, stats.entries, len(provider.requests)) == (2, 1, 2, 2)


# At the same time


def test_identical_calls_in_threads_are_made_once(client: Any, provider: Provider) -> None:
    barrier = threading.Barrier(8)

    def call(_: int) -> Any:
        barrier.wait(30)
        return converse(client)

    with provider.hold() as release, ThreadPoolExecutor(8) as pool:
        answers = pool.map(call, range(8))
        provider.wait_for(1)
        release.set()
        assert len({json.dumps(answer) for answer in answers}) == 1
    assert len(provider.requests) == 1


def test_different_calls_in_threads_get_their_own_answers(client: Any, provider: Provider) -> None:
    def ask(i: int) -> Any:
        call = (converse, streamed)[i % 2]
        return call(client, messages=[{"role": "user", "content": [{"text": f"question {i // 2}"}]}])

    with ThreadPoolExecutor(8) as pool:
        live = list(pool.map(ask, range(40)))
        assert list(pool.map(ask, range(40))) == live
    assert len({json.dumps(answer) for answer in live}) == len(provider.requests) == 40
