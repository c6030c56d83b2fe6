"""Takes secrets out of what others will read: cassettes, exports and reports.

Where to add …

- a field, variable, header or option whose value is a secret: `secret_names.py`
- the tokens of a service, which are recognised by their form: `service_tokens.py`
- a command with a password among its options: `command_passwords.py`

`scrubber.py` replaces the secrets in a text or a JSON value. It tries the rules that `likely_rules.py` chooses from the
list in `rules.py`; `rule.py` says what a rule is. The rules come from a module for each kind of place:
`header_values.py`, `assigned_values.py` (a value beside a name of `secret_names.py`), `word_passwords.py` (passwords of
letters alone), `command_passwords.py`, `logins.py` (in URLs, before hosts, in Basic authentication), and
`token_patterns.py` (the tokens of `service_tokens.py`, private keys). In JSON, `json_fields.py` also knows the name that
belongs to a value.

`word_search.py` looks for many words at once, `runs.py` finds long runs of characters, `encoded.py` reads Base64, and
`compiled.py` compiles a regular expression at its first use.
"""
