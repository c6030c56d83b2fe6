"""A call whose entry the store did not have a moment ago: what was worked out for that is not worked out again."""

from contextlib import suppress
from contextvars import ContextVar

from nbcache.cache.call import Call
from nbcache.keys.key import CallKey
from nbcache.keys.known_keys import KnownCall, call_key_of_known


class Absent:
    """A call whose entry the store did not have. Within its block the call is made, and not read for again."""

    __slots__ = ("_token", "ended", "known")
    current: "ContextVar[Absent | None]" = ContextVar("nbcache_absent", default=None)

    def __init__(self, known: KnownCall, ended: int) -> None:
        self.known = known
        self.ended = ended  # the calls in flight that had ended before

    def __enter__(self) -> None:
        self._token = self.current.set(self)

    def __exit__(self, *_: object) -> None:
        with suppress(ValueError):  # a coroutine that nobody finished: it is closed in another context
            self.current.reset(self._token)

    def call_key(self, prompt: str, call: Call | None) -> CallKey | None:
        """The key of `call`, if it is this one, and nothing of it has changed since. `prompt` is as LangChain writes it."""
        if call is None or self.known.canonical_prompt is None or not self.known.is_still(call):
            return None
        return call_key_of_known(self.known, prompt)
