"""The real clients of LangChain's providers, run twice, each time in a process of its own."""
