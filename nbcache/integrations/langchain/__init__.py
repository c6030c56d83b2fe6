"""LangChain's models, wrapped while the cache is on.

For one call: `models.py` wraps the entry points of LangChain's models. `stream_wrappers.py` wraps what makes chunks,
`recorded_stream.py` plays or records one stream, and `end_marks.py` says whether a stream came to its end.
`planned_calls.py` says how a call would be looked up, without making it.

`early_hits.py` answers hits before LangChain has done its work, where that is possible, and `early_streams.py` plays those of
`stream`. `chunk_listeners.py` says whether somebody listens to the chunks of a call.

Special cases: `models_with_cache_false.py` (models with `cache=False`), `overrides.py` (classes with entry points of their own),
`calls_past_langchain.py` (calls that reach the provider past the cache), `rate_limits.py` (a hit waits for no rate limiter),
`retries.py` (`with_retry` gets a new answer after a rejected one).
"""
