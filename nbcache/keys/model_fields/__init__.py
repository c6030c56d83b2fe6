"""The fields of a model that count."""
