"""Google, Groq, Mistral and Ollama."""

import base64
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from langchain_core.messages import HumanMessage

from tests.costs.generated import draws
from tests.costs.generated.bill import Bill
from tests.costs.generated.case import Case
from tests.servers import canned
from tests.servers.canned import Reply

_DATA = base64.b64encode(b"x").decode()
_GEMINI = {
    "gemini-2.5-flash": "gemini-2.5-flash",
    "gemini-2.5-pro": "gemini-2.5-pro",
    "gemini-3.1-pro-preview": "gemini-3.1-pro-preview",
    "gemini-3.8-flash": "gemini-3.8-flash",
    "gemini-99": None,
}
_PAINTERS = {"gemini-2.5-flash-image": "gemini-2.5-flash-image", "gemini-3-pro-image": "gemini-3-pro-image-preview"}
_TEXT: dict[str, Any] = {"text": "Hi."}
_IMAGE: dict[str, Any] = {"inlineData": {"mimeType": "image/png", "data": _DATA}}
_SEARCHED = {"groundingMetadata": {"webSearchQueries": ["x"], "groundingChunks": [], "groundingSupports": []}}


def _google_reply(
    model: str, parts: list[dict[str, Any]], usage: Mapping[str, Any], *, stream: bool, **more: Any
) -> Reply:
    def body(parts: list[dict[str, Any]], usage: Mapping[str, Any], **ending: Any) -> dict[str, Any]:
        candidate = {"content": {"role": "model", "parts": parts}, "index": 0, **ending}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model, "responseId": "r1"}

    ending = {"finishReason": "STOP", **more}
    if not stream:
        return canned.as_json(body(parts, usage, **ending))
    begun = {"promptTokenCount": usage["promptTokenCount"], "totalTokenCount": usage["promptTokenCount"]}
    return canned.as_events(body([], begun), body(parts, usage, **ending), done=False)


def _details(**counts: int) -> list[dict[str, Any]]:
    return [{"modality": name.upper(), "tokenCount": count} for name, count in counts.items() if count]


def gemini(draw: Random, number: int) -> Iterator[Case]:
    """Caches, thoughts and what tools gave to read; and searches, of which some are free each day."""
    for model, listed in _GEMINI.items():
        for stream in (False, True):
            for searched in (False, True):
                for _ in range(number * (1 if searched else 8)):
                    new, read, tool = draws.split(draw, draws.asked(draw), 3)
                    said, thought = draws.split(draw, draws.answered(draw), 2)
                    usage = {
                        "promptTokenCount": new + read,
                        "cachedContentTokenCount": read,
                        "candidatesTokenCount": said,
                        "thoughtsTokenCount": thought,
                        "toolUsePromptTokenCount": tool,
                        "totalTokenCount": new + read + tool + said + thought,
                    }
                    if not new + read:
                        continue
                    more = _SEARCHED if searched else {}
                    reply = _google_reply(model, [_TEXT], usage, stream=stream, **more)
                    tokens = {"input_mtok": new + tool, "cache_read_mtok": read, "output_mtok": said + thought}
                    bill = Bill("google", None if searched else listed, tokens)
                    yield Case("ChatGoogleGenerativeAI", model, stream, reply, bill)


def painted(draw: Random, number: int) -> Iterator[Case]:
    """Images, which are counted apart; LangChain drops the counts, and the answer tells."""
    for model, listed in _PAINTERS.items():
        for stream in (False, True):
            for _ in range(number * 8):
                asked, images = draws.asked(draw), draws.answered(draw)
                said = draw.choice((0, 0, 25))
                thought = draw.choice((0, 0, 64))
                usage = {
                    "promptTokenCount": asked,
                    "candidatesTokenCount": images + said,
                    "thoughtsTokenCount": thought,
                    "totalTokenCount": asked + images + said + thought,
                    "candidatesTokensDetails": _details(image=images, text=said),
                }
                parts = [_TEXT, _IMAGE] if said else [_IMAGE]
                reply = _google_reply(model, parts, usage, stream=stream)
                tokens = {"input_mtok": asked, "output_image_mtok": images, "output_mtok": said + thought}
                bill = Bill("google", listed, tokens)
                unclear = "text and images in one count" if said else ""
                yield Case("ChatGoogleGenerativeAI", model, stream, reply, bill, unclear=unclear)


def heard(draw: Random, number: int) -> Iterator[Case]:
    """Sound among what was asked, which costs more with some models."""
    sound = {"type": "media", "mime_type": "audio/wav", "data": _DATA}
    asked = [HumanMessage([{"type": "text", "text": "What is said?"}, sound])]
    for model in ("gemini-2.5-flash", "gemini-2.5-pro", "gemini-3.8-flash"):
        for stream in (False, True):
            for _ in range(number * 4):
                text, voice = draws.split(draw, draws.asked(draw), 2)
                said = draws.answered(draw)
                usage = {
                    "promptTokenCount": text + voice,
                    "candidatesTokenCount": said,
                    "totalTokenCount": text + voice + said,
                    "promptTokensDetails": _details(text=text, audio=voice),
                }
                tokens = {"input_mtok": text, "input_audio_mtok": voice, "output_mtok": said}
                reply = _google_reply(model, [_TEXT], usage, stream=stream)
                bill = Bill("google", model, tokens)
                unclear = "text and sound in one count" if model == "gemini-2.5-flash" else ""
                yield Case("ChatGoogleGenerativeAI", model, stream, reply, bill, prompt=asked, unclear=unclear)


def groq(draw: Random, number: int) -> Iterator[Case]:
    """Groq: its streams tell the usage in a place of their own."""
    for model in ("llama-3.3-70b-versatile", "openai/gpt-oss-120b", "qwen/qwen3-32b"):
        for stream in (False, True):
            for tier in ("on_demand", "flex"):
                for _ in range(number * 4):
                    new, read = draws.split(draw, draws.asked(draw), 2)
                    said, thought = draws.split(draw, draws.answered(draw), 2)
                    usage = {
                        "queue_time": 0.01,
                        "prompt_tokens": new + read,
                        "completion_tokens": said + thought,
                        "total_tokens": new + read + said + thought,
                        "prompt_tokens_details": {"cached_tokens": read},
                        "completion_tokens_details": {"reasoning_tokens": thought},
                    }
                    if stream:
                        reply = canned.chat_stream(model, None, last={"x_groq": {"id": "r", "usage": usage}})
                    else:
                        reply = canned.chat(model, usage, service_tier=tier)
                    tokens = {"input_mtok": new, "cache_read_mtok": read, "output_mtok": said + thought}
                    known = None if tier == "flex" else model
                    options = {"service_tier": tier}
                    unclear = "costs as much as usual, which isn't in the list" if tier == "flex" else ""
                    bill = Bill("groq", known, tokens)
                    yield Case("ChatGroq", model, stream, reply, bill, options=options, unclear=unclear)


def mistral(draw: Random, number: int) -> Iterator[Case]:
    """Mistral: LangChain drops what was cached, which its own report still tells, but of a stream nobody does."""
    models = {"mistral-large-2512": "mistral-large-2512", "mistral-medium-3-5": "mistral-medium-3-5"}
    for model, listed in models.items():
        for stream in (False, True):
            for _ in range(number * 8):
                new, read = draws.split(draw, draws.asked(draw), 2)
                if stream:
                    new, read = new + read, 0
                said = draws.answered(draw)
                usage = {
                    "prompt_tokens": new + read,
                    "completion_tokens": said,
                    "total_tokens": new + read + said,
                    "prompt_tokens_details": {"cached_tokens": read},
                }
                reply = canned.chat_stream(model, None, last={"usage": usage}) if stream else canned.chat(model, usage)
                tokens = {"input_mtok": new, "cache_read_mtok": read, "output_mtok": said}
                options = {"prompt_cache_key": "k"} if read else {}
                bill = Bill("mistral", listed, tokens)
                yield Case("ChatMistralAI", model, stream, reply, bill, options=options)


def ollama(draw: Random, number: int) -> Iterator[Case]:
    """Models on this machine, and those that are handed on."""
    for model in ("llama3.2", "gpt-oss:120b-cloud"):
        for stream in (False, True):
            for _ in range(number * 4):
                asked, said = draws.asked(draw), draws.answered(draw)
                reply = canned.ollama(model, chat=True, prompt_eval_count=asked, eval_count=said)
                tokens = {"input_mtok": asked, "output_mtok": said}
                bill = Bill("ollama", None, tokens, free=not model.endswith("-cloud"))
                yield Case("ChatOllama", model, stream, reply, bill)
