"""Long runs of letters, digits and the like in a text: where keys are, and hardly any words."""

from collections.abc import Iterator


class Signs:
    """Some ASCII signs, of which runs are looked for."""

    def __init__(self, others: str) -> None:
        """The letters, the digits and these `others`."""
        wanted = {*b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", *others.encode()}
        self._table = bytes(ord("a") if sign in wanted else ord(" ") for sign in range(256))

    def runs(self, text: str, length: int) -> Iterator[tuple[int, int]]:
        """Where each run of at least so many of them begins and ends: far quicker than by a regular expression."""
        flat = text.encode("latin-1", "replace").translate(self._table)  # a byte for each sign
        wanted = b"a" * length
        at = flat.find(wanted)
        while at >= 0:
            end = flat.find(b" ", at)
            end = end if end >= 0 else len(flat)
            yield at, end
            at = flat.find(wanted, end)
