"""What can't change an answer, and so doesn't count in a key. Everything else counts.

`langchain_parameters.py` lists the parameters of models and options of calls, `request_fields.py` the fields of a request's
body, `headers_and_query.py` the headers, each for what nbcache ignores by itself. `user_setting.py` holds what the user adds by
`%config NBCache.ignore`, and `run_ids.py` recognises values that are new in each run, to advise it.
"""
