"""What calls cost, and what they saved.

For one call: `price_lookup.py` prices it, `costs_today.py` says what its entry would cost now, `session_sums.py` adds it to the
sums of the session, and `ledger.py` writes it down after the cell. `money.py` formats sums of money and time.

What was called: `events.py` is what a session notes of its calls, `calls_by_key.py` how often each key was called,
`inner_calls.py` what was called inside of a function, and `noted_calls.py` what was called in one context. `time_saved.py` says
how much waiting was saved, and `ledger_sums.py` has sums over rows of the ledger.

Callbacks of the user's own are in `callbacks.py`, and what they are called for in `session_events.py`. With several
processes: `forwarding.py` sends the calls of a worker to its parent, and `forks.py` keeps a forked child's ledger apart.
"""
