"""Calls of a model that can't be looked up: the body can't be read before it is sent, or has another form.

At hosts that are not known, such as a gateway's, path and body have to leave no doubt: requests to a service of another kind
are neither counted nor stopped.
"""

import re
from typing import Any

from nbcache.integrations.http.apis.endpoints import ENDPOINTS
from nbcache.integrations.http.apis.framing import Body
from nbcache.integrations.http.http_request import HTTPRequest

# Paths of a model's calls that hardly any other service has: JSON that can't be read is taken for a call there.
_LIKELY = re.compile(
    r"/chat/completions$|/(?:fim|agents)/completions$|/generate_stream$"
    r"|/v1/(?:messages|completions|embeddings|multimodalembeddings|contextualizedembeddings)$"
    r"|/api/(?:chat|generate|embed|embeddings)$|/pipeline/(?:feature-extraction|sentence-similarity)$"
    r"|/publishers/[^/]+/models/[^/:]+:(?:rawPredict|streamRawPredict)$"
    r"|/(?:models|tunedModels|endpoints)/[^/:]+:(?:generateContent|streamGenerateContent|embedContent|batchEmbedContents)$"
)
# Paths of a model's calls that a service of another kind may have, too.
_DOUBTFUL = re.compile(r"/v1/(?:responses|moderations|rerank|chat|embed)$|/v2/(?:chat|embed|rerank)$")
# aiohttp calls what is generated a stream of octets.
_MAY_BE_JSON = re.compile(r"(?:application/(?:(?:[\w.-]+\+)?json|octet-stream)|text/plain)?\s*(?:;|$)", re.IGNORECASE)
_FORMS = ("multipart/", "application/x-www-form-urlencoded")


def api_of_unread_call(request: HTTPRequest) -> str | None:
    """The API of such a call at any host. None if the request may be one to a service of another kind."""
    path = request.parts.path.rstrip("/")
    endpoints = [each for each in ENDPOINTS if not each.hosts and each.path.search(path)]
    if request.method != "POST" or not endpoints:
        return None
    api = endpoints[0].api
    is_likely = _LIKELY.search(path) is not None
    if not _can_be_read(request):
        return api if is_likely and _MAY_BE_JSON.match(request.header("content-type")) else None
    body = _object_in(request)
    if is_likely and isinstance(body.get("model"), str):
        return api
    return next((each.api for each in endpoints if each.fits(body)), None)


def is_doubtful(request: HTTPRequest) -> bool:
    """Whether a request may be a call of a model: its path allows it, and its body, which would decide, can't be read."""
    return (
        request.method == "POST"
        and _DOUBTFUL.search(request.parts.path.rstrip("/")) is not None
        and _MAY_BE_JSON.match(request.header("content-type")) is not None
        and not _can_be_read(request)
    )


def why_unread(request: HTTPRequest) -> str:
    """Why a request is not looked up that has the path of a model's call."""
    if request.header("content-type").startswith(_FORMS):
        return "forms"
    if request.header("content-encoding"):
        return "compressed bodies"
    if not _can_be_read(request):
        return "bodies that are sent in pieces"
    is_slash = request.parts.path.endswith("/") and bool(_object_in(request))
    return "paths that end with a slash" if is_slash else "bodies of another form"


def _can_be_read(request: HTTPRequest) -> bool:
    """Whether the body is there, and not compressed, generated or read from a file while it is sent."""
    if request.header("content-encoding"):
        return False
    try:
        request.content()
    except UnicodeDecodeError:  # it is there, and no JSON
        return True
    except Exception:  # noqa: BLE001 - HTTP libraries raise exceptions of their own
        return False
    return True


def _object_in(request: HTTPRequest) -> Body:
    """The JSON object in a body. Empty if there is none."""
    try:
        body: Any = request.parsed_body()[0]
    except (ValueError, TypeError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}
