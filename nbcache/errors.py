"""What can go wrong, and the one way in which it is said."""

import contextlib
import logging
import re
import warnings
from collections.abc import Sequence
from typing import Any

from nbcache import public_in

logger = logging.getLogger("nbcache")
# Control characters but for tabs and ends of lines, what turns the order in which letters are shown, and halves of a
# character, which no terminal's encoding has.
_DRIVES = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def harmless(text: str) -> str:
    """`text` with what drives a terminal written out: an answer may say anything."""
    return _DRIVES.sub(lambda match: match[0].encode("unicode_escape").decode(), text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """The same of a name, with its ends of lines and tabs: none can look like a line of ours."""
    return harmless(text.replace("\r\n", "\n")).replace("\n", "\\n").replace("\t", "\\t")


def _harmless(record: logging.LogRecord) -> bool:
    """Let no line of the log drive a terminal."""
    with contextlib.suppress(Exception):  # a wrong format: the handler says so
        record.msg, record.args = harmless(record.getMessage()), ()
    return True


logger.addFilter(_harmless)


@public_in("nbcache")
class NbcacheError(Exception):
    """The root of every error that nbcache raises."""

    def __str__(self) -> str:
        return harmless(super().__str__())


@public_in("nbcache")
class NotInstalledError(NbcacheError, RuntimeError):
    """Asked for the running cache while none is on."""


@public_in("nbcache")
class UnknownKeyError(NbcacheError, LookupError):
    """No entry has this key."""


@public_in("nbcache")
class AmbiguousKeyError(NbcacheError, ValueError):
    """Several entries have a key that begins like this. `candidates` are their whole keys."""

    def __init__(self, message: str, candidates: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.candidates = list(candidates)


@public_in("nbcache")
class UnstableIdentityError(NbcacheError):
    """A call whose identity can't be established: it must not be cached.

    `cause` names the class and parameter, so that one cause is warned of once.
    """

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.cause, *self.args)

    @classmethod
    def of_value(cls, cause: str, calls: str, where: str, value: object, advice: str) -> "UnstableIdentityError":
        """The error of `calls` ("calls of X") that can't be told apart because of a `value`, which is at `where`."""
        text = f"{calls} are not cached: {where} is or holds {value}, which looks different in every process"
        return cls(cause, f"nbcache: {text}. {advice}")


@public_in("nbcache")
class NotStorableError(NbcacheError):
    """An answer that would not come back exactly as it was."""


@public_in("nbcache")
class StoreError(NbcacheError):
    """The store could not do what was asked; nothing was lost but the caching."""


@public_in("nbcache")
class UnsupportedError(StoreError):
    """This kind of store can't do what was asked."""


@public_in("nbcache")
class MissingPackageError(NbcacheError, ImportError):
    """What was asked for needs a package that isn't installed; the message says which."""


@public_in("nbcache")
class StoreBusyError(StoreError):
    """Another process holds the store."""


@public_in("nbcache")
class StoreReadOnlyError(StoreError):
    """The store can only be read here."""


@public_in("nbcache")
class TooLargeError(StoreError):
    """One answer is larger than all that the store may hold."""


@public_in("nbcache")
class StoreRefusedError(StoreError):
    """The file is not ours to touch: another program's, or of a newer nbcache."""


@public_in("nbcache")
class CassetteError(NbcacheError, ValueError):
    """A file of recorded answers that can't be read: it is refused whole."""


@public_in("nbcache")
class ReplayMiss(BaseException):
    """In mode `replay`, a call whose answer was never recorded: it is not made.

    It is no `Exception`, so that what goes on after an error (fallbacks, retries, an agent's tools) doesn't go on.
    `key` is the call's, where it has one.
    """

    # LangChain's `agenerate` takes what is raised, and is no Exception, for a result, before it raises it (core 1.x).
    generations = ()
    llm_output = None

    def __init__(self, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key

    def __str__(self) -> str:
        return harmless(super().__str__())

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the way through LangChain to here tells nothing."""
        return [
            f"{type(self).__name__}: {line}" if not number else line
            for number, line in enumerate(str(self).split("\n"))
        ]


@public_in("nbcache")
class DamagedError(StoreError):
    """Bytes that are not what was written. `newer` when a newer nbcache wrote them."""

    def __init__(self, message: str, *, newer: bool = False) -> None:
        super().__init__(message)
        self.newer = newer


@public_in("nbcache")
class NbcacheWarning(UserWarning):
    """The cache could not help; the call went on without it."""


_warned: dict[str, object] = {}


def warn_once(cause: str, message: str) -> None:
    """Say `message` once for each `cause` in a session, at the user's line that runs, if there is one. Never raises.

    Under `-W error` a warning is an exception, and inside a lookup it would cost the user a paid
    answer: then it goes to the `nbcache` logger instead.
    """
    mark = object()
    if _warned.setdefault(cause, mark) is not mark:  # in one step, so that no lock is needed
        return
    try:
        file, line = _users_line()
        warnings.warn_explicit(harmless(message), NbcacheWarning, file, line, module="nbcache")
    except Exception:  # noqa: BLE001 - a filter or a hook of the user's may raise anything
        logger.warning(message)


def _users_line() -> tuple[str, int]:
    from nbcache.concurrency.user_frames import users_line  # noqa: PLC0415 - most sessions warn of nothing

    return users_line() or ("<nbcache>", 1)


def forget_warnings() -> None:
    """Start a new session: each cause may be warned of once more."""
    _warned.clear()
