"""Calls that missed: those that wait for their answers, the last ones, and why.

`log.py` notes each miss until its answer has come. `explain.py` says why a call missed. For that `candidates.py` finds
recorded calls that say much the same, `nearest.py` takes the nearest of them, and `differences.py` how the two differ; of
functions `function_calls.py` does both, and `shown_forms.py` writes their arguments.
`recording_advice.py` says how to record what `replay` lacks. `swallowed.py` keeps the errors of `replay`, in case the user's
code swallows them.
"""
