"""The bench: that it measures all that it promises, and keeps it."""
