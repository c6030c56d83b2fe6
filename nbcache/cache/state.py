"""What the lookups and the updates of one cache share."""

from typing import TYPE_CHECKING

from nbcache.cache.call import Call
from nbcache.cache.misses.log import MissLog, called_model
from nbcache.cache.misses.swallowed import note_swallowed
from nbcache.cache.modes import REPLAY
from nbcache.cache.provenance import Origins
from nbcache.cache.user_rules import Rules
from nbcache.costs.events import NEW
from nbcache.costs.ledger import Ledger
from nbcache.errors import ReplayMiss, warn_once
from nbcache.keys.key import CallKey
from nbcache.replay.playback import Recordings
from nbcache.stores.base import Store

if TYPE_CHECKING:
    from nbcache.cache.team_leases import TeamLeases


class CacheState:
    """A store, the accounts and rules of one notebook, and what has happened in its session.

    Attributes:
        cell: the cell that runs, or ran last.
        errors: how often the cache failed.
        refresh_once: the keys whose next call is made anew.
        team: where other processes wait for calls of this one. None if the store can't tell them.
    """

    def __init__(
        self, store: Store, ledger: Ledger, notebook: str | None, *, rules: Rules, recordings: Recordings
    ) -> None:
        self.store = store
        self.ledger = ledger
        self.notebook = notebook
        self.rules = rules
        self.recordings = recordings
        self.misses = MissLog(ledger)
        self.origins = Origins()
        self.cell: str | None = None
        self.errors = 0
        self.refresh_once: set[str] = set()
        self.team: TeamLeases | None = None

    def failed(self, what: str, error: Exception, goes_on: str = "The call goes on without the cache") -> None:
        """Count a failure of the cache and warn once; the user's call goes on."""
        self.errors += 1
        warn_once(
            f"{type(error).__name__} {self.store.url}", f"nbcache could not {what}: {str(error).rstrip('.')}. {goes_on}"
        )

    def replay_miss(
        self,
        call: Call | None,
        detail: str,
        prompt: str = "",
        call_key: CallKey | None = None,
        *,
        reason: str = REPLAY,
    ) -> ReplayMiss:
        """The error of a call that is not made in `replay`, counted as a miss. `detail` ends the sentence about it."""
        from nbcache.entry.text import prompt_preview  # noqa: PLC0415 - few calls come here

        explanation = "" if reason == NEW else f"in replay, it {detail}"
        self.misses.add(prompt, call_key, call, reason, detail=explanation, replayed=True)
        model = called_model(call) if call_key is None else call_key.model
        shown = f" {prompt_preview(prompt)!r}" if prompt else ""
        what = "nothing is sent" if call is None or call.function is None else "no function is run"
        text = f"in replay {what}, and this call of {model or 'a model'}{shown} {detail}"
        miss = ReplayMiss(self.recordings.scrubber.text(text), None if call_key is None else call_key.key)
        note_swallowed(miss)
        return miss

    def resume_from(self, other: "CacheState") -> None:
        """Continue the session of `other`."""
        self.cell, self.errors = other.cell, other.errors
        self.refresh_once, self.origins = other.refresh_once, other.origins
        self.misses.entries = other.misses.entries
