"""Calls of a model that LangChain doesn't make: told by their HTTP request, whatever client or library sends it.

For one call: `httpx_hooks.py` gets the requests of all of httpx's clients while the cache is on, and `wrap_client.py` is
`nbcache.wrap` for a single one. `model_call.py` tells which requests are calls of a model, by the endpoints in `apis/`.
`httpx_transport.py` looks them up, and `transport_identity.py` says what counts of a transport of the user's own.
`exchange.py` is one call: its key, and what is stored. `httpx_bodies.py` records and replays the bodies of responses.
"""
