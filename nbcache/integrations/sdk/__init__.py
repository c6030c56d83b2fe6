"""The clients of the OpenAI and Anthropic SDKs, cached at their HTTP transport.

For one call: `clients.py` is `nbcache.wrap` for a client, `caching_transport.py` gets its requests, and
`transport_identity.py` says what counts of a transport of the user's own. `cached_endpoints.py` lists the endpoints
whose calls are cached, and `exchange.py` is one call: its key, and what is stored. `streamed_bodies.py` records
and replays the bodies of responses, `sse.py` has the events of a stream, and `body_to_generations.py` reads a whole body.
"""
