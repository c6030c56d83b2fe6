"""The messages in which a worker process reports its calls to its parent: short, and without texts."""

from collections import OrderedDict
from typing import NamedTuple

from nbcache.codec.payload import PREAMBLE_LENGTH
from nbcache.concurrency.worker_pipe import Sender
from nbcache.costs.events import Hit, Paid, Unread
from nbcache.entry.records import CallRecord
from nbcache.errors import logger
from nbcache.stores.entry_costs import EntryCost, EntryCosts

_OPEN = 4_096  # calls of workers that are remembered until they are paid


class WorkerHit(NamedTuple):
    """A hit in a worker. Of the payload it has the preamble alone, and what the whole of it tells beside."""

    hit: Hit
    cost: EntryCost


Note = Hit | CallRecord | Paid | Unread
Message = WorkerHit | CallRecord | Paid


class Reporter:
    """In a worker process: reports its calls to the process of the session, if that can be reached."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._costs = EntryCosts()

    def report(self, session: str, note: Note) -> bool:
        """Report a call. Returns False if the worker has to account for it itself. Never raises."""
        try:
            return self._sender.send(session, self._message(note))
        except Exception as error:  # noqa: BLE001 - the user's call does not depend on it
            logger.debug("nbcache: a call could not be reported to the session's process: %s", error)
            return False

    def _message(self, note: Note) -> Message:
        if isinstance(note, Unread):
            note = note.read()
        if isinstance(note, Hit):
            cost = self._costs.of(note.key, note.payload)
            return WorkerHit(note._replace(payload=note.payload[:PREAMBLE_LENGTH]), cost)
        if isinstance(note, Paid):
            return note._replace(usage=note.whole_usage(), prompt="", answer="")
        return note


class Incoming:
    """Joins a worker's messages about the same call."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[float, str, str | None], CallRecord] = OrderedDict()

    def note(self, message: Message) -> Message:
        """The message to account for. An answer gets the record of its call, which came before."""
        if isinstance(message, CallRecord):
            self._open[_name(message)] = message
            while len(self._open) > _OPEN:
                self._open.popitem(last=False)
        elif isinstance(message, Paid):
            return message._replace(record=self._open.pop(_name(message.record), message.record))
        return message


def _name(record: CallRecord) -> tuple[float, str, str | None]:
    return record.when, record.model, record.key
