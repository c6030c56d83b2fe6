"""Records a stream while its reader takes it."""

from collections import deque

from nbcache.integrations.http.apis.framing import End, Framing


class Recorder:
    """Records a stream up to its end. Nothing is delayed: the part of an event that has come is passed on at once."""

    def __init__(self, framing: Framing, end: End) -> None:
        self.recorded = bytearray()
        self.ended = False
        self._framing, self._end = framing, end
        self._answered = False  # whether the part has come with which the answer is whole
        self._incomplete = bytearray()  # the part that has not come whole
        self._waiting: deque[tuple[bytes, bool, bool]] = (
            deque()
        )  # pieces, and whether each is the end, or the one before
        self.at_closing = False  # whether the reader has the part that only the formal end follows

    def feed(self, chunk: bytes) -> None:
        """Add a chunk that has come."""
        passed = len(self._incomplete)
        begin, searched = 0, passed
        self._incomplete += chunk
        while (end := self._framing.end_of_part(self._incomplete, begin, searched)) is not None:
            part, closing = self._incomplete[begin:end], self._end.closing
            is_end = self._end.is_in(part, self._framing)
            is_closing = closing is not None and closing.is_in(part, self._framing)
            self._waiting.append((bytes(self._incomplete[passed:end]), is_end, is_closing))
            begin = passed = searched = end
        if passed < len(self._incomplete):
            self._waiting.append((bytes(self._incomplete[passed:]), False, False))
        del self._incomplete[:begin]

    def take(self) -> bytes | None:
        """The next piece. None if nothing more has come. `ended` is set with the last part of the answer."""
        if not self._waiting:
            return None
        piece, is_end, is_closing = self._waiting.popleft()
        self.at_closing = is_closing and not self.ended  # some servers say twice why the model stopped
        if not self.ended:
            self.recorded += piece
            self._answered = self._answered or is_end
            self.ended = self._answered and not self._end.waits
        return piece

    @property
    def end_has_come(self) -> bool:
        """Whether the end waits to be taken."""
        return any(is_end for _, is_end, _ in self._waiting)

    def complete(self) -> None:
        """Record what waits up to the end, which has come: the reader may leave before it takes that."""
        for piece, is_end, _ in self._waiting:
            self.recorded += piece
            if is_end:
                break
        self.ended = True

    def close(self) -> None:
        """No more will come. `ended` is set if the answer is whole."""
        if self._incomplete and self._end.is_in(self._incomplete, self._framing):  # a last line without its break
            self._answered = True
        self.ended = self.ended or self._answered or self._end.is_unmarked
