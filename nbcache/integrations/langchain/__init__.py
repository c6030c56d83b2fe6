"""LangChain's models, wrapped while the cache is on."""
