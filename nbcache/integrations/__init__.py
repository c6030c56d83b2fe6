"""What makes the calls of a library go through the cache. None imports another.

`langchain/` wraps LangChain's models, `http/` the clients of HTTP libraries, and so of SDKs, `embeddings/` LangChain's
`Embeddings`, `functions/` functions of the user's own. `patching.py` wraps methods of their classes, and puts them back.
"""
