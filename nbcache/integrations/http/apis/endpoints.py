"""The endpoints whose calls are cached."""

from nbcache.integrations.http.apis import anthropic, cohere, google, ollama, openai, vectors

# The first whose path and body fit.
ENDPOINTS = (
    *openai.ENDPOINTS,
    *anthropic.ENDPOINTS,
    *google.ENDPOINTS,
    *ollama.ENDPOINTS,
    *cohere.ENDPOINTS,
    *vectors.ENDPOINTS,
)
