"""The APIs of models: what their requests and responses say.

`endpoints.py` lists the endpoints whose calls are cached; `endpoint.py` says what is to be told of one. Each API has a
module: `openai.py`, `anthropic.py`, `google.py`, `ollama.py`, `cohere.py`, and `vectors.py` for answers that are no text.
`generations.py` is what their answers have in common. `framing.py` cuts a stream into parts, and `recorder.py` records one.
"""
