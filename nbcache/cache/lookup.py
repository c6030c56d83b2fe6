"""A call's lookup: in memory, in the store, in flight here or in another process, or in the recordings that `replay` plays."""

import time
from collections.abc import Callable, Generator, Iterable
from functools import partial
from types import GeneratorType
from typing import Any

from langchain_core.outputs import ChatGeneration
from pydantic import BaseModel

from nbcache import codec
from nbcache.cache import modes
from nbcache.cache.absent import Absent
from nbcache.cache.call import Call
from nbcache.cache.memory import LARGE, CachedAnswer, DecodedContent, MemoryTier, holds_up
from nbcache.cache.misses.log import NEWER
from nbcache.cache.modes import Settings
from nbcache.cache.samples import current_attempt, note_attempt
from nbcache.cache.state import CacheState
from nbcache.cache.user_rules import Rules
from nbcache.cache.wait_limit import longest_wait
from nbcache.codec.buffers import Raw
from nbcache.concurrency.effects import Effect, InThread, adrive, drive
from nbcache.concurrency.executor import in_thread, is_writing
from nbcache.concurrency.loop_turns import take_turn
from nbcache.concurrency.single_flight import CallSite, Flights, Lease, Waiter
from nbcache.costs.events import NEW
from nbcache.errors import (
    DamagedError,
    NotStorableError,
    StoreBusyError,
    StoreError,
    UnstableIdentityError,
    logger,
    warn_once,
)
from nbcache.keys.key import CallKey, call_key, with_sample
from nbcache.keys.known_keys import KnownCall
from nbcache.stores.base import ChangeTracking, Leasing, Owning, PayloadTracking

Found = tuple[CachedAnswer | None, str]  # an answer, or the reason why there is none
Search = Generator[Effect, Any, CachedAnswer | None]
Get = Callable[..., Raw | None]  # of a store
IsHeard = Callable[[], bool]  # whether somebody listens to a call


class Lookup:
    """The lookups of one cache. A failure never reaches the caller: it counts as a miss."""

    def __init__(self, state: CacheState, memory: int) -> None:
        self.flights = Flights()
        self._state = state
        self._memory = MemoryTier(memory)
        store = state.store
        self._get: Get = store.get_owned if isinstance(store, Owning) else store.get
        self._tier_of: Callable[[str, object], str] | None = getattr(store, "tier_of", None)
        self._token: object = None  # the last that was read
        self._change_token: Callable[[], object] = _no_change_token
        if memory and isinstance(store, PayloadTracking):
            self._change_token = store.payload_token
        elif memory and isinstance(store, ChangeTracking):
            self._change_token = store.change_token
        if isinstance(store, Leasing):
            from nbcache.cache.team_leases import TeamLeases  # noqa: PLC0415 - most stores are one machine's

            state.team = TeamLeases(store, self.flights)

    def find(self, prompt: str, llm_string: str, call: Call | None, settings: Settings) -> CachedAnswer | None:
        """The answer to this call, counted as a hit. None, counted as a miss, if the call has to be made.

        Raises ReplayMiss in mode `replay`, in which no call is made.
        """
        search = self._begin(prompt, llm_string, call, settings, on_loop=False)
        return drive(search) if isinstance(search, GeneratorType) else search  # type: ignore[return-value]

    async def afind(self, prompt: str, llm_string: str, call: Call | None, settings: Settings) -> CachedAnswer | None:
        """As `find`, on an event loop: a read takes microseconds, and what may take longer goes to a thread."""
        await take_turn()
        search = self._begin(prompt, llm_string, call, settings, on_loop=True)
        return await adrive(search) if isinstance(search, GeneratorType) else search  # type: ignore[return-value]

    def _begin(
        self, prompt: str, llm_string: str, call: Call | None, settings: Settings, *, on_loop: bool
    ) -> CachedAnswer | Search | None:
        """The answer from memory, or None if nothing is looked up. Otherwise the search that remains to be done."""
        began = time.perf_counter()
        if settings.mode == modes.REPLAY:
            return self._replay(prompt, llm_string, call, settings, began)
        absent = Absent.current.get()
        key = self._key(prompt, llm_string, call, settings, absent)
        if key is None:
            return None
        try:
            if absent is not None and absent.known.key == key.key:
                ended: int | None = absent.ended  # neither the store nor the memory had it a moment ago
            else:
                found = self._at_once(key.key, () if call is None else call.classes(), _is_chat(call), on_loop=on_loop)
                if isinstance(found, CachedAnswer):
                    if call is not None and call.read is not None:
                        call.read(found)
                    return self._hit(key, found, call, began)
                ended = found
        except Exception as error:  # noqa: BLE001 - the search below fails as well, and counts it
            logger.debug("nbcache: an answer could not be looked up at once: %r", error)
            ended = None
        if ended is not None and (call is None or not call.shares):
            self._state.misses.add(prompt, key, call, NEW)
            return None
        return self._search(key, call, ended, began, on_loop=on_loop)

    def _key(
        self, prompt: str, llm_string: str, call: Call | None, settings: Settings, absent: Absent | None
    ) -> CallKey | None:
        """The key to look up. None if this call is not looked up, which is counted as a miss."""
        state, mode = self._state, settings.mode
        key, reason, detail = None, mode or "", ""
        if mode == modes.OFF:
            if call is not None and call.bypass is not None:
                reason, detail = call.bypass
            elif call is not None and state.rules.excludes(call):
                reason = "excluded"
        else:
            try:
                key = None if absent is None or state.rules.normalize else absent.call_key(prompt, call)
                key = sampled(key or unsampled_key(prompt, llm_string, call, state.rules), call, settings)
            except UnstableIdentityError as error:
                warn_once(error.cause, str(error))
                reason, detail = "not cacheable", str(error).removeprefix("nbcache: ")
            except Exception as error:  # noqa: BLE001 - whatever fails, the user's call goes on
                state.failed("work out the key of a call", error)
                reason, detail = "failure", f"its key could not be worked out: {error!r}"
        if key is not None and mode in modes.LOOKS_UP:
            if key.key not in state.refresh_once:
                return key
            reason = "renewed"
            if mode not in modes.KEEPS:  # no answer will be stored that could end this: renew one call only
                state.refresh_once.discard(key.key)
        state.misses.add(prompt, key, call, reason, detail=detail)
        return None

    def _hit(
        self, key: CallKey, answer: CachedAnswer, call: Call | None, began: float, entry: str | None = None
    ) -> CachedAnswer:
        """Count a hit of `entry`, the call's own key by default."""
        seconds = time.perf_counter() - began
        # An answer that is played in `replay` may be a cassette's.
        tier = None if self._tier_of is None or entry is not None else self._tier(key.key, answer.payload)
        self._state.ledger.hit(entry or key.key, _noted(answer.payload), seconds, tier)
        lease = None if call is None else call.settle(key.key)
        if lease is not None:
            lease.resolve(bytes(answer.payload))  # before the caller gets an object that may be in the same memory
        if current_attempt.holder() is not None:
            note_attempt(key.base_key)
        return answer

    def _tier(self, key: str, payload: Raw) -> str:
        """The tier of the store that answered a hit, which is noted for `nbcache.info`, too."""
        tier: str = self._tier_of(key, payload)  # type: ignore[misc]  # there is more than one tier
        self._state.origins.note_tier(key, tier)
        return tier

    def _failed(self, key: CallKey, call: Call | None, error: Exception) -> None:
        """Count a failure, and the miss that follows from it."""
        self._state.failed("look up an answer", error)
        self._state.misses.add(key.prompt, key, call, "failure")

    def find_known(self, known: KnownCall, is_heard: IsHeard, *, on_loop: bool) -> CachedAnswer | Absent | None:
        """The answer to a known call that nobody hears, counted as a hit. Otherwise nothing is counted, and `find` has to look.

        `is_heard` is asked last: that takes longer than to see that there is no answer.

        Raises whatever fails.
        """
        began = time.perf_counter()
        found = self._at_once(known.key, (), True, on_loop=on_loop)
        if isinstance(found, CachedAnswer):
            seconds = time.perf_counter() - began
            if is_heard():
                return None
            tier = None if self._tier_of is None else self._tier(known.key, found.payload)
            self._state.ledger.hit(known.key, _noted(found.payload), seconds, tier)
            return found
        return None if found is None else Absent(known, found)

    # In memory or in the store, at once

    def _at_once(
        self,
        key: str,
        classes: Iterable[type[BaseModel]],
        is_chat: bool | None,  # noqa: FBT001 - as `decode` takes it
        *,
        on_loop: bool,
    ) -> CachedAnswer | int | None:
        """The answer in memory or in the store, or how many calls in flight had ended before the store had none.

        None if a search has to find that out: the answer may not be a hit, or it takes too long for an event loop. Raises
        whatever fails.
        """
        ended = self.flights.ended
        if on_loop and is_writing():
            return None
        if key in self._memory.entries:
            token = self._token = self._change_token()
            answer = self._memory.unchanged(key, token)
            if answer is not None:
                return answer
        payload, token = self._read(key, wait=not on_loop)
        if payload is None:
            return ended
        if on_loop and holds_up(payload):
            return None
        return self._memory.decode(key, payload, token, classes, is_chat)

    def _read(self, key: str, *, wait: bool) -> tuple[Raw | None, object]:
        """The payload in the store, with a change token that is not newer. A miss needs none: it takes longer than the read."""
        before = self._token
        payload = self._get(key, wait=wait)
        if payload is not None:
            self._token = self._change_token()  # if it differs, this entry is read again when it is looked up again
        return payload, before

    # In the store, or in flight

    def _search(self, key: CallKey, call: Call | None, ended: int | None, began: float, *, on_loop: bool) -> Search:
        try:
            answer, reason = yield from self._stored_or_in_flight(key, call, ended, on_loop=on_loop)
            if answer is not None:
                return self._hit(key, answer, call, began)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed(key, call, error)
            return None
        self._state.misses.add(key.prompt, key, call, reason)
        return None

    def _stored_or_in_flight(
        self, key: CallKey, call: Call | None, ended: int | None, *, on_loop: bool
    ) -> Generator[Effect, Any, Found]:
        """The stored answer, or that of an identical call which is being made now, in this process or in another one.

        `ended` is how many calls in flight had ended before the store had no answer. None if it was not read.
        """
        answer, reason = None, NEW
        if ended is None:
            ended = self.flights.ended
            answer, reason = yield from self._stored(key, call, on_loop=on_loop)
        if answer is not None or call is None or not call.shares or (around := call.keys_held()) is None:
            return answer, reason
        site, longest = CallSite.here(call.frame, on_loop=on_loop), longest_wait(call)
        until = time.monotonic() + longest
        turn = self.flights.join(key.key, site, call.leases, longest, around)
        if isinstance(turn, Waiter):
            turn = yield turn
        if isinstance(turn, bytes):
            return (yield from self._decoded(key, call, turn, None))
        if turn is not None and self.flights.has_ended_since(key.key, ended):  # while this call looked or waited
            answer, reason = yield from self._stored(key, call, on_loop=on_loop)
        if isinstance(turn, Lease) and answer is None and reason == NEW:
            payload = yield from self._answer_of_team(call, turn, until, is_within=bool(around))
            if payload is not None:
                return (yield from self._decoded(key, call, payload, None))
        return answer, reason

    def _answer_of_team(
        self, call: Call, lease: Lease, until: float, *, is_within: bool
    ) -> Generator[Effect, Any, bytes | None]:
        """The payload of the answer that another process has got. None if this call has to be made: then others wait for it.

        An answer that is not kept can't be waited for.
        """
        team = self._state.team
        if team is None or call.settings is None or call.settings.mode != modes.ON:
            return None
        try:
            return (yield from team.lease_or_answer(lease, until, is_within=is_within))
        except StoreError as error:
            self._state.failed("ask who makes a call", error)
            return None

    def _stored(self, key: CallKey, call: Call | None, *, on_loop: bool) -> Generator[Effect, Any, Found]:
        token = None if on_loop and is_writing() else self._change_token()
        payload = yield _Read(self._get, key.key)
        if payload is None:
            return None, NEW
        return (yield from self._decoded(key, call, payload, token))

    def _decoded(self, key: CallKey, call: Call | None, payload: Raw, token: object) -> Generator[Effect, Any, Found]:
        if not holds_up(payload):
            return self._decode(key, payload, token, call)
        return (yield InThread(partial(self._decode, key, payload, token, call)))  # type: ignore[no-any-return]

    def _decode(self, key: CallKey, payload: Raw, token: object, call: Call | None) -> Found:
        try:
            classes = () if call is None else call.classes()
            answer = self._memory.decode(key.key, payload, token, classes, _is_chat(call))
            if answer is None:
                return None, codec.read(payload, key.key).header().meta.status
            if call is not None and call.read is not None:
                call.read(answer)
        except NotStorableError as error:
            logger.debug("nbcache: entry %s: %s", key.key, error)
            return None, "class not here"
        except DamagedError as error:
            self._state.failed("read an entry", error)
            return None, NEWER if error.newer else "damaged"
        return answer, ""

    # In the recordings

    def _replay(
        self, prompt: str, llm_string: str, call: Call | None, settings: Settings, began: float
    ) -> Generator[Effect, Any, CachedAnswer]:
        """The recorded answer. Raises ReplayMiss: whatever the reason, the call is not made."""
        state, recordings = self._state, self._state.recordings
        try:
            key = sampled(unsampled_key(prompt, llm_string, call, state.rules), call, settings)
        except Exception as error:  # noqa: BLE001 - whatever fails, the call is not made
            shown = str(error) if isinstance(error, UnstableIdentityError) else repr(error)
            raise state.replay_miss(call, f"has no key: {shown}", prompt) from None
        try:
            recording = yield InThread(partial(recordings.find, key))
            if recording is not None:
                entry, payload = recording
                answer = yield InThread(partial(_recorded_answer, entry, payload, call))
                return self._hit(key, answer, call, began, entry)
        except Exception as error:
            raise state.replay_miss(call, f"can't be looked up: {error}", prompt, key) from error
        from nbcache.cache.misses.explain import absence_text  # noqa: PLC0415 - few calls are not recorded

        absence = yield InThread(partial(absence_text, key, recordings))
        raise state.replay_miss(call, absence, prompt, key, reason=NEW)


def unsampled_key(prompt: str, llm_string: str, call: Call | None, rules: Rules) -> CallKey:
    """The key of a call's first sample. Raises UnstableIdentityError if it has none."""
    # The rules that normalize prompts are for models: a function's arguments count as they are.
    normalize = rules.normalize if call is None or call.function is None else None
    return call_key(prompt, llm_string, call, normalize)


def sampled(key: CallKey, call: Call | None, settings: Settings) -> CallKey:
    """The sample that this call is: the first, unless `samples` are on or an earlier answer was rejected."""
    if call is None:
        return key
    if settings.samples:
        sample = settings.samples.take(key.base_key)
        key = with_sample(key, sample.number)
        call.samples.setdefault(key.key, []).append(sample)
    elif current_attempt.holder() is not None and (attempt := current_attempt.get()) is not None:
        key = with_sample(key, attempt.sample(key.base_key))
    return key


def _recorded_answer(key: str, payload: bytes, call: Call | None) -> CachedAnswer:
    """The answer in the payload of the entry `key`, whatever its status. Raises DamagedError or NotStorableError."""
    content = codec.read(payload, key)
    generations = content.generations(() if call is None else call.classes())
    if _is_chat(call) and not all(isinstance(each, ChatGeneration) for each in generations):
        raise DamagedError(f"entry {key[:8]} holds no answer of a chat model")
    answer = CachedAnswer(payload, content.created, DecodedContent(generations))
    if call is not None and call.read is not None:
        call.read(answer)
    return answer


def _is_chat(call: Call | None) -> bool | None:
    """Whether the answer is a chat model's. None if that isn't known."""
    return None if call is None or call.model is None else call.is_chat


def _noted(payload: Raw) -> bytes:
    """What of a payload is kept to tell later what a hit of it saved: not a large array that the caller may change."""
    return payload if type(payload) is bytes and len(payload) <= LARGE else codec.without_buffers(payload)


def _no_change_token() -> None:
    """The change token if the store has none, or if no answers are kept in memory."""


class _Read:
    """A read of the store. Another process may have locked it."""

    def __init__(self, get: Get, key: str) -> None:
        self._get = get
        self._key = key

    def run(self) -> Raw | None:
        return self._get(self._key)

    async def arun(self) -> Raw | None:
        if is_writing():  # SQLite lets the writing thread run, which may take milliseconds
            return await in_thread(self.run, writes=True)
        try:
            return self._get(self._key, wait=False)
        except StoreBusyError:
            return await in_thread(self.run)
