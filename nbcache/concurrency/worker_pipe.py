"""A pipe by which worker processes report their calls to the process that accounts for them.

A pool kills its workers when it ends, and what they have in memory is lost. What is in the pipe remains. Sending takes a few
microseconds and waits for no lock.
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
_LONGEST = getattr(select, "PIPE_BUF", 0)  # bytes that are written at once, even if other processes write
_CAPACITY = 1 << 20  # bytes of the pipe
_TIMEOUT = 0.1  # seconds that a worker waits for room in the pipe
_PAUSE = 0.001  # seconds between two tries
_NO_WAIT = 1.0  # seconds in which it doesn't wait again, after a timeout


class Receiver(Protocol):
    """The accounts of a session."""

    def receive(self, message: Any) -> None:
        """Account for what a worker has sent."""


class Sender:
    """The end of the pipe that a worker writes to."""

    def __init__(self, end: int) -> None:
        self.end: int | None = end
        self._no_wait_until = 0.0

    def send(self, session: str, message: Any) -> bool:
        """Send a message to the session's process. False if that fails: then the worker must account for the call itself."""
        content = pickle.dumps((session, message))
        data = len(content).to_bytes(_LENGTH, "big") + content
        if len(data) > _LONGEST:
            return False
        ends = time.monotonic() + _TIMEOUT
        while self.end is not None:
            try:
                os.write(self.end, data)
            except BlockingIOError:  # it is full
                now = time.monotonic()
                if now > ends:
                    self._no_wait_until = now + _NO_WAIT
                if now < self._no_wait_until:
                    return False
                time.sleep(_PAUSE)
            except OSError:  # the reading process has ended
                self.end = None
            else:
                return True
        return False


class Channel:
    """The pipe that this process reads. It is made when the first child starts."""

    def __init__(self) -> None:
        self.sender: Sender | None = None
        self._reader: int | None = None
        self._receivers: weakref.WeakValueDictionary[str, Receiver] = weakref.WeakValueDictionary()
        self._unread = bytearray()
        self._reading = Lock()
        self._thread: threading.Thread | None = None

    def connect(self, session: str, receiver: Receiver) -> None:
        """Pass messages of this session to `receiver`, of which only a weak reference is kept."""
        self._receivers[session] = receiver

    def open(self) -> Sender | None:
        """The end of the pipe for child processes, which is made at the first call. None if there is no session, or no pipe can be made."""
        if self.sender is None and fcntl is not None and len(self._receivers):
            try:
                self._reader, writer = os.pipe()
            except OSError as error:  # too many open files
                logger.debug("nbcache: no pipe for worker processes: %s", error)
                return None
            os.set_blocking(self._reader, False)
            os.set_blocking(writer, False)
            with contextlib.suppress(OSError, AttributeError):  # only Linux has it, and it may refuse
                fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _CAPACITY)
            self.sender = Sender(writer)
        return self.sender

    def deliver(self) -> None:
        """Pass the messages that have arrived to their receivers."""
        if self._reader is not None:
            with self._reading:
                for session, message in self._messages():
                    if (receiver := self._receivers.get(session)) is not None:
                        receiver.receive(message)

    def listen(self) -> None:
        """Start a thread that delivers messages. In a process without other threads it is not started: call `deliver`.

        Python warns of a fork in a process with threads, and nbcache must not be the reason for it.
        """
        is_listening = self._thread is not None and self._thread.is_alive()
        if self._reader is None or is_listening or threading.active_count() == 1:
            return
        self._thread = threading.Thread(target=self._run, args=(self._reader,), name="nbcache-workers", daemon=True)
        with contextlib.suppress(RuntimeError):  # no more threads, or the interpreter is ending
            self._thread.start()

    def begin_in_child(self) -> None:
        """Start again in a forked child, which has its own children and does not read its parent's pipe."""
        if self._reader is not None:
            os.close(self._reader)
        self.__init__()  # type: ignore[misc]

    def _run(self, reader: int) -> None:
        with contextlib.suppress(OSError, ValueError):  # it was closed
            while True:
                select.select([reader], [], [])
                self.deliver()

    def _messages(self) -> list[tuple[str, Any]]:
        assert self._reader is not None
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._reader, _CAPACITY):
                self._unread += chunk
        messages, at = [], 0
        while len(self._unread) >= (start := at + _LENGTH):
            end = start + int.from_bytes(self._unread[at:start], "big")
            if len(self._unread) < end:
                break
            messages.append(pickle.loads(self._unread[start:end]))  # noqa: S301 - only our own children write to it
            at = end
        del self._unread[:at]
        return messages


channel = Channel()
