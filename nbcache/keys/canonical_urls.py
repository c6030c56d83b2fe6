"""URLs of providers in canonical form, with digests in place of credentials."""

import re
from urllib.parse import SplitResult, urlsplit, urlunsplit

from nbcache.keys.canonical import digest
from nbcache.keys.credential_names import DIGEST, FORM, SECRET, digested, is_credential

# Parts of paths that are the same for all users.
_PLAIN_PART = re.compile(r"[a-z]{1,12}|v\d{1,2}[a-z]{0,5}\d{0,2}|compatible-mode|serving-endpoints|openai-compatible")
_MODELS_AFTER = frozenset({"deployments", "models", "engines"})
_RANDOM = re.compile(r"(?=[^\d]*\d)[\w.~%=-]{16,}")
_PLAIN_QUERY = frozenset({"api-version", "version", "alt", "beta"})


def endpoint_url(url: str) -> str:
    """A provider's URL in canonical form, without credentials.

    Scheme and host are in lower case. A default port, a slash at the end, and the user and password are removed.
    """
    if "://" not in url:
        host, slash, path = url.rpartition("@")[2].rstrip("/").partition("/")
        return host + slash + _scrubbed_path(path)
    parts = _split(url)
    if parts is None:
        return digested(SECRET, url)
    query = parts.query if FORM.fullmatch(parts.query) else digest(parts.query.encode())
    query = f"?{query}" if parts.query else ""
    return f"{parts.scheme}://{_host(parts)}{_scrubbed_path(parts.path.rstrip('/'))}{query}"


def endpoint_urls(urls: str) -> str:
    """Several URLs, separated by spaces, each in the form of `endpoint_url`."""
    return " ".join(sorted(set(map(endpoint_url, urls.split()))))


def hidden_url(url: str, *, whole: bool) -> str:
    """A URL with digests in place of credentials. `whole` if it is a text of its own: then unusual parts are digests as well."""
    parts = _split(url)
    if parts is None:
        return digested(SECRET, url)
    user, at, _ = parts.netloc.rpartition("@")
    path = _scrubbed_path(parts.path) if whole else parts.path
    query = "&".join(_query_part(part, whole=whole) for part in parts.query.split("&")) if parts.query else ""
    host = f"{digested(SECRET, user)}{at}{_host(parts)}" if at else parts.netloc
    return urlunsplit((parts.scheme, host, path, query, parts.fragment))


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.hostname else None


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = parts.port if parts.port != {"http": 80, "https": 443}.get(parts.scheme) else None
    return host + (f":{port}" if port else "")


def _scrubbed_path(path: str) -> str:
    parts = path.split("/")
    return "/".join(_path_part(part, before) for before, part in zip(["", *parts], parts, strict=False))


def _path_part(part: str, before: str) -> str:
    if not part or before in _MODELS_AFTER or _PLAIN_PART.fullmatch(part):
        return part
    return digested(SECRET if _RANDOM.fullmatch(part) else DIGEST, part)


def _query_part(part: str, *, whole: bool) -> str:
    name, equals, value = part.partition("=")
    if is_credential(name):
        return name + equals + digested(SECRET, value)
    return name + equals + (digested(DIGEST, value) if whole and name not in _PLAIN_QUERY else value)
