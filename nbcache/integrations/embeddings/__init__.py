"""LangChain's `Embeddings`, cached text by text.

For one call: `wrapper.py` is `nbcache.wrap` for a model, `identity.py` is the model's half of the key, `vectors.py` packs vectors.
"""
