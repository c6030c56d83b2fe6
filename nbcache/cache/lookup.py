"""The way of one call: looked up in memory, in the store and in flight; kept and counted when it is answered."""

import time
from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

from langchain_core.outputs import ChatGeneration, Generation

from nbcache import codec
from nbcache.cache import settings as modes
from nbcache.cache.call import Call
from nbcache.cache.explain import Missed, Why, explain, nearest_text
from nbcache.cache.memory import LARGE, Answer, DecodedAnswers
from nbcache.cache.pending import Answered, PendingCalls, called
from nbcache.cache.provenance import Origins
from nbcache.cache.rules import Rules
from nbcache.cache.samples import current_attempt
from nbcache.cache.save import new_entry
from nbcache.cache.settings import Settings
from nbcache.cache.swallowed import note_lost
from nbcache.codec.roundtrip import say_what_is_lost
from nbcache.concurrency.effects import Effect, InThread, adrive, drive
from nbcache.concurrency.executor import in_thread, is_writing
from nbcache.concurrency.single_flight import CallSite, Flights, Lease, Waiter
from nbcache.costs.accounts import NEW
from nbcache.costs.ledger import Ledger
from nbcache.entry.models import Usage
from nbcache.entry.text import prompt_preview
from nbcache.entry.usage import usage_of
from nbcache.errors import (
    DamagedError,
    NotStorableError,
    ReplayMiss,
    StoreBusyError,
    UnknownKeyError,
    UnstableIdentityError,
    logger,
    warn_once,
)
from nbcache.keys.key import CallKey, call_key, with_sample
from nbcache.replay.recordings import Recordings
from nbcache.stores.base import ChangeTracking, Store
from nbcache.stores.entry_costs import document


class Answers:
    """The answers of one store, for one notebook. Nothing here raises into a call: what fails is a miss."""

    def __init__(  # noqa: PLR0913 - all that a call meets
        self,
        store: Store,
        ledger: Ledger,
        notebook: str | None,
        *,
        memory: int,
        rules: Rules,
        recordings: Recordings,
    ) -> None:
        self.store = store
        self.ledger = ledger
        self.notebook = notebook
        self.rules = rules
        self.recordings = recordings
        self.cell: str | None = None
        self.errors = 0
        self.renewed: set[str] = set()
        self.origins = Origins()
        self.flights = Flights()
        self._decoded = DecodedAnswers(memory)
        self._change_token = store.change_token if isinstance(store, ChangeTracking) else _no_change_token
        self._pending = PendingCalls(ledger)

    def find(self, prompt: str, llm_string: str, call: Call | None, settings: Settings) -> Answer | None:
        """The answer to this call, counted as a hit; None, counted as a miss, where it is to be made.

        Raises ReplayMiss in mode `replay`, where none is to be made.
        """
        return drive(self._search(prompt, llm_string, call, settings, on_loop=False))

    async def afind(self, prompt: str, llm_string: str, call: Call | None, settings: Settings) -> Answer | None:
        """As `find`, in the event loop: a read takes microseconds. What may take longer goes to a thread."""
        return await adrive(self._search(prompt, llm_string, call, settings, on_loop=True))

    def keep(
        self, prompt: str, llm_string: str, answer: Sequence[Generation], call: Call | None, settings: Settings
    ) -> None:
        """Store the answer to a call that was made, and give it to those who wait. When it returns, it is committed."""
        if call is not None and call.replay is not None:
            return  # it was a hit, played chunk by chunk
        answered = self._pending.answered(prompt, llm_string, call)
        lease = _settled(answered)
        usage, stored = Usage(), False
        try:
            usage, stored = self._store(answered, answer, settings, lease)
        except UnstableIdentityError as error:
            usage = usage_of(answer, {}, "")
            if settings.mode in modes.KEEPS:
                warn_once(error.cause, str(error))
        except Exception as error:  # noqa: BLE001 - as in _search
            self.failed("store an answer", error)
        finally:
            if lease is not None:
                lease.resolve(None)
        try:
            unkept = not stored and settings.mode in modes.KEEPS
            self._pending.paid(answered, usage, answer, stored=stored, unkept=unkept)
        except Exception as error:  # noqa: BLE001 - as in _search
            self.failed("count an answer", error)

    def pass_by(self, call: Call, why: str) -> None:
        """Count a call that is made and not cached."""
        self._pending.missed("", None, call, why)

    def refuse(
        self, call: Call | None, detail: str, prompt: str = "", asked: CallKey | None = None, *, why: str = modes.REPLAY
    ) -> ReplayMiss:
        """The error of a call that is not made in `replay`, which is counted as a miss; `detail` goes on after its name."""
        told = "" if why == NEW else f"in replay, it {detail}"
        self._pending.missed(prompt, asked, call, why, detail=told, replayed=True)
        model = asked.model if asked is not None else called(call)
        said = f" {prompt_preview(prompt)!r}" if prompt else ""
        text = f"in replay nothing is sent, and this call of {model or 'a model'}{said} {detail}"
        miss = ReplayMiss(self.recordings.scrubber.text(text), None if asked is None else asked.key)
        note_lost(miss)
        return miss

    def why(self, key: str | None = None) -> Why:
        """Why the last call missed, or the last of those whose key begins with `key`. Raises UnknownKeyError."""
        log = [missed for missed in self.misses() if key is None or (missed.record.key or "").startswith(key)]
        if not log:
            which = "no call" if key is None else f"no call whose key begins with {key!r}"
            raise UnknownKeyError(f"{which} has missed in this session")
        return self.explain(log[-1])

    def explain(self, missed: Missed) -> Why:
        """Why this call missed; what was stored since had no part in it."""
        like = self.recordings.recorded_like if missed.replayed else self.recordings.stored_like
        return explain(missed, partial(like, until=missed.record.when)).scrubbed(self.recordings.scrubber)

    def misses(self) -> list[Missed]:
        """The last misses, the newest last."""
        return list(self._pending.log)

    def carry_on(self, other: "Answers") -> None:
        """Go on where `other` ended."""
        self.cell, self.errors = other.cell, other.errors
        self.renewed, self.origins = other.renewed, other.origins
        self._pending.log = other._pending.log  # noqa: SLF001 - one of us

    def failed(self, what: str, error: Exception) -> None:
        """Count a failure of the cache and say so once; the user's call goes on."""
        self.errors += 1
        warn_once(
            f"{type(error).__name__} {self.store.url}",
            f"nbcache could not {what}: {error}. The call goes on without the cache",
        )

    # The key to look up

    def _asked(self, prompt: str, llm_string: str, call: Call | None, settings: Settings) -> CallKey | None:
        """The key to look up; None where this call is not to be looked up, which is a miss."""
        mode = settings.mode
        asked, why, detail = None, mode or "", ""
        if mode == modes.OFF:
            if call is not None and self.rules.excludes(call):
                why = "excluded"
        else:
            try:
                asked = self._as_drawn(self._key_of(prompt, llm_string, call), call, settings)
            except UnstableIdentityError as error:
                warn_once(error.cause, str(error))
                why, detail = "not cacheable", str(error).removeprefix("nbcache: ")
            except Exception as error:  # noqa: BLE001 - as in _search
                self.failed("work out the key of a call", error)
                why, detail = "failure", f"its key could not be worked out: {error!r}"
        if asked is not None and mode in modes.LOOKS_UP:
            if asked.key not in self.renewed:
                return asked
            why = "renewed"
            if mode not in modes.KEEPS:  # no answer will replace the stored one: once is enough
                self.renewed.discard(asked.key)
        self._pending.missed(prompt, asked, call, why, detail=detail)
        return None

    def _key_of(self, prompt: str, llm_string: str, call: Call | None) -> CallKey:
        return call_key(prompt, llm_string, call, self.rules.normalize)

    def _as_drawn(self, asked: CallKey, call: Call | None, settings: Settings) -> CallKey:
        """The draw that this call is: the first, but among samples and after a rejected answer."""
        if call is None:
            return asked
        if settings.samples:
            draw = settings.samples.take(asked.base_key)
            asked = with_sample(asked, draw.number)
            call.draws.setdefault(asked.key, []).append(draw)
        elif (attempt := current_attempt.get()) is not None:
            asked = with_sample(asked, attempt.draw(asked.base_key))
        return asked

    # The search

    def _search(
        self, prompt: str, llm_string: str, call: Call | None, settings: Settings, *, on_loop: bool
    ) -> Generator[Effect, Any, Answer | None]:
        began = time.perf_counter()
        if settings.mode == modes.REPLAY:
            return (yield from self._replayed(prompt, llm_string, call, settings))
        asked = self._asked(prompt, llm_string, call, settings)
        if asked is None:
            return None
        try:
            version = None if on_loop and is_writing() else self._decoded.version(self._change_token)
            found = self._decoded.unchanged(asked.key, version)  # in memory, and nobody has written since
            if found is None:
                found, why = yield from self._stored_or_in_flight(asked, call, version, on_loop=on_loop)
            if found is not None:
                return self._hit(asked, found, call, began)
        except Exception as error:  # noqa: BLE001 - whatever fails, the user's call goes on
            self.failed("look up an answer", error)
            why = "failure"
        self._pending.missed(prompt, asked, call, why)
        return None

    def _replayed(
        self, prompt: str, llm_string: str, call: Call | None, settings: Settings
    ) -> Generator[Effect, Any, Answer]:
        """The recorded answer. Raises ReplayMiss: whatever the reason, the call is not to be made."""
        began = time.perf_counter()
        try:
            asked = self._as_drawn(self._key_of(prompt, llm_string, call), call, settings)
        except Exception as error:  # noqa: BLE001 - whatever fails, the call is not to be made
            why = f"has no key: {error}" if isinstance(error, UnstableIdentityError) else f"has no key: {error!r}"
            raise self.refuse(call, why, prompt) from None
        try:
            recorded = yield InThread(partial(self.recordings.find, asked))
            if recorded is not None:
                found = yield InThread(partial(self._recorded, recorded[0], recorded[1], call))
                return self._hit(asked, found, call, began, recorded[0])
        except Exception as error:
            raise self.refuse(call, f"can't be looked up: {error}", prompt, asked) from error
        nearest = yield InThread(partial(nearest_text, asked, self.recordings))
        raise self.refuse(call, f"was never recorded{nearest}", prompt, asked, why=NEW)

    def _recorded(self, key: str, payload: bytes, call: Call | None) -> Answer:
        """The answer in the payload of the entry `key`, whatever its status. Raises DamagedError or NotStorableError."""
        whole = codec.read(payload, key)
        generations = whole.generations(() if call is None else call.classes())
        of_chat = call is not None and call.model is not None and call.is_chat
        if of_chat and not all(isinstance(each, ChatGeneration) for each in generations):
            raise DamagedError(f"entry {key[:8]} holds no answer of a chat model")
        return Answer(payload, whole.created, lambda: generations)

    def _stored_or_in_flight(
        self, asked: CallKey, call: Call | None, version: object, *, on_loop: bool
    ) -> Generator[Effect, Any, tuple[Answer | None, str]]:
        """The answer in the store, or to the same call that somebody makes now; else why there is none."""
        landed = self.flights.ended
        found, why = yield from self._read(asked, call, version)
        if found is not None or call is None or not call.shares or call.holds_lease():
            return found, why
        turn = self.flights.join(
            asked.key, CallSite.here(call.frame, on_loop=on_loop), call.leases, call.longest_wait()
        )
        if isinstance(turn, Waiter):
            turn = yield turn
        if isinstance(turn, bytes):
            return (yield from self._decoded_from(asked, call, turn, None))
        if turn is not None and self.flights.has_ended_since(asked.key, landed):  # while this one looked or waited
            return (yield from self._read(asked, call, None))
        return None, why

    def _read(
        self, asked: CallKey, call: Call | None, version: object
    ) -> Generator[Effect, Any, tuple[Answer | None, str]]:
        payload = yield _Read(self.store, asked.key)
        if payload is None:
            return None, NEW
        return (yield from self._decoded_from(asked, call, payload, version))

    def _decoded_from(
        self, asked: CallKey, call: Call | None, payload: bytes, version: object
    ) -> Generator[Effect, Any, tuple[Answer | None, str]]:
        if len(payload) <= LARGE:
            return self._decode(asked, payload, version, call)
        answer = yield InThread(partial(self._decode, asked, payload, version, call))
        return answer  # type: ignore[no-any-return]

    def _decode(self, asked: CallKey, payload: bytes, version: object, call: Call | None) -> tuple[Answer | None, str]:
        """The answer in `payload`; else why it is none."""
        try:
            found = self._decoded.decode(asked.key, payload, version, () if call is None else call.classes())
            if found is None:
                return None, codec.read(payload, asked.key).header().meta.status
        except NotStorableError as error:
            logger.debug("nbcache: entry %s: %s", asked.key, error)
            return None, "class not here"
        except DamagedError as error:
            self.failed("read an entry", error)
            return None, "newer" if error.newer else "damaged"
        return found, ""

    def _hit(self, asked: CallKey, found: Answer, call: Call | None, began: float, key: str | None = None) -> Answer:
        """Count a hit of the entry `key`, by default that of the call itself."""
        self.ledger.hit(key or asked.key, found.payload, time.perf_counter() - began)
        lease = None if call is None else call.settle(asked.key)
        if lease is not None:
            lease.resolve(found.payload)
        _note_attempt(asked)
        return found

    # What is kept

    def _store(
        self, answered: Answered, answer: Sequence[Generation], settings: Settings, lease: Lease | None
    ) -> tuple[Usage, bool]:
        """Store an answer, if it is to be kept, and give it to those who wait; what it used, and whether it is stored.

        Raises UnstableIdentityError.
        """
        asked = answered.key(self._key_of)
        usage = usage_of(answer, document(asked.identity), asked.endpoint, asked.prompt)
        keeps = settings.mode in modes.KEEPS and self.rules.want(asked.identity, answer)
        if not keeps and (lease is None or not lease.waiters):
            return usage, False
        try:
            payload, meta = new_entry(
                *(asked, answered, answer, usage, settings), notebook=self.notebook, cell=self.cell
            )
        except NotStorableError:
            say_what_is_lost(asked.model, answer, answered.classes())
            return usage, False
        try:
            if keeps:
                self.store.put(asked.key, payload, meta, settings.ttl)
                self.renewed.discard(asked.key)
                self.origins.note(answer, hit=False, key=asked.key, created=meta.created)
        except Exception as error:  # noqa: BLE001 - as in _search
            self.failed("store an answer", error)
            keeps = False
        finally:
            if lease is not None:
                lease.resolve(payload)
        return usage, keeps


def _no_change_token() -> None:
    """The change token of a store that has none."""


class _Read:
    """A read of the store, which another process may hold."""

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key

    def run(self) -> bytes | None:
        return self._store.get(self._key)

    async def arun(self) -> bytes | None:
        if is_writing():  # SQLite lets other threads run, and that one would go on for milliseconds
            return await in_thread(self.run, writes=True)
        try:
            return self._store.get(self._key, wait=False)
        except StoreBusyError:
            return await in_thread(self.run)


def _settled(answered: Answered) -> Lease | None:
    """The lease under which the call was made that is answered now, if any."""
    call, miss = answered.call, answered.miss
    if call is None or miss is None or miss.asked is None:
        return None
    _note_attempt(miss.asked)
    return call.settle(miss.asked.key)


def _note_attempt(asked: CallKey) -> None:
    """The call has its answer: made again by a retry, it is another draw."""
    if (attempt := current_attempt.get()) is not None:
        attempt.note(asked.base_key)
