"""What fails at a server, in a user's words: one line, which says what to do.

This is imported when a request has failed.
"""

import ssl

import redis

from nbcache.errors import StoreError, StoreReadOnlyError, one_line
from nbcache.stores.location import REDIS_PASSWORD
from nbcache.stores.redis.address import Address

_WITH_PASSWORD = "redis://user:password@host:6379/0"  # noqa: S105 - an example
_CLOSED = ("Connection not ready", "Connection has data")  # redis-py's words for a server that speaks first
_ENDED = ("Connection closed by server.",)
_AT_THE_DOOR = "it refuses connections, as when it has too many clients (maxclients)"
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNEXPECTED_EOF_WHILE_READING")


class RefusedError(StoreError):
    """The server refuses the user or the password."""


class NoRightsError(StoreError):
    """The server knows the user, who may not do this there."""


class FullError(StoreError):
    """The server's memory is full."""


def is_outage(error: Exception) -> bool:
    """Whether nothing can be had from the server for now. Else it answered, and refused one thing."""
    return isinstance(
        error, redis.ConnectionError | redis.TimeoutError | redis.InvalidResponse | redis.exceptions.ClusterError
    ) and not isinstance(error, redis.exceptions.AskError)


def is_of_another(error: Exception) -> bool:
    """Whether the keys, or the right to write them, are another server's now."""
    return isinstance(error, redis.exceptions.MovedError | redis.ReadOnlyError)


def explained(error: Exception, address: Address) -> StoreError:
    """The error to raise for one of redis-py's."""
    return _refusal(error, address) or StoreError(f"{address.url} {_silence(error, address)}")


def _refusal(error: Exception, address: Address) -> StoreError | None:
    """What the server says with an answer; None if it says nothing that has words of its own here."""
    url, reason = address.url, _text(error)
    match error:
        case redis.AuthenticationError():
            return RefusedError(
                f"{url} refuses the user or the password: set {REDIS_PASSWORD}, or write {_WITH_PASSWORD} in code ({reason})"
            )
        case redis.exceptions.NoPermissionError():
            rights = f"~{{{address.prefix}}}:*"
            return NoRightsError(f"{url}: the user may not do this: give it the rights to {rights} ({reason})")
        case redis.exceptions.OutOfMemoryError():
            return FullError(
                f"{url} is full: raise its maxmemory, or delete entries, as by `%llmcache clear` ({reason})"
            )
        case redis.ReadOnlyError():
            return StoreReadOnlyError(f"{url} can only be read: it is a replica of another server")
        case redis.exceptions.MovedError() if address.kind == "cluster":
            return StoreError(f"{url} has moved its keys to another node, which is asked from now on")
        case redis.exceptions.MovedError():
            return StoreError(f"{url} is a node of a cluster: write redis+cluster:// instead of redis://")
    return None


def _silence(error: Exception, address: Address) -> str:
    """What there is instead of an answer."""
    cause, reason = error.__cause__ or error.__context__, _text(error)
    if isinstance(cause, ssl.SSLError):
        return _of_tls(cause)
    if isinstance(cause, TimeoutError) and "handshake" in str(cause):
        return "does not answer: if it speaks no TLS, write redis:// instead of rediss://"
    if isinstance(error, redis.InvalidResponse):
        return "does not answer as Redis does: if it speaks TLS, write rediss:// instead of redis://"
    if not is_outage(error):
        return f"refused it: {reason}"
    if reason in _CLOSED:
        reason = _AT_THE_DOOR
    elif (isinstance(cause, ConnectionResetError) or reason in _ENDED) and not address.is_encrypted:
        reason = "it has ended the connection (if it speaks TLS, write rediss:// instead of redis://)"
    return f"does not answer: {reason}"


def _text(error: Exception) -> str:
    return one_line(str(error)) or type(error).__name__


def _of_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = one_line(error.verify_message)
        return f"is not trusted: {reason}. Name the file of the authority that you trust: ?ssl_ca_certs=FILE"
    if error.reason in _NO_TLS:
        return "does not speak TLS: write redis:// instead of rediss://, if the network is yours"
    return f"could not be reached by TLS: {one_line(error.reason or str(error))}"
