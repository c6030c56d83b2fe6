"""Other caches' files."""
