"""Threads, event loops and processes. Nothing here knows of models.

For one call: `effects.py` drives the same generator in a thread or on an event loop, `loop_turns.py` keeps many calls from
holding up a loop, and `single_flight.py` lets identical calls wait for one, but not for one that waits for them in a thread
pool (`pool_waits.py`). `executor.py` runs work in threads of nbcache's own. A warm-up runs the user's calls in a few threads
(`bounded_threads.py`), and coroutines on a loop beside the notebook's (`loop_thread.py`).

Beneath these: `locks.py` (a lock that is never left held), `context_blocks.py` (values within a `with` block), both by
`running_frames.py`; `strands.py` (which calls follow each other, and which run side by side); `user_frames.py` (which line of
the user's own code is running).

Beside calls: `timer.py` (delayed work), `rests.py` (between steps of work in the background), `regex_time_limit.py` (for regular
expressions), `change_listeners.py` (who is called after a change), `import_hooks.py` (what is done once a module has been
imported), `worker_joining.py` and `worker_pipe.py` (worker processes join the cache, and report their calls).
"""
