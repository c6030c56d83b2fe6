"""Bedrock's models, each in the form that it has for `invoke`, by boto3: answers, streams, what they used and cost."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import nbcache
from tests.servers.bedrock_wire import BedrockWire

METRICS = "amazon-bedrock-invocationMetrics"
COUNTS = {METRICS: {"inputTokenCount": 21, "outputTokenCount": 12, "invocationLatency": 3, "firstByteLatency": 1}}
IN_HEADERS = {"x_amzn_bedrock_input_token_count": "21", "x_amzn_bedrock_output_token_count": "12"}
ASKED = [{"role": "user", "content": "What is a monad?"}]
BLOCKS = [{"role": "user", "content": [{"text": "What is a monad?"}]}]


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> BedrockWire:
    nbcache.install(tmp_path / "store")
    return BedrockWire(monkeypatch)


@dataclass(frozen=True)
class Family:
    """A model: a request, an answer and the events of a stream. `headers` say what a whole answer doesn't say itself."""

    model: str
    body: dict[str, Any]
    answer: dict[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=lambda: IN_HEADERS)
    cost: str | None = None


CLAUDE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5-20251001",
    "content": [{"type": "text", "text": "Hi."}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 21, "output_tokens": 12},
}
NOVA_USAGE = {"inputTokens": 21, "outputTokens": 12, "totalTokens": 33}
FAMILIES = {
    "claude": Family(
        "us.anthropic.claude-haiku-4-5-20251001-v1:0",
        {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99, "messages": ASKED},
        CLAUDE,
        [
            {"type": "message_start", "message": {**CLAUDE, "content": [], "stop_reason": None}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "H"}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "i."}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 12}},
            {"type": "message_stop", **COUNTS},
        ],
    ),
    "nova": Family(
        "amazon.nova-lite-v1:0",
        {"messages": BLOCKS, "inferenceConfig": {"maxTokens": 99}},
        {
            "output": {"message": {"role": "assistant", "content": [{"text": "Hi."}]}},
            "stopReason": "end_turn",
            "usage": NOVA_USAGE,
        },
        [
            {"messageStart": {"role": "assistant"}},
            {"contentBlockDelta": {"delta": {"text": "H"}, "contentBlockIndex": 0}},
            {"contentBlockDelta": {"delta": {"text": "i."}, "contentBlockIndex": 0}},
            {"contentBlockStop": {"contentBlockIndex": 0}},
            {"messageStop": {"stopReason": "end_turn"}},
            {"metadata": {"usage": NOVA_USAGE, "metrics": {}, "trace": {}}, **COUNTS},
        ],
        {},
        "0.00000414",
    ),
    "titan": Family(
        "amazon.titan-text-express-v1",
        {"inputText": "What is a monad?", "textGenerationConfig": {"maxTokenCount": 99}},
        {
            "inputTextTokenCount": 21,
            "results": [{"tokenCount": 12, "outputText": "Hi.", "completionReason": "FINISH"}],
        },
        [
            {"outputText": "H", "index": 0, "totalOutputTextTokenCount": None, "completionReason": None},
            {
                "outputText": "i.",
                "index": 0,
                "totalOutputTextTokenCount": 12,
                "completionReason": "FINISH",
                "inputTextTokenCount": 21,
                **COUNTS,
            },
        ],
        {},
    ),
    "llama": Family(
        "us.meta.llama3-3-70b-instruct-v1:0",
        {"prompt": "What is a monad?", "max_gen_len": 99},
        {"generation": "Hi.", "prompt_token_count": 21, "generation_token_count": 12, "stop_reason": "stop"},
        [
            {"generation": "H", "prompt_token_count": 21, "generation_token_count": 1, "stop_reason": None},
            {"generation": "i.", "prompt_token_count": None, "generation_token_count": 2, "stop_reason": None},
            {
                "generation": "",
                "prompt_token_count": None,
                "generation_token_count": 12,
                "stop_reason": "stop",
                **COUNTS,
            },
        ],
        {},
        "0.00002376",
    ),
    "mistral": Family(
        "mistral.mistral-7b-instruct-v0:2",
        {"prompt": "<s>[INST] What is a monad? [/INST]", "max_tokens": 99},
        {"outputs": [{"text": "Hi.", "stop_reason": "stop"}]},
        [
            {"outputs": [{"text": "H", "stop_reason": None}]},
            {"outputs": [{"text": "i.", "stop_reason": "stop"}], **COUNTS},
        ],
        cost="0.00000555",
    ),
    "mistral, a chat": Family(
        "mistral.mistral-large-2407-v1:0",
        {"messages": ASKED, "max_tokens": 99},
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "stop_reason": "stop"}]},
        [
            {"choices": [{"index": 0, "message": {"role": "assistant", "content": "H"}, "stop_reason": None}]},
            {
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "i."}, "stop_reason": "stop"}],
                **COUNTS,
            },
        ],
    ),
    "a model that answers as OpenAI's": Family(
        "openai.gpt-oss-20b-1:0",
        {"model": "openai.gpt-oss-20b-1:0", "messages": ASKED, "max_completion_tokens": 99},
        {
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
            "model": "openai.gpt-oss-20b-1:0",
            "usage": {"prompt_tokens": 21, "completion_tokens": 12, "total_tokens": 33},
        },
        [
            {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "H"}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {"content": "i."}, "finish_reason": "stop"}]},
            {"choices": [], "usage": {"prompt_tokens": 21, "completion_tokens": 12, "total_tokens": 33}, **COUNTS},
        ],
    ),
    "cohere": Family(
        "cohere.command-r-plus-v1:0",
        {"message": "What is a monad?", "preamble": "Be terse.", "max_tokens": 99},
        {"response_id": "r", "generation_id": "g", "text": "Hi.", "finish_reason": "COMPLETE", "chat_history": []},
        [
            {"event_type": "text-generation", "text": "H", "is_finished": False},
            {"event_type": "text-generation", "text": "i.", "is_finished": False},
            {
                "event_type": "stream-end",
                "finish_reason": "COMPLETE",
                "is_finished": True,
                "response": {"generation_id": "g", "text": "Hi.", "finish_reason": "COMPLETE", "chat_history": []},
                **COUNTS,
            },
        ],
    ),
    "claude 2": Family(
        "anthropic.claude-v2:1",
        {"prompt": "\n\nHuman: What is a monad?", "max_tokens_to_sample": 99},
        {"type": "completion", "completion": "Hi.", "stop_reason": "stop_sequence", "stop": "\n\nHuman:"},
        [
            {"type": "completion", "completion": "H", "stop_reason": None, "stop": None},
            {"type": "completion", "completion": "i.", "stop_reason": None, "stop": None},
            {"type": "completion", "completion": "", "stop_reason": "stop_sequence", "stop": "\n\nHuman:", **COUNTS},
        ],
    ),
    "deepseek": Family(
        "us.deepseek.r1-v1:0",
        {"prompt": "What is a monad?", "max_tokens": 99},
        {"choices": [{"text": "Hi.", "stop_reason": "stop"}]},
        [
            {"choices": [{"index": 0, "text": "H", "stop_reason": None}]},
            {"choices": [{"index": 0, "text": "i.", "stop_reason": None}]},
            {"choices": [{"index": 0, "text": "", "stop_reason": "stop"}], **COUNTS},
        ],
    ),
    "command": Family(
        "cohere.command-text-v14",
        {"prompt": "What is a monad?", "max_tokens": 99, "num_generations": 1},
        {
            "generations": [{"finish_reason": "COMPLETE", "id": "g", "text": "Hi."}],
            "id": "r",
            "prompt": "What is a monad?",
        },
        [
            {"text": "H", "is_finished": False},
            {"text": "i.", "is_finished": False},
            {"is_finished": True, "finish_reason": "COMPLETE", **COUNTS},
        ],
    ),
}
families = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)


def invoke(client: Any, family: Family) -> dict[str, Any]:
    return dict(json.loads(client.invoke_model(modelId=family.model, body=json.dumps(family.body))["body"].read()))


def events(client: Any, family: Family) -> Iterator[dict[str, Any]]:
    response = client.invoke_model_with_response_stream(modelId=family.model, body=json.dumps(family.body))
    for event in response["body"]:
        yield json.loads(event["chunk"]["bytes"])


def the_entry() -> Any:
    table = nbcache.entries()
    assert len(table) == 1
    return table.iloc[0]


@families
def test_an_answer_is_kept_with_what_it_used(family: Family, wire: BedrockWire) -> None:
    wire.reply(family.answer, **family.headers)
    client = wire.client()
    assert invoke(client, family) == invoke(wire.client(), family) == family.answer
    assert len(wire.requests) == 1
    check(family)


@families
def test_a_stream_is_kept_with_what_it_used(family: Family, wire: BedrockWire) -> None:
    wire.stream_chunks(*family.events)
    client = wire.client()
    assert [*events(client, family)] == [*events(client, family)] == family.events
    assert len(wire.requests) == 1
    check(family)


def check(family: Family) -> None:
    row = the_entry()
    assert (row.model, row.provider, row.status) == (family.model, "aws", "ok")
    assert (row.input_tokens, row.output_tokens) == (21, 12)
    assert row.answer == "Hi."
    assert row.prompt.endswith(("What is a monad?", "[/INST]"))
    if family.cost is not None:
        assert row.cost_usd == Decimal(family.cost)


@families
def test_a_stream_without_its_end_is_not_kept(family: Family, wire: BedrockWire) -> None:
    wire.stream_chunks(*family.events[:-1])
    with pytest.warns(UserWarning, match="before it was complete"):
        assert [*events(wire.client(), family)] == family.events[:-1]
    assert nbcache.stats().entries == 0


def test_a_completion_of_jurassic_is_kept(wire: BedrockWire) -> None:
    reason = {"reason": "endoftext"}
    answer = {"id": 1, "prompt": {"text": "a"}, "completions": [{"data": {"text": "Hi."}, "finishReason": reason}]}
    family = Family("ai21.j2-ultra-v1", {"prompt": "What is a monad?", "maxTokens": 99}, answer)
    wire.reply(answer, **IN_HEADERS)
    assert invoke(wire.client(), family) == invoke(wire.client(), family) == answer
    assert len(wire.requests) == 1
    check(family)
    assert the_entry().cost_usd is None


@pytest.mark.parametrize(
    "answer",
    [
        {"completion": "Once", "stop_reason": "max_tokens"},
        {"generations": [{"text": "Once", "finish_reason": "MAX_TOKENS"}]},
        {"completions": [{"data": {"text": "Once"}, "finishReason": {"reason": "length"}}]},
        {"generation": "Once", "stop_reason": "length"},
        {"outputs": [{"text": "Once", "stop_reason": "length"}]},
        {"choices": [{"text": "Once", "stop_reason": "length"}]},
    ],
)
def test_a_text_that_was_cut_off_says_so(answer: dict[str, Any], wire: BedrockWire) -> None:
    wire.reply(answer)
    invoke(wire.client(), Family("vendor.model", {"prompt": "Once upon"}, answer))
    assert (the_entry().status, the_entry().answer) == ("cut off", "Once")


def test_a_stream_of_two_texts_is_whole_when_both_are(wire: BedrockWire) -> None:
    parts: list[dict[str, Any]] = [
        {"text": "one", "index": 0, "is_finished": False},
        {"index": 0, "is_finished": True, "finish_reason": "COMPLETE"},
        {"text": "two", "index": 1, "is_finished": False},
        {"index": 1, "is_finished": True, "finish_reason": "COMPLETE", **COUNTS},
    ]
    family = Family("cohere.command-text-v14", {"prompt": "a", "num_generations": 2}, {}, parts)
    wire.stream_chunks(*parts[:2])
    with pytest.warns(UserWarning, match="before it was complete"):
        [*events(wire.client(), family)]
    assert nbcache.stats().entries == 0
    wire.stream_chunks(*parts)
    assert [*events(wire.client(), family)] == [*events(wire.client(), family)] == parts
    assert "one" in nbcache.show(the_entry().key).answer
    assert "two" in nbcache.show(the_entry().key).answer


RANKED = {"results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]}
NOT_TEXT = {
    "a ranking of Cohere's": Family(
        "cohere.rerank-v3-5:0",
        {"query": "Which boat?", "documents": ["a", "b"], "top_n": 2, "api_version": 2},
        RANKED,
        headers={"x_amzn_bedrock_input_token_count": "21"},
    ),
    "a ranking of Amazon's": Family("amazon.rerank-v1:0", {"query": "Which boat?", "documents": ["a", "b"]}, RANKED),
    "an image of Nova Canvas": Family(
        "amazon.nova-canvas-v1:0",
        {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "A boat."}, "imageGenerationConfig": {"seed": 1}},
        {"images": ["aGkhaGkh"], "error": None},
    ),
    "a variation of Titan's": Family(
        "amazon.titan-image-generator-v2:0",
        {"taskType": "IMAGE_VARIATION", "imageVariationParams": {"text": "A boat.", "images": ["aGk="]}},
        {"images": ["aGkhaGkh"]},
    ),
    "an image of Stability's": Family(
        "stability.stable-image-core-v1:1",
        {"prompt": "A boat.", "aspect_ratio": "16:9"},
        {"images": ["aGkhaGkh"], "seeds": [7], "finish_reasons": [None]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("family", NOT_TEXT.values(), ids=NOT_TEXT)
def test_rankings_and_images_are_kept_without_a_price(family: Family, wire: BedrockWire) -> None:
    for answer in (family.answer, {**family.answer, "id": "another"}):
        wire.reply(answer, **family.headers)
    assert invoke(wire.client(), family) == invoke(wire.client(), family) == family.answer
    row = the_entry()
    assert (row.model, row.provider, row.status, row.cost_usd) == (family.model, "aws", "ok", None)
    assert row.answer == ("1: 0.9 0: 0.1" if "query" in family.body else "1 image, 6 B")
    assert "boat" in row.prompt
    assert nbcache.stats().unpriced_misses == 1
    changed = {**family.body, "another": 1}
    assert invoke(wire.client(), Family(family.model, changed, {}))["id"] == "another"


def test_images_of_which_one_was_refused_are_not_kept(wire: BedrockWire) -> None:
    family = NOT_TEXT["an image of Nova Canvas"]
    answers: list[dict[str, Any]] = [{"images": ["aGkh"], "error": "one was blocked"}, {"images": []}]
    for answer in answers:
        wire.reply(answer)
        assert invoke(wire.client(), family) == answer
    assert nbcache.stats().entries == 0


EMBEDDINGS = {
    "titan": Family(
        "amazon.titan-embed-text-v2:0",
        {"inputText": "a monad", "dimensions": 256},
        {"embedding": [0.5, 0.25], "embeddingsByType": {"float": [0.5, 0.25]}, "inputTextTokenCount": 21},
        headers={},
        cost="0.00000042",
    ),
    "titan, bits": Family(
        "amazon.titan-embed-text-v2:0",
        {"inputText": "a monad", "embeddingTypes": ["binary"]},
        {"embeddingsByType": {"binary": [1, 0]}, "inputTextTokenCount": 21},
        headers={},
        cost="0.00000042",
    ),
    "cohere": Family(
        "cohere.embed-english-v3",
        {"texts": ["a monad"], "input_type": "search_document"},
        {"embeddings": [[0.5, 0.25]], "id": "e", "response_type": "embeddings_floats", "texts": ["a monad"]},
        headers={"x_amzn_bedrock_input_token_count": "21"},
    ),
}


@pytest.mark.parametrize("family", EMBEDDINGS.values(), ids=EMBEDDINGS)
def test_embeddings_are_kept_with_what_they_used(family: Family, wire: BedrockWire) -> None:
    wire.reply(family.answer, **family.headers)
    assert invoke(wire.client(), family) == invoke(wire.client(), family) == family.answer
    row = the_entry()
    assert (row.answer, row.input_tokens, row.output_tokens) == ("1 vector of 2 numbers", 21, 0)
    assert row.cost_usd == (Decimal(family.cost) if family.cost else None)


UNKNOWN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a refused image": ({"prompt": "a cat"}, {"images": [""], "finish_reasons": ["Filter reason: prompt"]}),
    "a form of tomorrow": ({"messages": BLOCKS}, {"reply": "Hi."}),
    "an answer without a reason": ({"prompt": "a"}, {"outputs": [{"text": "Hi."}]}),
    "an error in a whole answer": ({"messages": BLOCKS}, {"error": {"message": "overloaded"}, "choices": []}),
    "a failed Titan": ({"inputText": "a"}, {"message": "no embedding"}),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_answer_in_another_form_is_the_callers_and_not_kept(name: str, wire: BedrockWire) -> None:
    body, answer = UNKNOWN[name]
    family = Family("vendor.model-v1:0", body, answer)
    for _ in range(2):
        wire.reply(answer)
        assert invoke(wire.client(), family) == answer
    assert (nbcache.stats().entries, len(wire.requests)) == (0, 2)


def test_a_request_in_another_form_passes_by(wire: BedrockWire) -> None:
    family = Family("amazon.nova-canvas-v1:0", {"taskType": "TEXT_IMAGE"}, {"images": ["aGk="]})
    for _ in range(2):
        wire.reply(family.answer)
        assert invoke(wire.client(), family) == family.answer
    assert (nbcache.stats().entries, len(wire.requests)) == (0, 2)


# What a call costs


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        ("anthropic.claude-haiku-4-5-20251001-v1:0", "0.0000891"),
        ("global.anthropic.claude-haiku-4-5-20251001-v1:0", "0.000081"),  # in any region: 10 % less
        ("eu.anthropic.claude-haiku-4-5-20251001-v1:0", "0.0000891"),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-haiku-4-5-20251001-v1:0", "0.0000891"),
        ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/x7", None),
        ("arn:aws:bedrock:us-east-1:123456789012:provisioned-model/x7", None),
    ],
)
def test_the_price_is_that_of_the_model_that_was_asked_for(model: str, cost: str | None, wire: BedrockWire) -> None:
    wire.reply(CLAUDE)
    invoke(wire.client(), Family(model, FAMILIES["claude"].body, CLAUDE))
    found = the_entry().cost_usd
    assert (None if found is None else str(found)) == cost
    assert nbcache.stats().unpriced_misses == (cost is None)


@pytest.mark.parametrize(
    "family", [FAMILIES["claude"], FAMILIES["nova"], FAMILIES["mistral"]], ids=["claude", "nova", "mistral"]
)
@pytest.mark.parametrize(
    ("name", "value", "is_priced"),
    [
        ("performanceconfig_latency", "standard", True),
        ("performanceconfig_latency", "optimized", False),
        ("service_tier", "default", True),
        ("service_tier", "reserved", False),
    ],
)
def test_an_answer_that_was_made_faster_or_in_another_tier_has_no_usual_price(
    name: str, value: str, is_priced: bool, family: Family, wire: BedrockWire
) -> None:
    wire.reply(family.answer, **family.headers, **{f"x_amzn_bedrock_{name}": value})
    invoke(wire.client(), family)
    assert (the_entry().cost_usd is not None) == is_priced
