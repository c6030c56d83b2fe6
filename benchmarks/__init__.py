"""nbcache beside what people use today, measured side by side: `python -m tests.bench` from the repository's root."""


class BenchError(Exception):
    """The bench would have reported a figure for something that did not happen."""
