"""Secrets in what others will read.

`scrubber.py` finds secrets and replaces them, by `rules.py` (what secrets look like) and `token_forms.py` (the keys and
tokens of known services). `runs.py` finds long runs of characters, `encoded.py` reads Base64, and `compiled.py` compiles a
regular expression at its first use.
"""
