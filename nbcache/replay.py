"""The recorded answers that mode `replay` plays, whatever their age, status or endpoint."""

import math
from collections.abc import Iterator
from pathlib import Path

from nbcache import codec
from nbcache.cassette import Cassette, nearest_of
from nbcache.entry import Filter
from nbcache.errors import CassetteError, DamagedError
from nbcache.keys import CallKey, replay_key
from nbcache.locks import Lock
from nbcache.prompts import Normalize
from nbcache.records import call_of
from nbcache.scrub import Scrubber
from nbcache.stores import Store
from nbcache.text import prompt_preview, prompt_text, words

_WORDS = 16  # of a prompt: the longest tell most
_CANDIDATES = 40


class Recordings:
    """The answers of the cassette at `path`; where there is no such file, those of the store.

    `scrubber` takes the secrets out of a call before it is looked for, as they were taken out of the recorded ones.
    """

    def __init__(self, store: Store, normalize: Normalize | None, scrubber: Scrubber, path: Path | None) -> None:
        self.path = path
        self._store = store
        self._normalize = normalize
        self.scrubber = scrubber
        self._read: tuple[object, Cassette | CassetteError | None] = (None, None)
        self._lock = Lock()

    def find(self, asked: CallKey) -> tuple[str, bytes] | None:
        """The entry that answers this call, if it was recorded: its key and payload.

        Raises StoreError, CassetteError or OSError.
        """
        cassette = self.cassette()
        if cassette is not None:
            return cassette.find(asked)
        payload = self._store.get(asked.key, stale=True)
        return self._nearest(asked) if payload is None else (asked.key, payload)

    def cassette(self) -> Cassette | None:
        """The cassette, read again when its file has changed; None where there is none. Raises CassetteError or OSError."""
        if self.path is None:
            return None
        with self._lock:
            state = _state(self.path)
            if state != self._read[0]:
                self._read = (state, None if state is None else self._opened(self.path))
            found = self._read[1]
        if isinstance(found, CassetteError):
            raise CassetteError(str(found))
        return found

    def plays(self, path: Path) -> bool:
        """Whether `path` is the cassette."""
        return self.path is not None and self.path.exists() and path.exists() and self.path.samefile(path)

    @property
    def opened(self) -> Cassette | None:
        """The cassette, if it was read."""
        return self._read[1] if isinstance(self._read[1], Cassette) else None

    def _opened(self, path: Path) -> Cassette | CassetteError:
        """The cassette, or what is wrong with it: each call would read it again otherwise."""
        try:
            return Cassette.open(path, self.scrubber)
        except CassetteError as error:
            return error

    def recorded_like(self, asked: CallKey, until: float = math.inf) -> Iterator[CallKey]:
        """Recorded calls that may be much like `asked`, of what is played; from the store as `stored_like` has them."""
        cassette = self.cassette()
        if cassette is None:
            yield from self.stored_like(asked, until)
            return
        yield from (recording.call for recording in cassette.recordings.values())

    def stored_like(self, asked: CallKey, until: float = math.inf, most: int = _CANDIDATES) -> Iterator[CallKey]:
        """At most so many calls stored `until` then that may be much like `asked`: those that say most of the same words."""
        wanted = sorted(words(prompt_text(asked.prompt)), key=lambda word: (-len(word), word))[:_WORDS]
        for key in self._store.alike(wanted, most):
            payload = self._store.get(key, stale=True)
            if payload is not None and (call := self._call(key, payload, until)) is not None:
                yield call

    def _nearest(self, asked: CallKey) -> tuple[str, bytes] | None:
        """The entry that `nearest_of` takes for this call's. Raises CassetteError where there are several."""
        wanted, found = self._replay_key(asked), {}
        for key, payload in self._alike(asked):
            call = self._call(key, payload)
            if call is not None and self._replay_key(call) == wanted:
                found[key] = call, (key, payload)
        return nearest_of([*found.values()], asked, self.scrubber)

    def _call(self, key: str, payload: bytes, until: float = math.inf) -> CallKey | None:
        """The call of an entry, if that can be told, and was stored `until` then (seconds since the epoch)."""
        try:
            about = codec.read(payload, key).about()
        except DamagedError:
            return None
        if about.meta.created > until:
            return None
        return call_of(key, about, self._normalize)

    def _alike(self, asked: CallKey) -> Iterator[tuple[str, bytes]]:
        """The entries of the same model whose prompts look the same."""
        shown = {prompt_preview(prompt) for prompt in (asked.prompt, self.scrubber.text(asked.prompt))}
        for prompt in shown:
            for row in self._store.page(Filter(model=asked.model, prompt=prompt, stale=True)):
                payload = self._store.get(row.key, stale=True)
                if payload is not None:
                    yield row.key, payload

    def _replay_key(self, asked: CallKey) -> str:
        return replay_key(asked, self.scrubber)


def _state(path: Path) -> object:
    """What is different when the file is; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
