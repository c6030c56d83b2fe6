"""Calls of a model that LangChain doesn't make: told by their HTTP request, whatever client or library sends it.

For one call: `http_hooks.py` gets the requests of all clients while the cache is on, and `clients.py` is `nbcache.wrap` for
a single one. `model_call.py` tells which requests are calls of a model, of the endpoints in `cached_endpoints.py`.
`caching_transport.py` looks them up, and `transport_identity.py` says what counts of a transport of the user's own.
`exchange.py` is one call: its key, and what is stored. `streamed_bodies.py` records and replays the bodies of responses,
`sse.py` has the events of a stream, and `body_to_generations.py` reads a whole body.
"""
