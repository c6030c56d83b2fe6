"""The error for a value that has no digest, and no canonical form."""


class NotCanonicalError(TypeError):
    """A value that has no digest: only its memory address identifies it, or it is too large. `path` leads to it."""

    def __init__(self, what: str, path: str = "") -> None:
        super().__init__(f"{what} ({path})" if path else what)
        self.what = what
        self.path = path
