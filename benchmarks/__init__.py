"""nbcache beside what people use today, measured side by side: `python -m benchmarks` from the repository's root."""


class BenchError(Exception):
    """The bench would have reported a figure for something that did not happen."""
