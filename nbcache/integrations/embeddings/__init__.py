"""LangChain's `Embeddings`, cached text by text."""
