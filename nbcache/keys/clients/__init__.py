"""The clients by which a model sends its calls.

`target.py` reads where they lead and what they add to each request; `client_hooks.py` finds code of the user's that they run.
"""
