"""One call: looked up, shared, kept, explained.

In the order of a call: `call.py` holds what is known of it, `active_settings.py` decides which settings hold for it
(`modes.py`), and `samples.py` which sample it is. `notebook_cache.py` is the cache that LangChain asks: `lookup.py` looks in
`memory.py`, the store, and among the calls in flight (`wait_limit.py`: how long it waits for one) and those of other processes (`team_leases.py`); `absent.py` remembers that
the store had no entry of a call. After a miss `save.py` stores the answer, unless it was too cheap (`cheap_answers.py`).
`misses/` notes and explains the calls that missed, `function_runs.py` what is called inside of a function. `planned_keys.py` says
under which key a call would be looked up.

What they share: `state.py` (the state of one cache), `user_rules.py` (the user's own rules), `provenance.py` (where messages
came from), `response_origins.py` (the same of SDKs), `chains.py` (the names of the chains around a call), `session_end.py`
(what is written down when a cache is closed), `call_statistics.py` (the sums for `stats`), `session_tally.py` (the report to
a run of pytest).

The settings: `setting_field.py` is one setting, `settings_table.py` the table of all, `settings_docs.py` writes
`docs/settings.md`; `ttl_rules.py` says how long which entries are kept.
"""

from typing import TYPE_CHECKING

from nbcache import handed_on

if TYPE_CHECKING:
    from nbcache.cache.notebook_cache import NotebookCache

__all__ = ["NotebookCache"]
__getattr__ = handed_on("nbcache.cache", dict.fromkeys(__all__, "notebook_cache"))
