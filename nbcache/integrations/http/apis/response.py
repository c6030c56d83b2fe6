"""The answer in a response: its JSON, the parts of its stream, or of an image or sound what it is and how large."""

import json
from collections.abc import Mapping
from typing import Any

from langchain_core.outputs import Generation

from nbcache.integrations.http.apis.endpoint import Endpoint
from nbcache.integrations.http.apis.framing import PARTS, Body, Framing, framing_of

KIND, SIZE = "kind", "size"  # the fields of what is no JSON: its content type, and its bytes


def framing_in(headers: Mapping[str, str], endpoint: Endpoint) -> Framing:
    """How the parts of a stream are told apart, by what the response says, or else as the endpoint does it."""
    return framing_of(headers.get("content-type", "")) or endpoint.framing


def answer_in(
    headers: Mapping[str, str], body: bytes, endpoint: Endpoint, *, is_stream: bool
) -> list[Generation] | None:
    """The generations in the body of a response. None if it is no answer. Raises what a body raises that isn't understood."""
    if is_stream and endpoint.join is not None:
        whole: Any = endpoint.join(framing_in(headers, endpoint).values(body))
    elif endpoint.is_binary and "json" not in headers.get("content-type", ""):
        whole = _described(headers, body)
    else:
        whole = json.loads(body)
    if isinstance(whole, list):
        whole = {PARTS: whole}
    if isinstance(whole, dict) and endpoint.with_headers is not None:
        whole = endpoint.with_headers(whole, headers)
    return endpoint.read(whole) if isinstance(whole, dict) else None


def _described(headers: Mapping[str, str], body: bytes) -> Body:
    """What a body is and how large. Empty if it may have been cut: nothing in it says where it ends."""
    length = headers.get("content-length")
    is_cut = length is not None and "content-encoding" not in headers and length != str(len(body))
    if is_cut or (length is None and "transfer-encoding" not in headers):
        return {}
    return {KIND: headers.get("content-type", "").partition(";")[0].strip().lower(), SIZE: len(body)}
