"""Recorded answers as files: cassettes, import and export."""
