"""What can't change an answer, and so doesn't count in a key. Everything else counts.

`parameters.py` lists the parameters of models and options of calls, `body_fields.py` the fields of a request's body,
`headers.py` the headers, each for what nbcache ignores by itself. `user_setting.py` holds what the user adds by
`%config NBCache.ignore`, and `run_ids.py` recognises values that are new in each run, to advise it.
"""
