"""What is wrapped of LangChain while the cache is on."""
