"""The APIs of models: what their requests and responses say.

`endpoints.py` lists the endpoints whose calls are cached. `event_streams.py` splits a stream into its events and joins them
to a whole body, and `generations.py` reads a whole body.
"""
