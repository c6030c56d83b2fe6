"""The APIs of models: what their requests and responses say.

`endpoints.py` lists the endpoints whose calls are cached; `endpoint.py` says what is to be told of one. Each API has a
module: `openai.py`, `anthropic.py`, `google.py` with `google_predictions.py`, `ollama.py`, `cohere.py`, `huggingface.py`,
`bedrock.py` with `bedrock_models.py` and `bedrock_texts.py`, and for answers that are no text `vectors.py` and `media.py`.
`registered.py` has those that a user has registered. `generations.py` is what their answers have in common. `framing.py` cuts a stream into parts,
`recorder.py` records one, and `response.py` reads the answer in a response.
"""
