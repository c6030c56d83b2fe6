"""The requests that the classes of providers build."""
