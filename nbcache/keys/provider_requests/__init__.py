"""The requests that the classes of LangChain's providers build, before anything is sent.

`provider_families.py` lists which classes can build theirs, and how. `request_parts.py` splits a request into the prompt and
the settings. `message_parts.py` remembers what single messages become there. `rebuilt_models.py` makes a model from settings that were written down.
"""
