"""A user's script for each client: nothing in them knows of the cache. `connect` is told where the provider is."""
