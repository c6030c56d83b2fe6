"""The recorded answers that mode `replay` plays, whatever their age, status or endpoint."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nbcache import codec
from nbcache.concurrency.locks import Lock
from nbcache.errors import CassetteError, DamagedError
from nbcache.keys.key import CallKey
from nbcache.keys.prompt import Normalize
from nbcache.stores.base import Listable, Store

if TYPE_CHECKING:
    from nbcache.replay.cassette_format import Recording
    from nbcache.replay.secrets.scrubber import Scrubber

_T = TypeVar("_T")


@dataclass
class Cassette:
    """The recordings of a file, by their keys. `used` are the keys of those that were played."""

    path: Path
    scrubber: "Scrubber"
    recordings: "dict[str, Recording]"
    used: set[str] = field(default_factory=set)

    @classmethod
    def open(cls, path: Path, scrubber: "Scrubber") -> "Cassette":
        """Read `path`. Raises CassetteError, naming the line, or OSError."""
        from nbcache.replay.cassette_format import read  # noqa: PLC0415 - most notebooks have no cassette

        return cls(path, scrubber, {recording.call.key: recording for recording in read(path)})

    def find(self, call: CallKey) -> tuple[str, bytes] | None:
        """The key and the payload of the recording of `call`, or else of the one that `nearest_of` chooses.

        Raises CassetteError where there are several.
        """
        recording = self.recordings.get(call.key)
        if recording is None:
            from nbcache.replay.replay_key import replay_key  # noqa: PLC0415 - as below

            others = self._by_replay_key.get(replay_key(call, self.scrubber), [])
            recording = nearest_of([(other.call, other) for other in others], call, self.scrubber)
        if recording is None:
            return None
        self.used.add(recording.call.key)
        return recording.call.key, recording.entry()[0]

    @cached_property
    def _by_replay_key(self) -> "dict[str, list[Recording]]":
        """The recordings by what counts in replay. This is slow to make, and not needed for a call just as recorded."""
        from nbcache.replay.replay_key import replay_key  # noqa: PLC0415 - it loads all rules of secrets

        by_key: dict[str, list[Recording]] = {}
        for recording in self.recordings.values():
            by_key.setdefault(replay_key(recording.call, self.scrubber), []).append(recording)
        return by_key


class Recordings:
    """The answers of the cassette at `path`; where there is no such file, those of the store.

    `secrets` are the user's own patterns of secrets.
    """

    def __init__(self, store: Store, normalize: Normalize | None, secrets: tuple[str, ...], path: Path | None) -> None:
        self.path = path
        self.store = store
        self._normalize = normalize
        self._secrets = secrets
        self._read: tuple[object, Cassette | CassetteError | None] = (None, None)
        self._lock = Lock()

    @cached_property
    def scrubber(self) -> "Scrubber":
        """Takes the secrets out of a call before it is looked for, as they were taken out of the recorded ones."""
        from nbcache.replay.secrets.scrubber import Scrubber  # noqa: PLC0415 - most sessions need no rule of secrets

        return Scrubber(self._secrets)

    def find(self, call: CallKey) -> tuple[str, bytes] | None:
        """The entry that answers this call, if it was recorded: its key and payload.

        Raises StoreError, CassetteError or OSError.
        """
        cassette = self.cassette()
        if cassette is not None:
            return cassette.find(call)
        payload = self.store.get(call.key, include_expired=True)
        return self._nearest(call) if payload is None else (call.key, payload)

    def cassette(self) -> Cassette | None:
        """The cassette, read again when its file has changed. None if there is none. Raises CassetteError or OSError."""
        if self.path is None:
            return None
        with self._lock:
            state = _state(self.path)
            if state != self._read[0]:
                self._read = (state, None if state is None else self._opened(self.path))
            cassette = self._read[1]
        if isinstance(cassette, CassetteError):
            raise CassetteError(str(cassette))
        return cassette

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

    def stored_call(self, key: str, payload: bytes, until: float = math.inf) -> CallKey | None:
        """The call of an entry, or None if its header doesn't tell it, or it was stored after `until` (seconds since the epoch)."""
        try:
            header = codec.read(payload, key).header()
        except DamagedError:
            return None
        if header.meta.created > until:
            return None
        from nbcache.codec.entry_description import call_of  # noqa: PLC0415 - only misses and `replay` ask for it

        return call_of(key, header, self._normalize)

    def _nearest(self, call: CallKey) -> tuple[str, bytes] | None:
        """The entry that `nearest_of` takes for this call's. Raises CassetteError where there are several."""
        from nbcache.replay.replay_key import replay_key  # noqa: PLC0415 - as above

        wanted, entries = replay_key(call, self.scrubber), {}
        for key, payload in self._alike(call):
            stored = self.stored_call(key, payload)
            if stored is not None and replay_key(stored, self.scrubber) == wanted:
                entries[key] = stored, (key, payload)
        return nearest_of([*entries.values()], call, self.scrubber)

    def _alike(self, call: CallKey) -> Iterator[tuple[str, bytes]]:
        """The entries of the same model whose prompts look the same; none of a store that can't list them."""
        if not isinstance(self.store, Listable):
            return
        from nbcache.entry.records import Filter  # noqa: PLC0415 - as above
        from nbcache.entry.text import prompt_preview  # noqa: PLC0415

        shown = {prompt_preview(prompt) for prompt in (call.prompt, self.scrubber.text(call.prompt))}
        for prompt in shown:
            for row in self.store.page(Filter(model=call.model, prompt=prompt, include_expired=True)):
                payload = self.store.get(row.key, include_expired=True)
                if payload is not None:
                    yield row.key, payload


def nearest_of(recorded: Sequence[tuple[CallKey, _T]], call: CallKey, scrubber: "Scrubber") -> _T | None:
    """Of calls with the same `replay_key` as `call` the only one at its endpoint, else the only one at another.

    Raises CassetteError where there are several: whose answer is meant, nobody knows.
    """
    if not recorded:
        return None
    from nbcache.replay.replay_key import scrubbed  # noqa: PLC0415 - as above

    wanted = scrubbed(call, scrubber)[0].key
    here = [it for other, it in recorded if scrubbed(other, scrubber)[0].key == wanted]
    if len(here) > 1:
        raise CassetteError("it was recorded several times, with something else in the place of a secret")
    if not here and len(recorded) > 1:
        endpoints = ", ".join(sorted({other.endpoint for other, _ in recorded}))
        raise CassetteError(f"it was recorded at several endpoints ({endpoints}), and is asked of another")
    return here[0] if here else recorded[0][1]


def _state(path: Path) -> object:
    """A value that changes when the file does. None if there is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
