"""Requests of every known API, with fields that its documentation names, and requests that differ from them in one field."""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_TEXT: Any = [{"role": "user", "content": "What is a monad?"}]
_TOOL: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
_BEDROCK = "https://bedrock-runtime.us-east-1.amazonaws.com/model/mine"
_PARTS: Any = [{"role": "user", "parts": [{"text": "What is a monad?"}]}]
_OLLAMA: dict[str, Any] = {
    "options": [{"temperature": 0.5, "num_ctx": 10}, {"temperature": 0.5, "num_ctx": 20}],
    "format": ["json", {"type": "object"}],
    "think": [True, "low"],
}
_GOOGLE: dict[str, Any] = {
    "systemInstruction": [{"parts": [{"text": "a"}]}, {"parts": [{"text": "b"}]}],
    "generationConfig": [
        {"temperature": 0.5},
        {"temperature": 0.6},
        {"maxOutputTokens": 5},
        {"maxOutputTokens": 6},
        {"thinkingConfig": {"thinkingBudget": 0}},
        {"thinkingConfig": {"thinkingBudget": 1}},
        {"responseSchema": {"type": "STRING"}},
        {"responseModalities": ["IMAGE"]},
        {"responseModalities": ["TEXT", "IMAGE"]},
    ],
    "tools": [[{"googleSearch": {}}], [{"codeExecution": {}}]],
    "toolConfig": [{"functionCallingConfig": {"mode": "ANY"}}, {"functionCallingConfig": {"mode": "NONE"}}],
    "safetySettings": [[{"category": "A", "threshold": "B"}], [{"category": "A", "threshold": "C"}]],
    "cachedContent": ["cachedContents/1", "cachedContents/2"],
}


@dataclass(frozen=True)
class Documented:
    """One endpoint: a request, and for each further field that it takes two or more values."""

    url: str
    body: dict[str, Any]
    fields: dict[str, list[Any]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def bodies(self) -> Iterator[dict[str, Any]]:
        """Bodies that differ from `body`, and from one another, in one field."""
        seen = {json.dumps(self.body)}
        for body in [*self._with_fields(), *_changed(self.body), *self._with_unknown()]:
            written = json.dumps(body)
            if written not in seen:
                seen.add(written)
                yield body

    def _with_fields(self) -> Iterator[dict[str, Any]]:
        for name, values in self.fields.items():
            for value in values:
                yield {**self.body, name: value}
                yield from ({**self.body, name: changed} for changed in _changed(value))

    def _with_unknown(self) -> Iterator[dict[str, Any]]:
        for number in range(20):
            for value in (1, 1.0, True, False, "1", "", None, [1], {"a": 1}, {"a": None}):
                yield {**self.body, f"of_tomorrow_{number}": value}


_OTHERS: tuple[Any, ...] = (0, 0.0, 1, 1.0, True, False, "1", "true", "another", [], {}, None, [None], 10**30)


def _changed(value: Any) -> Iterator[Any]:
    """`value` with one part of it changed: another value or type, an item more, less or elsewhere, an unknown field."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield {other: each for other, each in value.items() if other != name}
            yield from ({**value, name: changed} for changed in _changed(item))
        yield from ({**value, "of_tomorrow": each} for each in _OTHERS)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield value[:i] + value[i + 1 :]
            yield from ([*value[:i], changed, *value[i + 1 :]] for changed in _changed(item))
        yield [*value, *value]
        yield value[::-1]
        yield [*value, None]
    else:
        yield from copy.deepcopy(_OTHERS)


_OPENAI = "https://api.openai.com/v1"
_GEMINI = "https://generativelanguage.googleapis.com/v1beta/models"
_VERTEX = "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/publishers"
REQUESTS: dict[str, Documented] = {
    "OpenAI's chat": Documented(
        f"{_OPENAI}/chat/completions",
        {"model": "gpt-4o-mini", "messages": _TEXT},
        {
            "temperature": [0.5, 2],
            "tools": [[_TOOL], [_TOOL, {**_TOOL, "type": "custom"}]],
            "response_format": [{"type": "json_object"}, {"type": "text"}],
            "logit_bias": [{"50256": -100}, {"50257": -100}],
            "stop": ["a", ["a"], ["a", "b"]],
            "reasoning_effort": ["low", "high"],
            "audio": [{"voice": "alloy", "format": "mp3"}, {"voice": "echo", "format": "mp3"}],
            "service_tier": ["flex", "priority"],
            "store": [True, False],
        },
    ),
    "a deployment at Azure": Documented(
        "https://a.openai.azure.com/openai/deployments/mine/chat/completions?api-version=2024-10-21",
        {"messages": _TEXT},
        {"temperature": [0.5, 2], "data_sources": [[{"type": "azure_search"}], [{"type": "azure_cosmos_db"}]]},
    ),
    "OpenAI's completions": Documented(
        f"{_OPENAI}/completions",
        {"model": "m", "prompt": "Once"},
        {"echo": [True, False], "logprobs": [1, 2], "suffix": ["a", "b"], "prompt": [["Once"], [1, 2], [[1, 2]]]},
    ),
    "OpenAI's responses": Documented(
        f"{_OPENAI}/responses",
        {"model": "m", "input": _TEXT, "instructions": "Be terse."},
        {
            "previous_response_id": ["resp_1", "resp_2"],
            "reasoning": [{"effort": "low"}, {"effort": "high"}],
            "text": [{"verbosity": "low"}, {"format": {"type": "json_object"}}],
            "include": [["reasoning.encrypted_content"], ["message.output_text.logprobs"]],
            "truncation": ["auto", "disabled"],
        },
    ),
    "OpenAI's embeddings": Documented(
        f"{_OPENAI}/embeddings",
        {"model": "text-embedding-3-small", "input": ["a", "b"]},
        {"dimensions": [256, 512], "encoding_format": ["float", "base64"], "input": ["a", [1, 2], [[1], [2]]]},
    ),
    "OpenAI's moderations": Documented(f"{_OPENAI}/moderations", {"model": "m", "input": ["a", "b"]}),
    "Mistral's code": Documented(
        "https://api.mistral.ai/v1/fim/completions",
        {"model": "codestral-latest", "prompt": "def f", "suffix": "return"},
        {"min_tokens": [1, 2], "random_seed": [1, 2]},
    ),
    "Mistral's agents": Documented(
        "https://api.mistral.ai/v1/agents/completions", {"agent_id": "a", "messages": _TEXT}, {"n": [1, 2]}
    ),
    "Anthropic's messages": Documented(
        "https://api.anthropic.com/v1/messages",
        {"model": "claude", "max_tokens": 9, "messages": _TEXT, "system": "Be terse."},
        {
            "thinking": [{"type": "enabled", "budget_tokens": 1024}, {"type": "disabled"}],
            "tools": [[{"name": "f", "input_schema": {}}], [{"name": "g", "input_schema": {}}]],
            "mcp_servers": [
                [{"type": "url", "url": "https://a.example"}],
                [{"type": "url", "url": "https://b.example"}],
            ],
            "container": ["c1", "c2"],
            "service_tier": ["auto", "standard_only"],
        },
        {"anthropic-version": "2023-06-01", "anthropic-beta": "a"},
    ),
    "Gemini": Documented(f"{_GEMINI}/gemini-2.5-flash:generateContent", {"contents": _PARTS}, _GOOGLE),
    "Gemini, streamed": Documented(
        f"{_GEMINI}/gemini-2.5-flash:streamGenerateContent?alt=sse", {"contents": _PARTS}, _GOOGLE
    ),
    "Gemini's embeddings": Documented(
        f"{_GEMINI}/gemini-embedding-001:embedContent",
        {"model": "models/gemini-embedding-001", "content": _PARTS[0]},
        {"taskType": ["RETRIEVAL_QUERY", "CLUSTERING"], "outputDimensionality": [256, 512]},
    ),
    "Gemini's embeddings of several texts": Documented(
        f"{_GEMINI}/gemini-embedding-001:batchEmbedContents",
        {"requests": [{"model": "models/gemini-embedding-001", "content": _PARTS[0], "outputDimensionality": 256}]},
    ),
    "Vertex's embeddings": Documented(
        f"{_VERTEX}/google/models/gemini-embedding-001:predict",
        {"instances": [{"content": "a", "task_type": "CLUSTERING"}]},
        {"parameters": [{"outputDimensionality": 256}, {"autoTruncate": False}]},
    ),
    "Ollama's chat": Documented("http://localhost:11434/api/chat", {"model": "m", "messages": _TEXT}, _OLLAMA),
    "Ollama's texts": Documented(
        "http://localhost:11434/api/generate", {"model": "m", "prompt": "Once", "system": "Be terse."}, _OLLAMA
    ),
    "Ollama's embeddings": Documented(
        "http://localhost:11434/api/embed", {"model": "m", "input": ["a", "b"]}, {"truncate": [True, False]}
    ),
    "Ollama's embeddings of old": Documented("http://localhost:11434/api/embeddings", {"model": "m", "prompt": "a"}),
    "Cohere's chat": Documented(
        "https://api.cohere.com/v2/chat",
        {"model": "command-a", "messages": _TEXT},
        {"documents": [["a"], [{"data": {"t": "a"}}]], "citation_options": [{"mode": "FAST"}, {"mode": "OFF"}]},
    ),
    "Cohere's first chat": Documented(
        "https://api.cohere.com/v1/chat",
        {"message": "hi", "preamble": "Be terse.", "chat_history": [{"role": "USER", "message": "a"}]},
        {"connectors": [[{"id": "web-search"}], [{"id": "mine"}]]},
    ),
    "Cohere's embeddings": Documented(
        "https://api.cohere.com/v2/embed",
        {"model": "embed-v4.0", "input_type": "search_query", "texts": ["a", "b"], "embedding_types": ["float"]},
    ),
    "Cohere's first embeddings": Documented("https://api.cohere.com/v1/embed", {"texts": ["a", "b"], "model": "m"}),
    "Cohere's ranking": Documented(
        "https://api.cohere.com/v2/rerank", {"model": "m", "query": "q", "documents": ["a", "b"]}, {"top_n": [1, 2]}
    ),
    "Voyage's embeddings": Documented(
        "https://api.voyageai.com/v1/embeddings", {"model": "voyage-3", "input": ["a", "b"], "input_type": "query"}
    ),
    "Jina's embeddings": Documented(
        "https://api.jina.ai/v1/embeddings",
        {"model": "jina-embeddings-v4", "input": [{"text": "a"}, {"image": "https://a.example/i.png"}]},
        {"task": ["retrieval.query", "text-matching"], "late_chunking": [True, False]},
    ),
    "Voyage's embeddings of pictures": Documented(
        "https://api.voyageai.com/v1/multimodalembeddings",
        {"model": "voyage-multimodal-3", "inputs": [{"content": [{"type": "text", "text": "a"}]}]},
    ),
    "Voyage's embeddings in context": Documented(
        "https://api.voyageai.com/v1/contextualizedembeddings",
        {"model": "voyage-context-3", "inputs": [["a", "b"], ["c"]], "input_type": "document"},
    ),
    "OpenAI's images": Documented(
        f"{_OPENAI}/images/generations",
        {"model": "gpt-image-1", "prompt": "A cat.", "size": "1024x1024"},
        {"quality": ["low", "high"], "background": ["transparent", "opaque"], "n": [2, 3], "output_format": ["webp"]},
    ),
    "images of a deployment at Azure": Documented(
        "https://a.openai.azure.com/openai/deployments/mine/images/generations?api-version=2024-10-21",
        {"prompt": "A cat."},
        {"style": ["vivid", "natural"]},
    ),
    "OpenAI's speech": Documented(
        f"{_OPENAI}/audio/speech",
        {"model": "gpt-4o-mini-tts", "input": "Hello!", "voice": "alloy", "instructions": "Slowly."},
        {"speed": [0.5, 2], "response_format": ["mp3", "wav"], "stream_format": ["sse", "audio"]},
    ),
    "Gemini, streamed as an array": Documented(
        f"{_GEMINI}/gemini-2.5-flash:streamGenerateContent", {"contents": _PARTS}, _GOOGLE
    ),
    "Imagen": Documented(
        f"{_GEMINI}/imagen-4.0-generate-001:predict",
        {"instances": [{"prompt": "A cat."}]},
        {"parameters": [{"sampleCount": 1}, {"sampleCount": 2}, {"aspectRatio": "1:1"}, {"seed": 1}]},
    ),
    "Claude at Vertex": Documented(
        f"{_VERTEX}/anthropic/models/claude-sonnet-4-5@20250929:rawPredict",
        {"anthropic_version": "vertex-2023-10-16", "max_tokens": 9, "messages": _TEXT, "system": "Be terse."},
        {"thinking": [{"type": "enabled", "budget_tokens": 1024}], "anthropic_beta": [["a"], ["b"]]},
    ),
    "Claude at Vertex, streamed": Documented(
        f"{_VERTEX}/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict",
        {"anthropic_version": "vertex-2023-10-16", "max_tokens": 9, "messages": _TEXT},
    ),
    "Mistral at Vertex": Documented(
        f"{_VERTEX}/mistralai/models/mistral-large-2411:rawPredict",
        {"model": "mistral-large-2411", "messages": _TEXT},
    ),
    "Hugging Face's server": Documented(
        "http://localhost:3000/generate",
        {"inputs": "Once"},
        {"parameters": [{"max_new_tokens": 5}, {"max_new_tokens": 6}, {"seed": 1}, {"grammar": {"type": "json"}}]},
    ),
    "Hugging Face's server, streamed": Documented(
        "http://localhost:3000/generate_stream", {"inputs": "Once", "parameters": {"details": True}}
    ),
    "Hugging Face's features": Documented(
        "https://router.huggingface.co/hf-inference/models/BAAI/bge-small-en/pipeline/feature-extraction",
        {"inputs": ["a", "b"], "parameters": {"normalize": True}},
    ),
    "Hugging Face's similarity": Documented(
        "https://router.huggingface.co/hf-inference/models/BAAI/bge-small-en/pipeline/sentence-similarity",
        {"inputs": {"source_sentence": "a", "sentences": ["b", "c"]}},
    ),
    "a model at Hugging Face": Documented(
        "https://router.huggingface.co/hf-inference/models/black-forest/flux-schnell",
        {"inputs": "A cat."},
        {"parameters": [{"seed": 1}, {"seed": 2}, {"width": 10}]},
    ),
    "Bedrock's Converse": Documented(
        f"{_BEDROCK}/converse",
        {"messages": [{"role": "user", "content": [{"text": "What is a monad?"}]}], "system": [{"text": "Be terse."}]},
        {
            "inferenceConfig": [{"maxTokens": 9}, {"maxTokens": 10}, {"temperature": 0.5}],
            "toolConfig": [{"tools": [{"toolSpec": {"name": "f"}}]}, {"tools": [{"toolSpec": {"name": "g"}}]}],
            "additionalModelRequestFields": [{"top_k": 1}, {"top_k": 2}],
            "guardrailConfig": [{"guardrailIdentifier": "g", "guardrailVersion": "1"}],
            "performanceConfig": [{"latency": "standard"}, {"latency": "optimized"}],
        },
    ),
    "Claude at Bedrock": Documented(
        f"{_BEDROCK}/invoke",
        {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": _TEXT, "system": "Be terse."},
        {"thinking": [{"type": "enabled", "budget_tokens": 1024}], "anthropic_beta": [["a"], ["b"]]},
    ),
    "Claude at Bedrock, streamed": Documented(
        f"{_BEDROCK}/invoke-with-response-stream",
        {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": _TEXT},
    ),
    "Llama at Bedrock": Documented(f"{_BEDROCK}/invoke", {"prompt": "Once", "max_gen_len": 9, "temperature": 0.5}),
    "Titan at Bedrock": Documented(
        f"{_BEDROCK}/invoke", {"inputText": "Once", "textGenerationConfig": {"maxTokenCount": 9}}
    ),
    "Claude 2 at Bedrock": Documented(
        f"{_BEDROCK}/invoke",
        {"prompt": "\n\nHuman: Once", "max_tokens_to_sample": 9},
        {"stop_sequences": [["a"], ["b"]], "top_k": [1, 2], "top_p": [0.1, 0.2]},
    ),
    "Command at Bedrock": Documented(
        f"{_BEDROCK}/invoke", {"prompt": "Once", "max_tokens": 9}, {"num_generations": [1, 2], "k": [1, 2]}
    ),
    "Jurassic at Bedrock": Documented(
        f"{_BEDROCK}/invoke", {"prompt": "Once", "maxTokens": 9}, {"countPenalty": [{"scale": 1}, {"scale": 2}]}
    ),
    "a ranking at Bedrock": Documented(
        f"{_BEDROCK}/invoke", {"query": "Once", "documents": ["a", "b"]}, {"top_n": [1, 2], "api_version": [1, 2]}
    ),
    "Nova Canvas at Bedrock": Documented(
        f"{_BEDROCK}/invoke",
        {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "A boat.", "negativeText": "rain"}},
        {"imageGenerationConfig": [{"seed": 1}, {"seed": 2}, {"quality": "premium"}]},
    ),
    "Cohere's embeddings at Bedrock": Documented(
        f"{_BEDROCK}/invoke", {"texts": ["a", "b"], "input_type": "search_document"}, {"truncate": ["END", "NONE"]}
    ),
}
