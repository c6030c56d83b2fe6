"""The requests that the classes of LangChain's providers build, before anything is sent.

`provider_families.py` lists which classes can build theirs, and how. `request_parts.py` splits a request into the prompt and
the settings. `rebuilt_models.py` makes a model from settings that were written down.
"""
