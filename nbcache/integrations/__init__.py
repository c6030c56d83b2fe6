"""What makes the calls of a library go through the cache. None imports another.

`langchain/` wraps LangChain's models, `sdk/` the clients of the OpenAI and Anthropic SDKs, `embeddings/` LangChain's
`Embeddings`.
"""
