"""Whatever makes calls tell the cache who they are."""
