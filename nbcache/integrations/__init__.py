"""What makes the calls of a library go through the cache: `langchain/`, `sdk/`, `embeddings/`. None imports another."""
