"""Calls of a model that LangChain doesn't make: told by their HTTP request, whatever client or library sends it.

For one call: `hooks.py` gets the requests of all clients while the cache is on, and `wrap_client.py` is `nbcache.wrap` for a
single one, an SDK's by `client_copies.py`. `httpx_transport.py`, `requests_adapter.py`, `aiohttp_middleware.py` and
`botocore_endpoint.py` look them up, each for its library, and `lm15_transport.py` for DSPy's: `call_of_request.py` is asked
for the call that a request makes (`http_request.py`), by the endpoints in `apis/` (`model_call.py`), and `exchange.py` is
that call: its key, and what is stored. `call_course.py` is its course, the same for every library. `uncached_requests.py`
names the other requests to a model's API, which are counted, and `unread_calls.py` the calls among them that can't be looked
up. `transport_identity.py` says what counts of a transport of the user's own. `recorded_bodies.py` records and replays the
bodies of responses, and `urllib_bodies.py` hands them to libraries over urllib3. `loop_connections.py` keeps the connections of
two event loops apart. `aws_in_replay.py` gives Bedrock's clients credentials and a region in mode `replay`.
"""
