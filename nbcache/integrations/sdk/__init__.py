"""The clients of the OpenAI and Anthropic SDKs, cached at their HTTP transport."""
