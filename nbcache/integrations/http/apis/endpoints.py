"""The endpoints whose calls are cached."""

from nbcache.integrations.http.apis import (
    anthropic,
    bedrock,
    bedrock_models,
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
    *bedrock.ENDPOINTS,
    *bedrock_models.ENDPOINTS,
)
