"""Passwords of letters alone, in a text: `PGPASSWORD=sesame`, `?password=sesame`.

They look like any other word. So each rule asks for a place where nothing but a password stands.
"""

from nbcache.replay.secrets.rule import Rule
from nbcache.replay.secrets.secret_names import TYPE_WORDS

_NAME = "pass(?:word|wd|phrase)?|pwd"
# A word of 4 to 64 characters, no type, before a space, an escaped line break or the end.
_WORD = rf"(?!(?:{'|'.join(TYPE_WORDS)})(?![\w-]))(?P<secret>[a-z][\w!#%*+.~-]{{3,63}})(?=[\s;&\"'`<]|\\[nr]|\Z)"
_AFTER_SEPARATOR = "|".join(
    rf"(?<=[?&;]{space}{name}=)" for space in ("", " ") for name in ("password", "passwd", "passphrase", "pass", "pwd")
)

WORD_PASSWORDS = (
    # In the environment: `DB_PASSWORD=sesame`, but not `PASSWORD=MY_PASSWORD`, another variable.
    Rule(
        "",
        r"(?P<name>PASS(?:WORD|WD|PHRASE|(?<=_PASS)))=(?![A-Z_]+(?![\w-]))(?P<secret>[A-Za-z][\w-]{3,63})(?=[\s;&\"'`]|\\[nr]|\Z)",
        ("PASS",),
    ),
    # In a query or a connection string: `?user=me&password=sesame`, `Server=db; Pwd=sesame`.
    Rule(
        "",
        rf"(?P<name>{_NAME})=(?:{_AFTER_SEPARATOR}){_WORD}",
        ("password=", "passwd=", "passphrase=", "pass=", "pwd="),
        folded=True,
    ),
    # In the connection settings of PostgreSQL, after a user or a host: `host=db user=me password=sesame`.
    Rule(
        "",
        rf"(?:user(?:name)?|uid|host|dbname)=[^\s=,;()]{{1,64}}[ \t](?:\w{{1,24}}=[^\s=,;()]{{1,64}}[ \t]){{0,4}}"
        rf"(?P<name>{_NAME})={_WORD}",
        ("password=", "passwd=", "pass=", "pwd="),
        folded=True,
    ),
    # In an option: `--db-password=sesame`.
    Rule("", rf"--[a-z-]{{0,24}}?(?P<name>{_NAME})={_WORD}", ("--",), folded=True),
    # In the line after the user's name, and alone there: `login: me`, `password: sesame`. The line break may be
    # escaped.
    Rule(
        "",
        rf"(?:user(?:[ _]?name)?|login|e-?mail):[ \t]*[^\s,;]{{1,64}}[ \t]*(?:\r?\n|(?:\\{{1,7}}r)?\\{{1,7}}n)[ \t-]*"
        rf"(?P<name>{_NAME}):[ \t]*{_WORD}(?![ \t]*[^\s\\\"'])",
        ("password:", "passwd:", "passphrase:", "pass:", "pwd:"),
        folded=True,
    ),
)
