"""Finds long runs of letters, digits and the like in a text. Keys are in such runs, and hardly any words."""

from collections.abc import Iterator

_LETTERS_AND_DIGITS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class Characters:
    """A set of ASCII characters, and a search for runs of them."""

    def __init__(self, others: str) -> None:
        """The set has the ASCII letters, the digits and these `others`."""
        members = {*_LETTERS_AND_DIGITS, *others.encode()}
        self._table = bytes(ord("a") if byte in members else ord(" ") for byte in range(256))

    def runs(self, text: str, length: int) -> Iterator[tuple[int, int]]:
        """Yield the start and the end of each run of at least `length` characters.

        Each character becomes one byte: an `a` if it is in the set, or else a space. To find `aaa…` in bytes is far
        quicker than a regular expression.
        """
        flat = text.encode("latin-1", "replace").translate(self._table)
        wanted = b"a" * length
        start = flat.find(wanted)
        while start >= 0:
            end = flat.find(b" ", start)
            end = end if end >= 0 else len(flat)
            yield start, end
            start = flat.find(wanted, end)
