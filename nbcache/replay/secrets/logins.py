"""Logins, in a text: a user with a password, in a URL, before a host, or in Base64 (HTTP's Basic authentication)."""

from nbcache.replay.secrets.encoded import is_login
from nbcache.replay.secrets.rule import WIDE, Rule

# A host with a port before an `@` is no login: `https://example.com:8080@…`. After other names, digits may be a
# password: `john.doe:12345`.
_NO_HOST_AND_PORT = (
    r"(?!(?:localhost|[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|io|dev|ai|local|internal|example|\d+)):\d{2,5}@)"
)
_USER_AND_PASSWORD = rf"[^\s/?#:@\"'`<>{WIDE}]*:[^\s/?#\"'`<>{WIDE}]+"
_TOKEN = r"(?=[A-Za-z_-]*\d)[\w-]{20,}:?"  # noqa: S105 - a pattern
# `https://me:sesame@host`, and a token without a user: `https://a1b2…@host`. JSON may have `\/` for each slash. Not the
# digest of an image: `docker://name:tag@sha256:…`.
URL_LOGIN = Rule(
    "a password in a URL",
    rf":(?://|\\/\\/){_NO_HOST_AND_PORT}(?P<secret>{_USER_AND_PASSWORD}|{_TOKEN})@(?!sha256:)",
    ("://", ":\\/\\/"),
)

# `me:sesame1@localhost`, without `https://`. As often, a port or the receiver of a mail stands between a colon and an
# `@`.
_HOST = r"(?:localhost|\d{1,3}(?:\.\d{1,3}){3}|[\w-]+(?:\.[\w-]+)*(?::\d{2,5}(?!\w)|/\w))"
_ACCOUNT_COLON = (
    # After a name, and not after a digit (a time, an address), a word of mails (`mailto:me@host`), or a host.
    r":(?<=[\w-]:)(?<!\d:)(?<!mail:)(?<!mailto:)(?<!\bto:)(?<!\bcc:)(?<!from:)"
    r"(?<!localhost:)(?<!\.(?:com|org|net|dev):)(?<!\.(?:io|ai):)"
    r"(?![^\s@]{0,64}@sha\d)"  # `image:tag@sha256:…`
)
ACCOUNT = Rule(
    "a password",
    rf"{_ACCOUNT_COLON}"
    # Digits before a host without a dot (`me:1234@db`), or a character that mail addresses hardly have
    # (`me:a1!b@x.org`), or a text before localhost, an IP address, or a host with a port or a path (`me:a1b2@db:5432`).
    # And a digit in each.
    rf"(?=\d{{4,64}}@(?![\w-]+\.)|[^\s@]{{0,63}}[!#$%^&*]|[^\s@]{{4,64}}@{_HOST})"
    rf"(?P<secret>(?=[^\s@]{{0,63}}?\d)[^\s:@/\"'`<>(){{}}\[\],;{WIDE}]{{4,64}})@(?=\w)",
    ("@",),
)

_BASE64 = r"(?P<secret>[a-z0-9+/]{8,}={0,2})(?![\w+/=-])"
BASIC_LOGINS = (
    # `Basic bWU6c2VzYW1l`
    Rule("a password", rf"basic[ \t]+{_BASE64}", ("basic ",), folded=True, proof=is_login),
    # In the settings of Docker: `"auth": "bWU6c2VzYW1l"`
    Rule(
        "a password",
        rf"auth(?<=[\"']auth)\\{{0,7}}[\"'][ \t]*:[ \t]*\\{{0,7}}[\"']{_BASE64}",
        ("auth",),
        folded=True,
        proof=is_login,
    ),
)
