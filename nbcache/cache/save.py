"""An answer's way into the store: checked by the rules, encoded, stored, counted, and handed to calls that wait."""

from collections.abc import Sequence
from functools import partial

from langchain_core.outputs import Generation

from nbcache import codec
from nbcache.cache import modes
from nbcache.cache.call import Call
from nbcache.cache.cheap_answers import is_cheap
from nbcache.cache.misses.log import NEWER, PendingAnswer
from nbcache.cache.modes import Settings
from nbcache.cache.samples import note_attempt
from nbcache.cache.state import CacheState
from nbcache.codec.entry_description import header_of, row_of
from nbcache.codec.header import VERSIONS
from nbcache.codec.roundtrip import say_what_is_lost
from nbcache.concurrency.single_flight import Lease
from nbcache.costs.events import CHEAP, NOT_KEPT
from nbcache.entry.filter import CALL
from nbcache.entry.langchain_headers import without_private
from nbcache.entry.records import EntryMeta, Usage
from nbcache.entry.status import reusable
from nbcache.entry.status_of_new_answer import status_now
from nbcache.entry.usage.usage_of_call import usage_of
from nbcache.errors import DamagedError, NotStorableError, UnstableIdentityError, logger, warn_once
from nbcache.keys.key import CallKey
from nbcache.keys.request import document

_NOT_READ = frozenset({modes.REFRESH, "renewed", "failure"})  # why a call missed whose entry was not read


class Saver:
    """Stores the answers of one cache.

    A failure never reaches the caller. All that it costs is that the answer isn't stored.
    """

    def __init__(self, state: CacheState) -> None:
        self._state = state

    def save(
        self, prompt: str, llm_string: str, answer: Sequence[Generation], call: Call | None, settings: Settings
    ) -> None:
        """Store the answer to a call that was made, and hand it to calls that wait. On return the entry is committed."""
        if call is not None and call.replay is not None:
            return  # a hit, played chunk by chunk
        pending = self._state.misses.answered(prompt, llm_string, call)
        lease = _end_of_lease(pending)
        usage, unkept = Usage(), NOT_KEPT
        try:
            usage, unkept = self._store(pending, answer, settings, lease)
        except UnstableIdentityError as error:
            usage = usage_of(answer, {}, "")
            if settings.mode in modes.KEEPS:
                warn_once(error.cause, str(error))
        except Exception as error:  # noqa: BLE001 - whatever fails, the user's call goes on
            self._state.failed("store an answer", error)
        finally:
            if lease is not None:
                lease.resolve(None)
        try:
            stored = not unkept
            unkept = unkept if settings.mode in modes.KEEPS else ""
            self._state.misses.paid(pending, usage, answer, stored=stored, unkept=unkept, tags=settings.tags)
        except Exception as error:  # noqa: BLE001 - as above
            self._state.failed("count an answer", error)

    def leave(self, prompt: str, call: Call, settings: Settings) -> None:
        """Count a call whose answer is not stored. Calls that wait for it make their own."""
        pending = self._state.misses.answered(prompt, "", call)
        lease = _end_of_lease(pending)
        if lease is not None:
            lease.resolve(None)
        try:
            unkept = NOT_KEPT if settings.mode in modes.KEEPS else ""
            self._state.misses.paid(pending, Usage(), (), stored=False, unkept=unkept)
        except Exception as error:  # noqa: BLE001 - as above
            self._state.failed("count an answer", error)

    def _store(
        self, pending: PendingAnswer, answer: Sequence[Generation], settings: Settings, lease: Lease | None
    ) -> tuple[Usage, str]:
        """Store an answer, if the mode and the rules keep it, and hand it to calls that wait.

        Returns the answer's usage, and why it was not stored: an empty text if it was. Raises UnstableIdentityError.
        """
        state = self._state
        is_prompt = pending.call is None or pending.call.function is None  # the arguments of a function all count
        key = pending.key(state.rules.normalize if is_prompt else None)
        usage = _usage(key, pending, answer)
        unkept = self._unwanted(key, pending, answer, usage) if settings.mode in modes.KEEPS else NOT_KEPT
        if unkept and (lease is None or not lease.waiters):
            return usage, unkept
        try:
            payload, meta, ttl = self._new_entry(key, pending, answer, usage, settings)
        except NotStorableError:
            say_what_is_lost(key.model, answer, pending.classes())
            return usage, unkept or NOT_KEPT
        try:
            if not unkept:
                state.refresh_once.discard(key.key)
                unkept = NOT_KEPT if self._has_newer(key.key, pending) else ""
            if not unkept:
                put = state.store.put if state.team is None else partial(state.team.put, lease)
                put(key.key, payload, meta, ttl)
                state.origins.note(answer, hit=False, key=key.key, created=meta.created)
                if pending.call is not None:
                    pending.call.origin = (False, key.key, meta.created)
        except Exception as error:  # noqa: BLE001 - as in save
            state.failed("store an answer", error)
            unkept = NOT_KEPT
        finally:
            if lease is not None:
                lease.resolve(payload)
        return usage, unkept

    def _unwanted(self, key: CallKey, pending: PendingAnswer, answer: Sequence[Generation], usage: Usage) -> str:
        """Why the user's rules don't keep an answer: an empty text if they do."""
        state = self._state
        if not state.rules.want(key.identity, answer):
            return NOT_KEPT
        return CHEAP if is_cheap(state, key, pending, answer, usage) else ""

    def _has_newer(self, key: str, pending: PendingAnswer) -> bool:
        """Whether the store has an entry of a newer release for `key`, which no answer replaces.

        The lookup of this call knows it, if it read the entry.
        """
        miss = pending.miss or self._state.misses.without_call(pending.prompt, key)
        looked_up = miss is not None and miss.call_key is not None and miss.call_key.key == key
        if miss is not None and looked_up and miss.record.why not in _NOT_READ:
            return miss.record.why == NEWER
        try:
            payload = self._state.store.get(key)
            if payload is not None:
                codec.read(payload, key).generations(pending.classes())
        except DamagedError as error:
            return error.newer
        except Exception as error:  # noqa: BLE001 - the lookup has reported that the store can't be read
            logger.debug("nbcache: entry %s could not be read before it is stored: %r", key, error)
        return False

    def _new_entry(
        self, key: CallKey, pending: PendingAnswer, answer: Sequence[Generation], usage: Usage, settings: Settings
    ) -> tuple[bytes, EntryMeta, float | None]:
        """The payload, the row and the TTL of the entry of this answer. Raises NotStorableError."""
        call, chunks = pending.call, pending.chunks()
        meta = row_of(
            *(key, answer, usage),
            status=status_now(answer, call, key.model, ended=None if call is None else call.ended),
            created=pending.when,  # not now: which calls overlapped is worked out from this
            seconds=pending.seconds,
            tags=settings.tags,
            notebook=self._state.notebook,
            cell=self._state.cell,
            has_chunks=bool(chunks),
            kind=None if call is None or call.kind == CALL else call.kind,
            function=None if call is None else call.function,
        )
        ttl = self._state.rules.ttl(meta, call, settings.ttl)
        payload = codec.encode(
            *(without_private(answer), header_of(key, meta, usage, VERSIONS, pending.calls)),
            reusable=reusable(meta.status, limits_tokens=key.limits_tokens),
            expires=ttl is not None,
            chunks=chunks,
            classes=pending.classes(),
        )
        return payload, meta, ttl


def _usage(key: CallKey, pending: PendingAnswer, answer: Sequence[Generation]) -> Usage:
    """What the answer used: of a function, the tokens of all calls inside, if they are known."""
    if pending.calls is None:
        return usage_of(answer, document(key.identity), key.endpoint, key.prompt)
    usages = [call.usage or Usage() for call in pending.calls]
    if not all(usage.complete for usage in usages):
        return Usage()
    return Usage(
        input_tokens=sum(usage.input_tokens or 0 for usage in usages),
        output_tokens=sum(usage.output_tokens or 0 for usage in usages),
        estimated=any(usage.estimated for usage in usages),
    )


def _end_of_lease(pending: PendingAnswer) -> Lease | None:
    """Settle the call that has just been answered. Returns the lease that it held, if any."""
    call, miss = pending.call, pending.miss
    if call is None or miss is None or miss.call_key is None:
        return None
    note_attempt(miss.call_key.base_key)
    return call.settle(miss.call_key.key)
