"""LangChain's `Embeddings`, cached text by text.

`wrapper.py` is `nbcache.wrap` for a model, and `vectors.py` packs vectors. The model's half of the key is in `keys`.
"""
