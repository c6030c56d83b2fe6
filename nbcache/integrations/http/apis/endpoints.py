"""The endpoints whose calls are cached."""

from nbcache.integrations.http.apis import (
    anthropic,
    cohere,
    google,
    google_predictions,
    huggingface,
    media,
    ollama,
    openai,
    vectors,
)

# The first whose path and body fit.
ENDPOINTS = (
    *openai.ENDPOINTS,
    *anthropic.ENDPOINTS,
    *google.ENDPOINTS,
    *google_predictions.ENDPOINTS,
    *ollama.ENDPOINTS,
    *cohere.ENDPOINTS,
    *vectors.ENDPOINTS,
    *media.ENDPOINTS,
    *huggingface.ENDPOINTS,
)
