"""What OpenAI sends for an answer, and what langchain-openai makes of it."""

import base64
import random
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration

SNAPSHOT = "gpt-4o-mini-2024-07-18"


def reply(i: int, text: str) -> dict[str, Any]:
    """The body of OpenAI's chat completion that carries `text` as the answer of position `i`."""
    asked, answered = 150 + i % 400, len(text) // 4
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {
        "id": "chatcmpl-" + base64.b32encode(seeded(i).randbytes(18)).decode()[:29],
        "object": "chat.completion",
        "created": 1_730_000_000 + i,
        "model": SNAPSHOT,
        "choices": [choice],
        "usage": {
            "prompt_tokens": asked,
            "completion_tokens": answered,
            "total_tokens": asked + answered,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": "fp_0ba0d124f1",
    }


def generation(text: str, body: dict[str, Any], message_id: str) -> ChatGeneration:
    """The generation that langchain-openai makes of such a body; `workload.check_realism` compares them."""
    used = body["usage"]
    token_usage = {
        **{name: used[name] for name in ("completion_tokens", "prompt_tokens", "total_tokens")},
        "completion_tokens_details": {**used["completion_tokens_details"], "text_tokens": None},
        "prompt_tokens_details": {
            **used["prompt_tokens_details"],
            "cache_write_tokens": None,
            "image_tokens": None,
            "text_tokens": None,
        },
    }
    info = {"finish_reason": "stop", "logprobs": None}
    message = AIMessage(
        content=text,
        additional_kwargs={"refusal": None},
        response_metadata={
            "token_usage": token_usage,
            "model_provider": "openai",
            "model_name": body["model"],
            "system_fingerprint": body["system_fingerprint"],
            "id": body["id"],
            "service_tier": body["service_tier"],
            **info,
        },
        id=message_id,
        usage_metadata={
            "input_tokens": used["prompt_tokens"],
            "output_tokens": used["completion_tokens"],
            "total_tokens": used["total_tokens"],
            "input_token_details": {"audio": 0, "cache_read": 0},
            "output_token_details": {"audio": 0, "reasoning": 0},
        },
    )
    return ChatGeneration(message=message, generation_info=info)


def message_id(i: int) -> str:
    """An id as LangChain gives to a message."""
    digits = seeded(i + 1).randbytes(16).hex()
    return f"lc_run--{digits[:8]}-{digits[8:12]}-7{digits[13:16]}-{digits[16:20]}-{digits[20:]}-0"


def seeded(i: int) -> random.Random:
    """Chance that is the same in every run."""
    return random.Random(i)
