"""What the providers answer to requests for embeddings. Cohere's are in `provider_cohere.py`."""

from typing import Any

from tests.servers.embedder import sent_vector, vector_of
from tests.servers.provider_asked import Request


def openai(request: Request) -> dict[str, Any]:
    """OpenAI's, and Mistral's."""
    body = request.body
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    data = [{"object": "embedding", "index": i, "embedding": sent_vector(body, text)} for i, text in enumerate(texts)]
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts), "completion_tokens": 0}
    return {"id": f"embd-{request.number}", "object": "list", "model": request.model, "data": data, "usage": usage}


def google(request: Request) -> dict[str, Any]:
    """Google's: one, or a batch."""
    asked = request.body.get("requests") or [request.body]
    texts = ["".join(part["text"] for part in each["content"]["parts"]) for each in asked]
    vectors = [{"values": vector_of(text, request.model)} for text in texts]
    return {"embeddings": vectors} if "requests" in request.body else {"embedding": vectors[0]}


def ollama(request: Request) -> dict[str, Any]:
    """Ollama's."""
    texts = request.body["input"] if isinstance(request.body["input"], list) else [request.body["input"]]
    vectors = [vector_of(text, request.model) for text in texts]
    return {"model": request.model, "embeddings": vectors, "total_duration": 1, "prompt_eval_count": len(texts)}
