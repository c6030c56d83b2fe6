"""A pipe in which worker processes report their calls to the process that accounts for them.

A pool's workers are killed when the pool ends: what they keep in memory, or are about to write, is lost then. What is in
the pipe outlives its sender. Sending takes a few microseconds and waits for no lock.
"""

import contextlib
import logging
import os
import pickle
import select
import threading
import time
import weakref
from typing import Any, Protocol

from nbcache.concurrency.locks import Lock

logger = logging.getLogger("nbcache")
try:
    import fcntl
except ImportError:  # Windows, where a child process has none of its parent's files
    fcntl = None  # type: ignore[assignment]

_LENGTH = 4  # bytes in front of each message
_LONGEST = getattr(select, "PIPE_BUF", 0)  # bytes that are written whole, whoever else writes
_ROOM = 1 << 20  # bytes that the pipe should hold
_PATIENCE = 0.1  # seconds that a worker waits for room
_PAUSE = 0.001  # seconds between two tries
_SULK = 1.0  # seconds without waiting, after one wait in vain


class Receiver(Protocol):
    """The accounts of a session."""

    def receive(self, message: Any) -> None:
        """Account for what a worker has sent."""


class Sender:
    """The end of the pipe that a worker writes to."""

    def __init__(self, end: int) -> None:
        self.end: int | None = end
        self._impatient_until = 0.0

    def send(self, session: str, message: Any) -> bool:
        """Report to the session's process; false where that can't be, and the worker has to account for it itself."""
        data = pickle.dumps((session, message))
        data = len(data).to_bytes(_LENGTH, "big") + data
        if len(data) > _LONGEST:
            return False
        ends = time.monotonic() + _PATIENCE
        while self.end is not None:
            try:
                os.write(self.end, data)
            except BlockingIOError:  # it is full
                now = time.monotonic()
                if now > ends:
                    self._impatient_until = now + _SULK
                if now < self._impatient_until:
                    return False
                time.sleep(_PAUSE)
            except OSError:  # nobody reads it any more
                self.end = None
            else:
                return True
        return False


class Channel:
    """The pipe that this process reads, from the first child on."""

    def __init__(self) -> None:
        self.sender: Sender | None = None
        self._reader: int | None = None
        self._receivers: weakref.WeakValueDictionary[str, Receiver] = weakref.WeakValueDictionary()
        self._unread = bytearray()
        self._reading = Lock()
        self._thread: threading.Thread | None = None

    def connect(self, session: str, receiver: Receiver) -> None:
        """Hand messages of this session to `receiver` from now on, which is kept alive by others."""
        self._receivers[session] = receiver

    def open(self) -> Sender | None:
        """Make the pipe, where a session may have children; the end for them. None where there can't be one."""
        if self.sender is None and fcntl is not None and len(self._receivers):
            try:
                self._reader, writer = os.pipe()
            except OSError as error:  # no more files
                logger.debug("nbcache: no pipe for worker processes: %s", error)
                return None
            os.set_blocking(self._reader, False)
            os.set_blocking(writer, False)
            with contextlib.suppress(OSError, AttributeError):  # Linux's own, and within limits
                fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _ROOM)
            self.sender = Sender(writer)
        return self.sender

    def deliver(self) -> None:
        """Hand over what has come in."""
        if self._reader is not None:
            with self._reading:
                for session, message in self._messages():
                    if (receiver := self._receivers.get(session)) is not None:
                        receiver.receive(message)

    def listen(self) -> None:
        """Have a thread hand over what comes in. In a process without other threads `deliver` has to be called.

        Python warns of a fork beside threads: the first such thread is not to be ours.
        """
        is_heard = self._thread is not None and self._thread.is_alive()
        if self._reader is None or is_heard or threading.active_count() == 1:
            return
        self._thread = threading.Thread(target=self._run, args=(self._reader,), name="nbcache-workers", daemon=True)
        with contextlib.suppress(RuntimeError):  # no more threads, or the interpreter is ending
            self._thread.start()

    def begin_in_child(self) -> None:
        """A forked child reads nothing of its parent's, and has children of its own."""
        if self._reader is not None:
            os.close(self._reader)
        self.__init__()  # type: ignore[misc]  # it begins anew

    def _run(self, reader: int) -> None:
        with contextlib.suppress(OSError, ValueError):  # it was closed
            while True:
                select.select([reader], [], [])
                self.deliver()

    def _messages(self) -> list[tuple[str, Any]]:
        assert self._reader is not None
        with contextlib.suppress(BlockingIOError):
            while some := os.read(self._reader, _ROOM):
                self._unread += some
        messages, at = [], 0
        while len(self._unread) >= (begins := at + _LENGTH):
            ends = begins + int.from_bytes(self._unread[at:begins], "big")
            if len(self._unread) < ends:
                break
            messages.append(pickle.loads(self._unread[begins:ends]))  # noqa: S301 - of our own children alone
            at = ends
        del self._unread[:at]
        return messages


channel = Channel()
