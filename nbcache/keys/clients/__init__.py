"""The clients of a model."""
